"""Atomic writes: a process that is killed in the middle leaves the old file, not half a new one."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from keras_retinanet.system.types import StrPath


def keras_home() -> Path:
    """Return the folder where Keras keeps files between runs."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))


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
