"""The sizes of many images, read from their headers once and cached in a file."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import numpy as np

from keras_retinanet.images import image_size
from keras_retinanet.system.array_files import load_arrays
from keras_retinanet.system.files import replacing
from keras_retinanet.system.image_headers import header_size
from keras_retinanet.system.types import StrPath

_Result = TypeVar("_Result")

# Up to this many images, a cache saves no time worth a file.
FEW = 1000
_THREADS = 8  # they wait for the disk
_PART = 500  # images that a thread takes at once
_MAX_SIDE = 2**31 - 1  # pixels; no format has more
_SLOW = 0.05  # seconds for a part; files in memory take a fifth of that


def read_sizes(paths: Sequence[str], source: StrPath) -> np.ndarray:
    """Return width and height of images, float64 `(n, 2)`; 0 and 0 for one that cannot be read.

    The sizes of more than `FEW` images are cached in the file `cache_path(source)`. Only images
    that are not there, that could not be read, or whose size in bytes or modification time differs,
    are opened. If the cache is damaged or cannot be written, all images are opened each time.

    Args:
        paths: the image files.
        source: the file or folder that lists them.
    """
    if len(paths) <= FEW:
        return _open_all(paths)
    cache = cache_path(source)
    folder = os.path.dirname(cache) + os.sep
    names = [path.removeprefix(folder) for path in paths]
    stamps = np.array(_map_files(_stamp, paths), "int64")
    sizes, unknown = _look_up(_load(cache), names, stamps)
    if len(unknown):
        sizes[unknown] = _open_all([paths[index] for index in unknown])
    if sizes[unknown].all(axis=1).any():
        with contextlib.suppress(OSError):
            _save(cache, names, stamps, sizes)
    return sizes


def cache_path(source: StrPath) -> str:
    """Return the hidden file beside `source` that caches the sizes of its images."""
    folder, name = os.path.split(os.path.abspath(source))
    return os.path.join(folder, f".{name}.image-sizes.npz")


def _stamp(path: str) -> tuple[int, int]:
    """Return size in bytes and modification time of a file; -1 and -1 if it does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _open_all(paths: Sequence[str]) -> np.ndarray:
    """Return the sizes of images, read from the files."""
    headers = _map_files(_header_size, paths)
    # Pillow, for the other formats, needs a warning filter, which all threads would share.
    sizes = [
        _any_size(path) if size is None else size for path, size in zip(paths, headers, strict=True)
    ]
    return np.array(sizes, "float64").reshape(-1, 2)


def _header_size(path: str) -> tuple[int, int] | None:
    try:
        return header_size(path)
    except (OSError, ValueError):
        return 0, 0


def _any_size(path: str) -> tuple[int, int]:
    try:
        return image_size(path)
    except (OSError, ValueError):
        return 0, 0


def _map_files(function: Callable[[str], _Result], paths: Sequence[str]) -> list[_Result]:
    """Return `function(path)` of each file, in threads as soon as a part of them is slow.

    Threads wait for a disk at the same time, but slow each other down where files are in memory.
    """
    parts = iter([paths[start : start + _PART] for start in range(0, len(paths), _PART)])
    done: list[_Result] = []
    took = 0.0
    while took < _SLOW and (part := next(parts, None)) is not None:
        start = time.perf_counter()
        done += map(function, part)
        took = time.perf_counter() - start
    with ThreadPoolExecutor(_THREADS) as pool:
        rest = pool.map(lambda part: list(map(function, part)), parts)
        return [*done, *chain.from_iterable(rest)]


def _look_up(
    known: tuple[list[str], np.ndarray, np.ndarray] | None, names: list[str], stamps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sizes in the cache `(n, 2)`, and the indices of the images that are not there."""
    sizes = np.zeros((len(names), 2))
    if known is None:
        return sizes, np.arange(len(names))
    index_of = {name: index for index, name in enumerate(known[0])}
    places = np.array([index_of.get(name, -1) for name in names])
    found = (places >= 0) & (known[1][places] == stamps).all(axis=1) & (stamps >= 0).all(axis=1)
    sizes[found] = known[2][places[found]]
    return sizes, np.flatnonzero(~found)


def _save(cache: str, names: list[str], stamps: np.ndarray, sizes: np.ndarray) -> None:
    readable = np.flatnonzero(sizes.all(axis=1))
    # No file name has a zero byte.
    text = "\0".join(names[index] for index in readable).encode("utf-8", "surrogateescape")
    with replacing(cache) as temporary:
        np.savez(
            temporary,
            names=np.frombuffer(text, "uint8"),
            stamps=stamps[readable],
            sizes=sizes[readable],
        )


def _load(cache: str) -> tuple[list[str], np.ndarray, np.ndarray] | None:
    """Return what `_save` wrote; None if the file does not exist, is damaged or forged."""
    try:
        stored = load_arrays(cache, {"names": "u1", "stamps": "i8", "sizes": "f8"})
    except (OSError, ValueError):  # a new file replaces it
        return None
    names = stored["names"].tobytes().decode("utf-8", "surrogateescape").split("\0")
    stamps, sizes = stored["stamps"], stored["sizes"]
    if not stamps.shape == sizes.shape == (len(names), 2) or len(set(names)) < len(names):
        return None
    possible = (sizes >= 1) & (sizes <= _MAX_SIDE) & (sizes == np.floor(sizes))
    return (names, stamps, sizes) if possible.all() else None
