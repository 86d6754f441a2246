"""Small image files that declare huge images, or hide them, for tests of the bounds.

Run as a program, it reads each file that is named and prints what came of it, as JSON.
"""

import io
import json
import struct
import sys
import zlib

from PIL import Image

HUGE = 32_000  # pixels of a side: 2**30 pixels, as many as OpenCV allows, take 3 GB


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *parts, depth=8, colour=2):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = ((b"IHDR", header), *parts, (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


PNG = png(HUGE, HUGE, (b"IDAT", zlib.compress(bytes(10**6))))
ZEROS = zlib.compress(bytes(200_000_000), 9)  # 200 kB


def saved(kind, size=(30, 20), mode="RGB", **options):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind, **options)
    return buffer.getvalue()


def with_bytes(content, *changes):
    """Return content with bytes overwritten: (place, format of struct, values...)."""
    changed = bytearray(content)
    for place, form, *values in changes:
        struct.pack_into(form, changed, place, *values)
    return bytes(changed)


def jpeg(height, width, scan=True, **options):
    content = saved("JPEG", **options)
    frame = content.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    content = with_bytes(content, (frame + 5, ">HH", height, width))
    return content if scan else content[: frame + 40]


def bmp(width, height, bits=24, compression=0):
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 200, 0, 0, 54) + header + bytes(100)


def tiff(tags, order="<", big=False):
    """Return a TIFF of (tag, type, count, value) without pixels."""
    form, entry = ("QHHQQ", "HHQQ") if big else ("HHHII", "HHII")
    start = b"II" if order == "<" else b"MM"
    head = start + struct.pack(
        order + ("HHHQ" if big else "HI"), *((43, 8, 0, 16) if big else (42, 8))
    )
    body = struct.pack(order + form[0], len(tags))
    for tag, kind, count, value in tags:
        if kind == 3 and order == ">":
            value <<= 48 if big else 16
        body += struct.pack(order + entry, tag, kind, count, value)
    return head + body + bytes(8) + bytes(3000)


def tiff_tags(width, height, *more, compression=1, samples=3):
    depth = (258, 3, 1, 8)
    return sorted(
        {
            256: (256, 4, 1, width),
            257: (257, 4, 1, height),
            258: depth,
            259: (259, 3, 1, compression),
            262: (262, 3, 1, 2 if samples == 3 else 1),
            273: (273, 4, 1, 500),
            277: (277, 3, 1, samples),
            278: (278, 4, 1, height),
            279: (279, 4, 1, 1000),
            **{tag[0]: tag for tag in more},
        }.values()
    )


def tiled(width, height, tile, compression):
    more = ((322, 4, 1, tile), (323, 4, 1, tile), (324, 4, 1, 500), (325, 4, 1, 1000))
    tags = tiff_tags(width, height, *more, compression=compression, samples=1)
    return tiff([tag for tag in tags if tag[0] not in (273, 278, 279)])


def webp(kind, data):
    padded = data + bytes(100)
    body = b"WEBP" + kind + struct.pack("<I", len(padded)) + padded
    return b"RIFF" + struct.pack("<I", len(body)) + body


def icon(image, kind=1):
    return (
        struct.pack("<HHH", 0, kind, 1)
        + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(image), 22)
        + image
    )


def dib(width, height):
    return struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, 32, 0, 0, 0, 0, 0, 0) + bytes(100)


def jp2(box=(30, 20), stream=(HUGE, HUGE)):
    content = saved("JPEG2000", (64, 64))
    place = content.index(b"ihdr") + 4
    siz = content.index(b"\xff\x4f\xff\x51")
    return with_bytes(
        content, (place, ">II", *box), (siz + 8, ">II", *stream), (siz + 24, ">II", *stream)
    )


def two_headers():
    """A PNG whose second header, which Pillow obeys, declares more."""
    second = struct.pack(">IIBBBBB", HUGE, HUGE, 8, 2, 0, 0, 0)
    return png(30, 20, (b"IHDR", second), (b"IDAT", zlib.compress(bytes(2000))))


def apng():
    control = struct.pack(">II", 2, 0)
    frame = struct.pack(">IIIIIHHBB", 0, HUGE, HUGE, 0, 0, 1, 1, 0, 0)
    return png(30, 20, (b"acTL", control), (b"fcTL", frame), (b"IDAT", zlib.compress(bytes(2000))))


