"""Published checkpoints by name: downloaded once into Keras's cache, and checked."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Callable
from pathlib import Path

from keras_retinanet.system.downloads import DownloadError, digest, download
from keras_retinanet.system.files import atomic_write, keras_home, read_ends
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath
from keras_retinanet.zoo import table
from keras_retinanet.zoo.checkpoints import is_checkpoint_name
from keras_retinanet.zoo.table import Entry

# What the file of a model of Keras, or of one that was exported, may end in.
_MODEL_SUFFIXES = (".keras", ".h5", ".hdf5", ".onnx", ".xml", ".tflite")
# How the files of the table begin: zip archives, pickles, HDF5 files.
_STARTS = (b"PK\x03\x04", b"\x80", b"\x89HDF")


def model_path(model: StrPath, log: Callable[[str], None] = print) -> str:
    """Return the path of a model: a name of the table becomes that of its file.

    A file or folder of that name takes precedence. The file of a name is in Keras's cache, to which
    it is downloaded if it is not there. When it is first used, downloaded or put there by hand, it
    is checked and its licence is told.

    Args:
        model: a path, or a name of the table.
        log: called with a line about the licence.

    Raises:
        ValueError: if a text is neither the path of a model nor a name; if the file cannot be
            downloaded or is not the one that was published.
    """
    check_name(model)
    text = os.fspath(model)
    if os.path.exists(text) or not table.is_name(text):
        return text
    return _fetch(table.find(text), log)


def check_name(model: StrPath) -> None:
    """Check that a model is a name of the table or may be a path, without looking for its file.

    Raises:
        ValueError: if it is no file, nor written like the path of a model's file, nor a name.
    """
    text = os.fspath(model)
    is_file_name = text.lower().endswith(_MODEL_SUFFIXES) or is_checkpoint_name(text)
    is_path = os.sep in text or "/" in text or is_file_name
    if is_path or table.is_name(text) or os.path.exists(text):
        return
    close = difflib.get_close_matches(text.lower(), table.NAMES, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ValueError(
        f"model not found: there is no file {shorten(text)!r}, and no published model of that "
        f"name; {hint}retinanet-detect --list-models lists them"
    )


def cache_path(entry: Entry) -> Path:
    """Return where the file of a published checkpoint is, or would be."""
    return keras_home() / "models" / entry.file_name


def _fetch(entry: Entry, log: Callable[[str], None]) -> str:
    """Return the path of the file of a published checkpoint, checked, downloaded if needed."""
    path = cache_path(entry)
    if os.path.lexists(path):
        if _is_checked(path, entry):
            return str(path)
        try:
            _check_file(path, entry)
        except ValueError as error:
            raise ValueError(f"{path}: {error}; delete it to download it again") from None
    else:
        _download(entry, path)
    log(f"{entry.name} is published by {entry.source} under the licence {entry.licence}")
    with contextlib.suppress(OSError):  # a cache that cannot be written is checked each time
        atomic_write(_marker(path), _stamp(path, entry))
    return str(path)


def _download(entry: Entry, path: Path) -> None:
    """Download the file of a published checkpoint.

    Raises:
        ValueError: if it cannot be downloaded, or is another one.
    """
    try:
        download(entry.url, path, lambda temporary: _check_file(temporary, entry))
    except (DownloadError, OSError) as error:
        raise ValueError(
            f"cannot download {entry.name}: put {entry.url} at {path} ({shorten(error, 200)})"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{entry.url}: {error}; nothing was kept: try again, or put the right file at {path}"
        ) from None


def _check_file(path: Path, entry: Entry) -> None:
    """Check that a file is that of a published checkpoint, as far as is known of it.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is another one, without its path.
    """
    status, ends = read_ends(path)
    if entry.size is not None and status.st_size != entry.size:
        raise ValueError(f"expected a file of {entry.size} bytes, got {status.st_size}")
    if not ends.startswith(_STARTS):
        page = ends.lstrip()[:1] == b"<"
        raise ValueError(f"expected a model, got {'a web page' if page else 'something else'}")
    if entry.sha256 is not None:
        found = digest(path, "sha256")
        if not found.startswith(entry.sha256):
            more = "" if len(entry.sha256) == len(found) else "..."
            raise ValueError(f"expected the SHA-256 {entry.sha256}{more}, got {found}")


def _marker(path: Path) -> Path:
    """Return the file that says that a file was checked."""
    return path.with_name(f"{path.name}.checked")


def _stamp(path: Path, entry: Entry) -> str:
    """Return what tells a file from one that was put in its place, and what was checked."""
    status = path.stat()
    return f"{status.st_size} bytes, changed {status.st_mtime_ns}, SHA-256 {entry.sha256}\n"


def _is_checked(path: Path, entry: Entry) -> bool:
    """Return whether a file is the one that was checked."""
    try:
        return _marker(path).read_text() == _stamp(path, entry)
    except (OSError, UnicodeDecodeError):
        return False
