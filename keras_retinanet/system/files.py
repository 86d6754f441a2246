"""Files: reading only what is safe to read, and atomic writes.

A process that is killed in the middle of a write leaves the old file, not half a new one.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from keras_retinanet.system.machine import is_running
from keras_retinanet.system.types import StrPath

_END = 4096  # bytes


def keras_home() -> Path:
    """Return the folder where Keras keeps files between runs."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))


def only_regular(path: StrPath, flags: int) -> int:
    """Open a regular file; for `open(path, ..., opener=only_regular)`.

    Reading a FIFO waits for a writer, perhaps for ever, and a device may have no end.

    Raises:
        OSError: if the file cannot be opened, or is a folder.
        ValueError: if it is a FIFO, a socket or a device.
    """
    # Without O_NONBLOCK opening a FIFO would already wait; regular files ignore it.
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return handle
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise ValueError(f"{path}: expected a regular file, got a FIFO, socket or device")


def read_file(path: StrPath, max_bytes: int) -> bytes:
    """Return the bytes of a regular file, whose size is checked before it is read.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is no regular file or holds more than `max_bytes`.
    """
    # Unbuffered: between system calls other threads would take Python's lock.
    with open(path, "rb", buffering=0, opener=only_regular) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise ValueError(f"{path}: expected a file of at most {max_bytes} bytes, got {size}")
        return file.read()


def read_ends(path: StrPath) -> tuple[os.stat_result, bytes]:
    """Return the status of a regular file, and its first and last 4096 bytes.

    A changed file can have the size and the time of the old one: two writes may share a tick of the
    clock, and some tools restore times. Its ends hold the header and, mostly, checksums.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no regular file.
    """
    with open(path, "rb", buffering=0, opener=only_regular) as file:
        status = os.fstat(file.fileno())
        ends = file.read(_END)
        if status.st_size > _END:
            file.seek(max(_END, status.st_size - _END))
            ends += file.read(_END)
    return status, ends


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[Path]:
    """Yield a temporary file in the folder of `path`; it replaces `path` unless an error is raised.

    The temporary file has the same suffix, since savers choose their format by it. The folder is
    created if needed.

    Raises:
        OSError: naming `path`, if the folder or the file cannot be written.
    """
    path = Path(path)
    # The first digit is a letter, so that no date can pass for the token: see `remove_leftovers`.
    token = secrets.choice("abcdef") + secrets.token_hex(4)[1:]
    temporary = path.with_name(f".{path.stem[:50]}-{os.getpid()}-{token}{path.suffix}")
    with _naming(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unlike `tempfile`, which makes files for their owner only, this leaves the permissions to
        # the umask, as for any new file.
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """Name `path` in an OSError that names no file, or the temporary one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and os.fspath(error.filename) != str(temporary):
            raise
        number = error.errno or _errno_in(error)
        if number is None:
            raise OSError(f"{path}: {error}") from error
        raise OSError(number, os.strerror(number), str(path)) from error
    except RuntimeError as error:  # HDF5's, when it closes a file
        number = _errno_in(error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _errno_in(error: Exception) -> int | None:
    """Return the number of the system's error that HDF5 tells in its messages."""
    found = re.search(r"\berrno = (\d+)", str(error))
    return int(found[1]) if found else None


# What `replacing` makes: its process id, and a token that begins with a letter. Names without a
# process id are those of earlier versions.
_TEMPORARY = re.compile(
    r"\..+-(?P<pid>\d+)-[a-f][0-9a-f]{7}(\.\w+)?"
    r"|\..+-(?=\d*[a-f])[0-9a-f]{8}\.(keras|h5|hdf5|csv|png|json)"
)


def remove_leftovers(folder: StrPath, min_age: float = 0.0) -> list[Path]:
    """Remove the temporary files of `replacing` that killed processes left in a folder.

    Files of other processes that run on this machine stay. Where processes of other machines may
    write too, a `min_age` spares their files.

    Args:
        folder: the folder, without those below.
        min_age: seconds since a file was last changed.

    Returns:
        The files that were removed.
    """
    removed = []
    with os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            if not found or not entry.is_file(follow_symlinks=False):
                continue
            pid = int(found["pid"] or 0)
            if pid and pid != os.getpid() and is_running(pid):
                continue
            with contextlib.suppress(OSError):  # another process may have removed it
                if time.time() - entry.stat().st_mtime >= min_age:
                    os.unlink(entry.path)
                    removed.append(Path(entry.path))
    return removed


def atomic_write(path: StrPath, data: str | bytes) -> None:
    """Write text (as UTF-8) or bytes to a file atomically.

    Raises:
        OSError: if the folder or the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
