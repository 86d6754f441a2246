"""Reading `.npz` files that may be damaged or forged."""

import math
import os
import sys
import zipfile
from collections.abc import Mapping
from typing import IO

import numpy as np

from keras_retinanet.system.files import only_regular
from keras_retinanet.system.limits import MAX_CACHE_BYTES
from keras_retinanet.system.types import StrPath

_CHUNK = 2**20  # bytes


def load_arrays(path: StrPath, types: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the arrays in a file that `np.savez` wrote.

    `np.load` believes the shape in an array's header, takes memory for it before it reads, and
    compares a checksum only if it comes to the end of the data.

    Args:
        path: the file.
        types: name of each array -> beginning of its dtype without byte order, such as "i8" or "U".

    Raises:
        OSError: if there is no such file.
        ValueError: naming the file, if it is no regular file, too large or damaged, or holds other
            arrays.
    """
    with open(path, "rb", opener=only_regular) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_CACHE_BYTES:
            raise ValueError(f"{path}: expected at most {MAX_CACHE_BYTES} bytes, got {size}")
        try:
            with zipfile.ZipFile(file) as archive:
                if sorted(archive.namelist()) != sorted(f"{name}.npy" for name in types):
                    raise ValueError(f"expected the arrays {sorted(types)}")
                return {name: _load(archive, f"{name}.npy", types[name], size) for name in types}
        except Exception as error:  # NumPy and zipfile raise many types for damaged files
            raise ValueError(f"{path}: damaged: {error}") from error


def _load(archive: zipfile.ZipFile, name: str, beginning: str, file_size: int) -> np.ndarray:
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > file_size:
        raise ValueError(f"{name}: expected no compression")
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"{name}: expected format 1.0")
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(member)
        if not dtype.str[1:].startswith(beginning) or dtype.hasobject or in_columns:
            raise ValueError(f"{name}: expected an array of {beginning}, got {dtype}")
        expected = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or member.tell() + expected != info.file_size:
            raise ValueError(f"{name}: its size does not fit its shape {shape}")
        array = _fill(np.empty(shape, dtype), member)
    if dtype.kind == "U" and array.size and (array.reshape(-1).view("u4") > sys.maxunicode).any():
        raise ValueError(f"{name}: expected text")
    return array


def _fill(array: np.ndarray, member: IO[bytes]) -> np.ndarray:
    """Return an array whose bytes are the rest of a member of an archive."""
    data = array.reshape(-1).view("uint8") if array.size else np.empty(0, "uint8")
    for start in range(0, data.size, _CHUNK):
        part = member.read(min(_CHUNK, data.size - start))
        data[start : start + _CHUNK] = np.frombuffer(part, "uint8")
    member.read(1)  # compares the checksum
    return array
