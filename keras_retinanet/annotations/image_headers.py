"""Width and height of JPEG and PNG files, read from their first bytes.

Pillow does the same in three to four times as long, which is seconds for 100,000 images.
"""

import os
import struct
import zlib

from keras_retinanet.system.types import StrPath

# Markers of JPEG (ITU T.81, table B.1) that begin a frame header, which holds the size.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
# Bytes to read at once: enough for the headers, unless there is a thumbnail or a colour profile.
_BLOCK = 4096


def header_size(path: StrPath) -> tuple[int, int] | None:
    """Return width and height in the header of a JPEG or PNG file.

    None if it is neither, or an unusual or damaged one, which other readers may still understand.

    Raises:
        OSError: if the file cannot be opened.
    """
    # `open` makes more system calls, which takes half as long again.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        head = os.read(handle, _BLOCK)
        if head.startswith(b"\xff\xd8"):
            return _jpeg_size(handle, head)
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png_size(head)
    except (struct.error, IndexError):  # the file ends too early
        pass
    finally:
        os.close(handle)
    return None


def _png_size(head: bytes) -> tuple[int, int] | None:
    """Return the size in the chunk IHDR (W3C PNG, 11.2.1), if its checksum is right."""
    length, kind = struct.unpack_from(">I4s", head, 8)
    width, height = struct.unpack_from(">II", head, 16)
    (checksum,) = struct.unpack_from(">I", head, 29)
    if (length, kind) != (13, b"IHDR") or zlib.crc32(head[12:29]) != checksum:
        return None
    return _if_positive(width, height)


def _jpeg_size(handle: int, block: bytes) -> tuple[int, int] | None:
    """Return the size in the frame header (ITU T.81, B.2.2), if a scan follows."""
    start, place = 0, 2  # `block` is the file from `start` on
    size: tuple[int, int] | None = None
    while True:
        if place + 10 > start + len(block):
            os.lseek(handle, place, os.SEEK_SET)
            start, block = place, os.read(handle, _BLOCK)
        at = place - start
        if block[at] != 0xFF:
            return None
        marker = block[at + 1]
        if marker == _START_OF_SCAN:
            return size
        (length,) = struct.unpack_from(">H", block, at + 2)
        if marker in _FRAMES:
            precision, height, width = struct.unpack_from(">BHH", block, at + 4)
            size = _if_positive(width, height)
            if precision != 8 or size is None:
                return None
        # A fill byte, or a marker without a length: too rare to handle here.
        if marker < 0xC0 or 0xD0 <= marker <= 0xD9 or marker == 0xFF or length < 2:
            return None
        place += 2 + length


def _if_positive(width: int, height: int) -> tuple[int, int] | None:
    return (width, height) if width and height else None
