"""The checksum at the end of an `.h5` snapshot.

It covers every byte before it, also those that describe the weights, so it is checked before the
HDF5 library sees them. HDF5 ignores what follows its own data, so other programs read the file as
ever; and one that changes the file cuts the checksum off when it closes it.
"""

import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from keras_retinanet.system.files import only_regular
from keras_retinanet.system.types import StrPath

_MARK = b"\nkeras-retinanet crc32 "
_LENGTH = len(_MARK) + 8  # eight hexadecimal digits
_BLOCK_BYTES = 2**20


def add_checksum(path: StrPath) -> None:
    """Append its checksum to a file.

    Raises:
        OSError: if the file cannot be read or written.
    """
    with open(path, "r+b") as file:
        checksum = _crc32(_blocks(file, file.seek(0, io.SEEK_END)))
        file.seek(0, io.SEEK_END)
        file.write(_MARK + b"%08x" % checksum)


def file_checksum(path: StrPath) -> int:
    """Return the CRC-32 of all bytes of a file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no regular file.
    """
    with open(path, "rb", opener=only_regular) as file:
        return _crc32(_blocks(file, file.seek(0, io.SEEK_END)))


def check_checksum(file: BinaryIO, *, required: bool = False) -> None:
    """Check a file that ends in a checksum.

    Args:
        file: the file.
        required: whether a file without a checksum is damaged; otherwise it passes.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is damaged.
    """
    length = file.seek(0, io.SEEK_END) - _LENGTH
    file.seek(max(0, length))
    end = file.read()
    if not (required or end.startswith(_MARK)):
        return
    if not end.startswith(_MARK) or end[len(_MARK) :] != b"%08x" % _crc32(_blocks(file, length)):
        raise ValueError(
            "the file is damaged: its checksum is not that of its contents. Use another copy or "
            "an earlier snapshot"
        )


def _crc32(blocks: Iterator[bytes]) -> int:
    checksum = 0
    for block in blocks:
        checksum = zlib.crc32(block, checksum)
    return checksum


def _blocks(file: BinaryIO, length: int) -> Iterator[bytes]:
    """Yield the first bytes of a file in blocks."""
    file.seek(0)
    while length > 0 and (block := file.read(min(length, _BLOCK_BYTES))):
        length -= len(block)
        yield block
