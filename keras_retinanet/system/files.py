"""Writing files so that a kill in the middle leaves the old file, not half of a new one."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Asking for it changes it for a moment, for all threads: so this is done once.
_UMASK = os.umask(0)
os.umask(_UMASK)


def keras_home() -> Path:
    """Return Keras's folder for what it keeps between runs."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))


@contextlib.contextmanager
def replacing(path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it takes the place of `path`.

    The temporary file has the same suffix, since savers choose their format by it. The folder is
    made if needed.

    Raises:
        OSError: if the folder or the file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes files for the owner alone; give the usual rights of a new file.
        temporary.chmod(0o666 & ~_UMASK)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(path, data: str | bytes) -> None:
    """Write text (as UTF-8) or bytes to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
