"""The output folder of a run: for one run at a time, writable, with room for all of it."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import socket
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras

from keras_retinanet.system.files import only_regular, remove_leftovers
from keras_retinanet.system.machine import is_running
from keras_retinanet.system.types import StrPath

try:
    import fcntl
    import resource
except ImportError:  # Windows
    fcntl = resource = None  # type: ignore[assignment]  # modules cannot be optional for mypy

LOCK = ".retinanet-train.lock"
# For pictures, the history, and what files hold beside their numbers.
_MORE_BYTES = 10**7


@contextlib.contextmanager
def claimed(folder: StrPath) -> Iterator[None]:
    """Make a folder if needed, and keep it for this run.

    A lock file in it holds process id and host name. The system releases the lock when the process
    ends, however it ends: the file of a killed run is taken over, and the temporary files that the
    run left are removed. A folder that was made and got no file is removed again.

    Raises:
        OSError: naming the folder, if it cannot be written.
        ValueError: naming the other process, if another run uses the folder.
    """
    folder, pid = Path(folder), os.getpid()
    path = folder / LOCK
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        remove_leftovers(folder)
        yield
    finally:
        if os.getpid() == pid:  # not in a forked child
            with contextlib.suppress(OSError):
                path.unlink()
                if is_new:
                    folder.rmdir()  # an error if there are files in it
        os.close(lock)


def check_writable(folder: StrPath) -> None:
    """Make a folder if needed, and check that files can be written in it.

    Raises:
        OSError: naming the folder, if it cannot be written.
    """
    path = Path(folder) / f".retinanet-test-{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"test")
        path.unlink()
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise _cannot_write(folder, error) from error


def check_room(
    folder: StrPath, snapshots: int, snapshot_size: int, state_size: int, own: Iterable[str] = ()
) -> str:
    """Check that all that a run keeps can be written in a folder.

    Args:
        folder: the folder.
        snapshots: number of snapshots that the run will keep.
        snapshot_size: bytes of each.
        state_size: bytes of a state of the run; there are two, and a third while it is written.
        own: names of files in the folder that the run will replace or remove.

    Returns:
        A line that says how much it takes, and how much is free.

    Raises:
        OSError: naming the folder, if the disk has no room for it, or a limit of the process
            (`ulimit -f`) is lower than the largest file.
    """
    needed = snapshots * snapshot_size + 3 * state_size + _MORE_BYTES
    free = shutil.disk_usage(folder).free + _bytes_of(Path(folder, name) for name in own)
    parts = (
        f"{snapshots} snapshots of {_mb(snapshot_size)}, two states of {_mb(state_size)} and one "
        "more while it is written"
    )
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"the run takes up to {_mb(needed)} ({parts}), free are {_mb(free)}: --keep says how "
            "many snapshots stay",
            str(folder),
        )
    if resource is not None:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if limit != resource.RLIM_INFINITY and state_size > limit:
            raise OSError(
                errno.EFBIG,
                f"the state of the run takes about {_mb(state_size)}, this process may write files "
                f"of at most {_mb(limit)} (ulimit -f)",
                str(folder),
            )
    return f"{folder} will take up to {_mb(needed)}: {parts}; free are {_mb(free)}"


def snapshot_size(model: keras.Model) -> int:
    """Return about how many bytes a snapshot of a model takes."""
    return _bytes_of_variables(model.weights)


def state_size(model: keras.Model) -> int:
    """Return about how many bytes the state of a run takes: a compiled model and its optimizer."""
    return _bytes_of_variables((*model.weights, *model.optimizer.variables))


def _bytes_of_variables(variables: Iterable[keras.Variable]) -> int:
    return 4 * sum(math.prod(variable.shape) for variable in variables)


def _bytes_of(paths: Iterable[Path]) -> int:
    """Return the bytes of those files that are there; a file of two names counts once."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            found[status.st_dev, status.st_ino] = status.st_size
    return sum(found.values())


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size:,} bytes"


def _cannot_write(folder: StrPath, error: OSError) -> OSError:
    reason = error.strerror or str(error)
    return OSError(error.errno, f"the output cannot be written here: {reason}", str(folder))


def _lock(path: Path) -> int:
    """Return the open lock file, locked and with this process in it.

    Raises:
        OSError: if it cannot be opened or written.
        ValueError: if another run has it.
    """
    while True:
        lock = only_regular(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0))
        try:
            _take(lock, path)
            os.ftruncate(lock, 0)
            os.lseek(lock, 0, os.SEEK_SET)
            os.write(lock, f"{os.getpid()} {socket.gethostname()}\n".encode())
            # The run before may have removed the file after it was opened here.
            if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _take(lock: int, path: Path) -> None:
    """Lock an open lock file.

    Raises:
        ValueError: if another run has it.
    """
    has_locks = fcntl is not None
    if has_locks:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        except OSError:  # some network file systems have no locks
            has_locks = False
    pid, host = _read_owner(lock)
    if not has_locks:
        if host != socket.gethostname():
            if host:
                warnings.warn(
                    f"{path}: process {pid} on {host} may be writing to this folder too; its file "
                    "system has no locks",
                    stacklevel=5,
                )
            return
        if pid == os.getpid() or not is_running(pid):
            return
    raise ValueError(
        f"{path.parent}: another run writes here (process {pid or 'unknown'} on "
        f"{host or 'an unknown host'}): wait until it ends, or choose another folder "
        "(--snapshot-path)"
    )


def _read_owner(lock: int) -> tuple[int, str]:
    """Return process id and host in an open lock file; 0 and "" if it does not hold them."""
    try:
        pid, host = os.read(lock, 300).decode().split()
        return int(pid), host
    except ValueError:
        return 0, ""
