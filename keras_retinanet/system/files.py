"""Files: reading only what is safe to read, and atomic writes.

A process that is killed in the middle of a write leaves the old file, not half a new one.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from keras_retinanet.system.types import StrPath


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


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[Path]:
    """Yield a temporary file in the folder of `path`; it replaces `path` unless an error is raised.

    The temporary file has the same suffix, since savers choose their format by it. The folder is
    created if needed.

    Raises:
        OSError: if the folder or the file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    # Unlike `tempfile`, which makes files for their owner only, this leaves the permissions to the
    # umask, as for any new file.
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(path: StrPath, data: str | bytes) -> None:
    """Write text (as UTF-8) or bytes to a file atomically.

    Raises:
        OSError: if the folder or the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