def gif(screen, frame):
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", *screen, 0x80, 0, 0)
        + bytes(6)
        + b","
        + struct.pack("<HHHHB", 0, 0, *frame, 0)
        + b"\2\2\x44\1\0;"
    )


def psd():
    return b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, HUGE, HUGE, 8, 3) + bytes(14) + bytes(100)


def avif():
    content = saved("AVIF")
    place = content.index(b"ispe") + 8
    return with_bytes(content, (place, ">II", HUGE, HUGE))


def icns(image):
    block = b"ic10" + struct.pack(">I", 8 + len(image)) + image
    return b"icns" + struct.pack(">I", 8 + len(block)) + block


# Bytes that no image of this size may need: each must be refused or read within 300 MB.
BOMBS = {
    "GIF screen": lambda: gif((HUGE, HUGE), (1, 1)),
    "GIF frame": lambda: gif((1, 1), (HUGE, HUGE)),
    "GIF both": lambda: gif((HUGE, HUGE), (HUGE, HUGE)),
    "PNG": lambda: PNG,
    "PNG 16 bit": lambda: png(HUGE, HUGE, (b"IDAT", ZEROS), depth=16, colour=6),
    "PNG all black": lambda: png(20_000, 20_000, (b"IDAT", ZEROS), depth=1, colour=0),
    "PNG two headers": two_headers,
    "PNG zTXt": lambda: png(1, 1, (b"zTXt", b"a\0\0" + ZEROS), (b"IDAT", zlib.compress(bytes(4)))),
    "PNG iCCP": lambda: png(1, 1, (b"iCCP", b"a\0\0" + ZEROS), (b"IDAT", zlib.compress(bytes(4)))),
    "PNG iTXt": lambda: png(
        1, 1, (b"iTXt", b"a\0\1\0\0\0" + ZEROS), (b"IDAT", zlib.compress(bytes(4)))
    ),
    "PNG wrong checksum": lambda: PNG[:29] + b"\0\0\0\0" + PNG[33:],
    "APNG frame": apng,
    "JPEG": lambda: jpeg(HUGE, HUGE),
    "JPEG cut off": lambda: jpeg(HUGE, HUGE, scan=False),
    "JPEG progressive": lambda: jpeg(HUGE, HUGE, progressive=True),
    "JPEG fill bytes": lambda: b"\xff\xd8\xff" + jpeg(HUGE, HUGE)[2:],
    "JPEG junk": lambda: b"\xff\xd8\0\0" + jpeg(HUGE, HUGE)[2:],
    "JPEG CMYK": lambda: jpeg(HUGE, HUGE, mode="CMYK"),
    "JPEG without height (DNL)": lambda: jpeg(0, HUGE),
    "BMP": lambda: bmp(HUGE, HUGE),
    "BMP negative height": lambda: bmp(HUGE, -HUGE),
    "BMP lowest height": lambda: bmp(10, -(2**31)),
    "BMP RLE8": lambda: bmp(HUGE, HUGE, 8, 1),
    "BMP RLE4": lambda: bmp(HUGE, HUGE, 4, 2),
    "BMP one bit": lambda: bmp(HUGE, HUGE, 1),
    "BMP OS/2": lambda: (
        b"BM" + struct.pack("<IHHIIHHHH", 99, 0, 0, 26, 12, HUGE, HUGE, 1, 24) + bytes(99)
    ),
    "TIFF": lambda: tiff(tiff_tags(HUGE, HUGE)),
    "TIFF big-endian": lambda: tiff(tiff_tags(HUGE, HUGE), order=">"),
    "TIFF LZW": lambda: tiff(tiff_tags(HUGE, HUGE, compression=5)),
    "TIFF deflate": lambda: tiff(tiff_tags(HUGE, HUGE, compression=8)),
    "TIFF samples": lambda: tiff(tiff_tags(16_000, 16_000, samples=60_000)),
    "TIFF tiles": lambda: tiled(HUGE, HUGE, 256, 5),
    "TIFF huge tile": lambda: tiled(10, 10, 32_000, 5),
    "TIFF huge raw tile": lambda: tiled(10, 10, 32_000, 1),
    "BigTIFF": lambda: tiff(tiff_tags(HUGE, HUGE), big=True),
    "BigTIFF of 2^60 tags": lambda: (
        b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**60) + bytes(3000)
    ),
    "TIFF tags over each other": lambda: (
        tiff(tiff_tags(30, 20, *((30_000 + i, 7, 600_000, 500) for i in range(10_000))))
        + bytes(600_000)
    ),
    "TIFF floats": lambda: tiff(tiff_tags(HUGE, HUGE, (258, 3, 1, 64), (339, 3, 1, 3), samples=1)),
    "WebP VP8": lambda: webp(b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383)),
    "WebP VP8L": lambda: webp(b"VP8L", b"\x2f" + struct.pack("<I", 16382 | 16382 << 14)),
    "WebP VP8X": lambda: webp(b"VP8X", b"\x02\0\0\0" + b"\xff\xff\0" * 2),
    "AVIF": avif,
    "JPEG 2000": lambda: jp2((HUGE, HUGE)),
    "JPEG 2000 codestream": lambda: jp2(),
    "JPEG 2000 raw": lambda: (lambda data: data[data.index(b"\xff\x4f\xff\x51") :])(jp2()),
    "PPM": lambda: b"P6 32000 32000 255\n" + bytes(100),
    "PPM with comment": lambda: b"P6\n# 10 10\n32000 32000 255\n" + bytes(100),
    "PPM text": lambda: b"P3 32000 32000 255\n" + b"0 " * 100,
    "PGM": lambda: b"P5 32000 32000 65535\n" + bytes(100),
    "PBM": lambda: b"P4 32000 32000\n" + bytes(100),
    "PAM": lambda: b"P7\nWIDTH 32000\nHEIGHT 32000\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n",
    "PAM decoy": lambda: (
        b"P7\nWIDTH 10\nHEIGHT 10\nHEIGHT 32000\nWIDTH 32000\nDEPTH 3\nMAXVAL 255\n"
        b"TUPLTYPE RGB\nENDHDR\n"
    ),
    "PFM": lambda: b"PF\n32000 32000\n-1.0\n" + bytes(100),
    "PFM grey": lambda: b"Pf\n32000 32000\n-1.0\n" + bytes(100),
    "HDR": lambda: b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 32000 +X 32000\n" + bytes(100),
    "HDR decoy": lambda: (
        b"#?RADIANCE\n-Y 10 +X 10\nFORMAT=32-bit_rle_rgbe\n\n-Y  +32000  +X  +32000\n" + bytes(100)
    ),
    "Sun raster": lambda: struct.pack(">8I", 0x59A66A95, HUGE, HUGE, 24, 0, 1, 0, 0) + bytes(100),
    "ICO with PNG": lambda: icon(PNG),
    "ICO with bitmap": lambda: icon(dib(HUGE, HUGE)),
    "CUR with bitmap": lambda: icon(dib(HUGE, HUGE), 2),
    "ICNS with PNG": lambda: icns(PNG),
    "ICNS with JPEG 2000": lambda: icns(jp2()),
    "PSD": psd,
    "TGA": lambda: with_bytes(saved("TGA"), (12, "<HH", HUGE, HUGE)),
    "TGA RLE": lambda: with_bytes(saved("TGA", compression="tga_rle"), (12, "<HH", HUGE, HUGE)),
    "PCX": lambda: with_bytes(saved("PCX"), (8, "<HH", HUGE, HUGE)),
    "SGI": lambda: with_bytes(saved("SGI"), (6, ">HH", HUGE, HUGE)),
    "DDS": lambda: with_bytes(saved("DDS"), (12, "<II", HUGE, HUGE)),
    "QOI": lambda: b"qoif" + struct.pack(">IIBB", HUGE, HUGE, 3, 0) + b"\xfd" * 100,
    "XBM": lambda: b"#define a_width 32000\n#define a_height 32000\nstatic char a_bits[] = {0x00};",
    "EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32000 32000\n%%EndComments\n",
}


def main(paths):
    """Print a line for each file: its path, the error or the shape, the peak of memory in MB."""
    import resource

    from keras_retinanet.images import image_size, read_image_bgr

    image = io.BytesIO()
    Image.new("RGB", (9, 9)).save(image, "TIFF")
    Image.open(image).load()
    Image.init()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in paths:
        outcome = []
        for function in (read_image_bgr, image_size):
            try:
                found = function(path)
                outcome.append(list(getattr(found, "shape", found)))
            except (ValueError, OSError) as error:
                outcome.append(f"{type(error).__name__}: {error}")
            except BaseException as error:
                outcome.append(f"BUG {type(error).__name__}: {error}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps([path, *outcome, round(peak / 1024, 1)]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
