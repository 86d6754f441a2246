"""Widths and heights that image files declare, read from their headers without decoding.

For JPEG, PNG and WebP, Pillow does the same in three to four times as long, which is seconds for
100,000 images. For the other formats these are sizes that Pillow does not tell before it decodes.
"""

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from keras_retinanet.system.files import only_regular
from keras_retinanet.system.types import StrPath

Size = tuple[int, int]
# (place, length) -> the bytes of a file there, fewer at its end.
Read = Callable[[int, int], bytes]

# Markers of JPEG (ITU T.81, table B.1) that begin a frame header, which holds the size.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
# Bytes to read at once: enough for the headers, unless there is a thumbnail or a colour profile.
_BLOCK = 4096
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_2000 = b"\xff\x4f\xff\x51"
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
# More parts than this no image has.
_MAX_PARTS = 2**16


def header_size(path: StrPath) -> Size | None:
    """Return width and height in the header of a JPEG, PNG or WebP file.

    None if it is none of them, or an unusual or damaged one, which other readers may still
    understand.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is no regular file.
    """

    def read(place: int, length: int) -> bytes:
        os.lseek(handle, place, os.SEEK_SET)
        return os.read(handle, length)

    # `open` makes more system calls, which takes half as long again.
    handle = only_regular(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        return _usual_size(read)
    finally:
        os.close(handle)


def declared_sizes(read: Read, length: int) -> list[Size]:
    """Return the sizes that an image file declares and for which a decoder takes memory.

    They are the width and height of a JPEG, PNG, WebP, TIFF, Radiance HDR, PFM or PAM file, of the
    tiles of a TIFF, of the codestream of a JPEG 2000 file, and of the images inside an ICO, CUR or
    ICNS file.

    Args:
        read: function that reads the file.
        length: its size in bytes.

    Returns:
        The sizes; empty for other formats, and for a header that is unusual or damaged.

    Raises:
        ValueError: without the file's name, for a header of more parts than fit the file.
    """
    usual = _usual_size(read)
    if usual is not None:
        return [usual]
    head = read(0, _BLOCK)
    sizes: list[Size] = []
    try:
        for start, others in _OTHERS.items():
            if head.startswith(start):
                sizes += others(read, length)
    except (struct.error, IndexError):  # the file ends too early
        pass
    return [size for size in sizes if min(size) > 0]


def _usual_size(read: Read) -> Size | None:
    """Return the size of a JPEG, PNG or WebP file."""
    head = read(0, _BLOCK)
    try:
        if head.startswith(b"\xff\xd8"):
            return _jpeg_size(read, head)
        if head.startswith(_PNG):
            return _png_size(head)
        if head.startswith(b"RIFF"):
            return _webp_size(head)
    except (struct.error, IndexError):  # the file ends too early
        pass
    return None


def _png_size(head: bytes) -> Size | None:
    """Return the size in the chunk IHDR (W3C PNG, 11.2.1), if its checksum is right."""
    length, kind = struct.unpack_from(">I4s", head, 8)
    width, height = struct.unpack_from(">II", head, 16)
    (checksum,) = struct.unpack_from(">I", head, 29)
    if (length, kind) != (13, b"IHDR") or zlib.crc32(head[12:29]) != checksum:
        return None
    return _if_positive(width, height)


def _jpeg_size(read: Read, block: bytes) -> Size | None:
    """Return the size in the frame header (ITU T.81, B.2.2), if a scan follows."""
    start, place = 0, 2  # `block` is the file from `start` on
    size: Size | None = None
    while True:
        if place + 10 > start + len(block):
            start, block = place, read(place, _BLOCK)
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


def _if_positive(width: int, height: int) -> Size | None:
    return (width, height) if width and height else None


def _webp_size(head: bytes) -> Size | None:
    """Return the size in the first chunk of a WebP file (RFC 9649, 2.5 to 2.7)."""
    if head[8:16] == b"WEBPVP8X":
        width, height = (int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
        return (width + 1, height + 1) if len(head) >= 30 else None
    if head[8:16] == b"WEBPVP8L" and head[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[8:16] == b"WEBPVP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 26)
        return _if_positive(width & 0x3FFF, height & 0x3FFF)
    return None


def _tiff_sizes(read: Read, length: int) -> Iterator[Size]:
    """Yield the sizes of the first image of a TIFF or BigTIFF file and of its tiles.

    Raises:
        ValueError: if the values of its tags take more room than the file, each from the same
            bytes: a reader would copy them for each.
    """
    head = read(0, 16)
    order = "<" if head.startswith(b"II") else ">"
    big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
    (place,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", head, 8 if big else 4)
    number, entry = struct.Struct(order + "HQ"[big]), struct.Struct(order + ("HHII", "HHQQ")[big])
    (count,) = number.unpack(read(place, number.size))
    if count >= _MAX_PARTS:
        raise ValueError(f"expected a TIFF of fewer than {_MAX_PARTS} tags, got {count}")
    # A short value stands at the beginning of its field, in either byte order.
    entries = read(place + number.size, count * entry.size)
    tags: dict[int, int] = {}
    values = 0
    for at in range(0, len(entries) - entry.size + 1, entry.size):
        tag, kind, amount, value = entry.unpack_from(entries, at)
        values += amount * _TIFF_BYTES.get(kind, 0)
        if kind == 3:
            (value,) = struct.unpack_from(f"{order}H", entries, at + entry.size - (8 if big else 4))
        tags[tag] = max(value, tags.get(tag, 0))  # readers differ in which of two they take
    if values > 2 * length + 2**20:
        raise ValueError(f"expected TIFF tags within {length} bytes, got {values} bytes of them")
    yield tags.get(256, 0), tags.get(257, 0)
    yield tags.get(322, 0), tags.get(323, 0)


# Bytes of a value, by the number of its type (TIFF 6.0, section 2; BigTIFF).
_TIFF_BYTES = dict(
    zip(range(1, 19), (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8), strict=True)
)


def _jpeg_2000_sizes(read: Read, length: int, start: int = 0) -> Iterator[Size]:
    """Yield the size of the codestream of a JPEG 2000 file (ISO 15444-1, A.5.1 and I.4).

    The size in the box around it is what Pillow tells; decoders use that of the codestream.
    """
    place = start
    for _ in range(_MAX_PARTS):
        head = read(place, 24)
        if len(head) < 24:
            return
        if head.startswith(_JPEG_2000):
            right, bottom, left, top = struct.unpack_from(">4I", head, 8)
            yield right - left, bottom - top
            return
        box, kind, long_box = struct.unpack_from(">I4sQ", head)
        if kind == b"jp2c":
            place += 16 if box == 1 else 8
        else:
            place += max(8, long_box if box == 1 else box)


def _image_sizes_at(read: Read, length: int, place: int) -> Iterator[Size]:
    """Yield the sizes of an image inside an icon: PNG, JPEG 2000, or a bitmap without its header.

    A bitmap of an icon declares twice its height.
    """
    head = read(place, 32)
    if len(head) < 24:
        return
    if head.startswith(_PNG):
        yield struct.unpack_from(">II", head, 16)
    elif head.startswith((_JPEG_2000, _JP2)):
        yield from _jpeg_2000_sizes(read, length, place)
    elif head.startswith(b"\x0c\0\0\0"):
        yield struct.unpack_from("<HH", head, 4)
    else:
        width, height = struct.unpack_from("<ii", head, 4)
        yield width, abs(height)


def _icon_sizes(read: Read, length: int) -> Iterator[Size]:
    """Yield the sizes of the images in a Windows icon or cursor."""
    (count,) = struct.unpack("<H", read(4, 2))
    for (place,) in struct.iter_unpack("<12xI", read(6, 16 * count)[: 16 * count]):
        yield from _image_sizes_at(read, length, place)


def _apple_icon_sizes(read: Read, length: int) -> Iterator[Size]:
    """Yield the sizes of the PNG and JPEG 2000 images in an Apple icon."""
    place = 8
    for _ in range(_MAX_PARTS):
        if place >= length:
            return
        (block,) = struct.unpack(">I", read(place + 4, 4))
        if read(place + 8, 4) in (_PNG[:4], _JPEG_2000, _JP2[:4]):
            yield from _image_sizes_at(read, length, place + 8)
        place += max(block, 8)


def _text_sizes(read: Read, length: int) -> Iterator[Size]:
    """Yield the size in a header that is text, of a format that OpenCV reads and Pillow does not.

    The patterns are stricter than OpenCV, so that both see the same numbers.
    """
    head = read(0, _BLOCK)
    for pattern in _TEXT_HEADERS:
        if found := re.match(pattern, head):
            yield int(found["width"]), int(found["height"])


_TEXT_HEADERS = (
    # Radiance HDR
    rb"#\?(?:[^\n]*\n)*?FORMAT=32-bit_rle_rgbe\n\n-Y (?P<height>\d{1,9}) \+X (?P<width>\d{1,9})\n",
    # PFM in colour
    rb"PF\n(?P<width>\d{1,9})[ \n](?P<height>\d{1,9})\n",
    # PAM
    rb"P7\nWIDTH (?P<width>\d{1,9})\nHEIGHT (?P<height>\d{1,9})\n"
    rb"(?:(?![^\n]*(?:WIDTH|HEIGHT))[^\n]*\n)*?ENDHDR\n",
)

# First bytes of a file -> the sizes that it declares.
_OTHERS: dict[bytes, Callable[[Read, int], Iterator[Size]]] = {
    b"II*\0": _tiff_sizes,
    b"II+\0": _tiff_sizes,
    b"MM\0*": _tiff_sizes,
    b"MM\0+": _tiff_sizes,
    _JP2: _jpeg_2000_sizes,
    b"\0\0\1\0": _icon_sizes,
    b"\0\0\2\0": _icon_sizes,
    b"icns": _apple_icon_sizes,
    b"#?": _text_sizes,
    b"PF": _text_sizes,
    b"P7": _text_sizes,
}
