"""The sizes of many images: from their headers, once, and kept in a file."""

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np

from keras_retinanet.annotations.image_headers import header_size
from keras_retinanet.images import image_size
from keras_retinanet.system.files import replacing

# Up to so many images, reading their headers takes no time worth a file.
FEW = 1000
_THREADS = 8  # they wait for the disk
_PART = 500  # images that a thread takes at once
_LONG = 0.05  # seconds for a part; from memory it is a fifth of that


def read_sizes(paths, source) -> np.ndarray:
    """Return width and height of images, float64 `(n, 2)`; 0 and 0 for one that cannot be read.

    For more than `FEW` images they are kept in the file `cache_path(source)`: only images that are
    new, or of another size in bytes or time of change than there, are opened. Where that file
    cannot be written, or is damaged, the images are opened, and nothing is said.

    Args:
        paths: the image files.
        source: the file or folder that lists them.
    """
    if len(paths) <= FEW:
        return _opened(paths)
    cache = cache_path(source)
    folder = os.path.dirname(cache) + os.sep
    names = [path.removeprefix(folder) for path in paths]
    stamps = np.array(_of_all(_stamp, paths), "int64")
    sizes, unknown = _look_up(_load(cache), names, stamps)
    if len(unknown):
        sizes[unknown] = _opened([paths[index] for index in unknown])
        with contextlib.suppress(OSError):
            _save(cache, names, stamps, sizes)
    return sizes


def cache_path(source) -> str:
    """Return the hidden file beside `source` where the sizes of its images are kept."""
    folder, name = os.path.split(os.path.abspath(source))
    return os.path.join(folder, f".{name}.image-sizes.npz")


def _stamp(path):
    """Return what changes with a file: its bytes and time; -1 and -1 if it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _opened(paths):
    """Return the sizes of images, read from the files."""
    sizes = _of_all(_header_size, paths)
    # Pillow, for the other formats, needs a filter of warnings, which all threads share.
    sizes = [
        _any_size(path) if size is None else size for path, size in zip(paths, sizes, strict=True)
    ]
    return np.array(sizes, "float64").reshape(-1, 2)


def _header_size(path):
    try:
        return header_size(path)
    except OSError:
        return 0, 0


def _any_size(path):
    try:
        return image_size(path)
    except (OSError, ValueError):
        return 0, 0


def _of_all(function, items) -> list:
    """Return `function(item)` of each item, in threads as soon as a part of them takes long.

    Threads wait for a disk together, but only hinder each other where files are in memory.
    """
    parts = iter([items[start : start + _PART] for start in range(0, len(items), _PART)])
    done, took = [], 0.0
    while took < _LONG and (part := next(parts, None)) is not None:
        start = time.perf_counter()
        done += map(function, part)
        took = time.perf_counter() - start
    with ThreadPoolExecutor(_THREADS) as pool:
        rest = pool.map(lambda part: list(map(function, part)), parts)
        return [*done, *chain.from_iterable(rest)]


def _look_up(known, names, stamps):
    """Return known sizes `(n, 2)`, and the indices of the images whose sizes are not known."""
    sizes = np.zeros((len(names), 2))
    if known is None:
        return sizes, np.arange(len(names))
    place_of = {name: place for place, name in enumerate(known[0])}
    places = np.array([place_of.get(name, -1) for name in names])
    found = (places >= 0) & (known[1][places] == stamps).all(axis=1) & (stamps >= 0).all(axis=1)
    sizes[found] = known[2][places[found]]
    return sizes, np.flatnonzero(~found)


def _save(cache, names, stamps, sizes):
    # No file name has a zero byte.
    text = np.frombuffer("\0".join(names).encode("utf-8", "surrogateescape"), "uint8")
    with replacing(cache) as temporary:
        np.savez(temporary, names=text, stamps=stamps, sizes=sizes)


def _load(cache) -> tuple[list[str], np.ndarray, np.ndarray] | None:
    """Return what `_save` wrote; None if there is no such file, or it is damaged."""
    try:
        with open(cache, "rb") as file, np.load(file, allow_pickle=False) as stored:
            names = stored["names"].tobytes().decode("utf-8", "surrogateescape").split("\0")
            stamps, sizes = stored["stamps"], stored["sizes"]
        whole = stamps.shape == sizes.shape == (len(names), 2)
        return (names, stamps.astype("int64"), sizes.astype("float64")) if whole else None
    except Exception:  # NumPy and zipfile have many kinds; whatever it is, a new file mends it
        return None
