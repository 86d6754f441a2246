import io
import os

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.system.image_headers import declared_sizes, header_size
from tests import bombs

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype("uint8"))


def encoded(kind, mode="RGB", **options):
    file = io.BytesIO()
    PICTURE.convert(mode).save(file, kind, **options)
    return file.getvalue()


def size_of(tmp_path, content):
    (tmp_path / "image").write_bytes(content)
    return header_size(tmp_path / "image")


@pytest.mark.parametrize(
    "content",
    [
        encoded("JPEG"),
        encoded("JPEG", progressive=True),
        encoded("JPEG", mode="L"),
        encoded("JPEG", mode="CMYK"),
        encoded("JPEG", comment=b"x" * 5000),
        encoded("JPEG", icc_profile=b"y" * 100_000),
        *(encoded("JPEG", comment=b"x" * count) for count in range(3890, 4100, 7)),
        encoded("PNG"),
        encoded("PNG", mode="P"),
        encoded("PNG", mode="L", bits=1),
        encoded("WEBP"),
        encoded("WEBP", lossless=True),
        encoded("WEBP", save_all=True, append_images=[PICTURE.rotate(90)]),
        encoded("WEBP", icc_profile=b"y" * 100),
    ],
)
def test_sizes_are_those_that_were_written(tmp_path, content):
    assert size_of(tmp_path, content) == (30, 20)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd8\xff\xd8" + bytes(30),
        b"\xff\xd8 no marker follows",
        encoded("GIF"),
        encoded("BMP"),
        encoded("PNG")[:20],
        encoded("PNG").replace(b"\0\0\0\x1e", b"\0\0\0\x1f", 1),  # the checksum is of another
        encoded("JPEG")[:200],  # ends before the scan
        encoded("JPEG").replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"),  # 12 bits
        encoded("JPEG").replace(b"\x08\x00\x14\x00\x1e", b"\x08\x00\x00\x00\x1e"),  # no height
    ],
)
def test_other_and_damaged_files_are_left_to_others(tmp_path, content):
    assert size_of(tmp_path, content) is None


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        header_size(tmp_path / "absent.jpg")


def test_a_fifo_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg: expected a regular file"):
        header_size(tmp_path / "a.jpg")


def sizes_in(content):
    return declared_sizes(lambda place, length: content[place : place + length], len(content))


DECLARED = {
    "JPEG": (encoded("JPEG"), [(30, 20)]),
    "PNG": (encoded("PNG"), [(30, 20)]),
    "WebP": (encoded("WEBP"), [(30, 20)]),
    "TIFF": (encoded("TIFF"), [(30, 20)]),
    "TIFF of the other byte order": (
        bombs.tiff(bombs.tiff_tags(30, 20, (256, 3, 1, 30)), order=">"),
        [(30, 20)],
    ),
    "BigTIFF": (bombs.tiff(bombs.tiff_tags(30, 20), big=True), [(30, 20)]),
    "BigTIFF of the other byte order": (
        bombs.tiff(bombs.tiff_tags(30, 20, (257, 3, 1, 20)), order=">", big=True),
        [(30, 20)],
    ),
    "TIFF in tiles": (bombs.tiled(30, 20, 256, 5), [(30, 20), (256, 256)]),
    "JPEG 2000": (bombs.jp2((9, 9), (30, 20)), [(30, 20)]),
    "ICO of PNG": (bombs.icon(bombs.png(30, 20)), [(30, 20)]),
    "ICO of a bitmap": (bombs.icon(bombs.dib(30, 20)), [(30, 40)]),
    "cursor": (bombs.icon(bombs.dib(30, 20), 2), [(30, 40)]),
    "ICNS of PNG": (bombs.icns(bombs.png(30, 20)), [(30, 20)]),
    "ICNS of JPEG 2000": (bombs.icns(bombs.jp2((9, 9), (30, 20))), [(30, 20)]),
    "Radiance": (b"#?RGBE\nA=1\nFORMAT=32-bit_rle_rgbe\n\n-Y 20 +X 30\n", [(30, 20)]),
    "PFM": (b"PF\n30 20\n-1.0\n", [(30, 20)]),
    "PAM": (b"P7\nWIDTH 30\nHEIGHT 20\nDEPTH 3\nMAXVAL 255\nENDHDR\n", [(30, 20)]),
    # Left to Pillow, or to nobody.
    "GIF": (encoded("GIF"), []),
    "BMP": (encoded("BMP"), []),
    "PFM, unusual": (b"PF\n# 9 9\n30 20\n-1.0\n", []),
    "PAM with two widths": (b"P7\nWIDTH 30\nHEIGHT 20\nWIDTH 90\nDEPTH 3\nENDHDR\n", []),
}


@pytest.mark.parametrize("name", DECLARED)
def test_declared_sizes(name):
    content, expected = DECLARED[name]
    assert sizes_in(content) == expected
    for end in range(min(len(content), 400)):  # cut off, never another error
        assert set(sizes_in(content[:end])) <= set(expected)


@pytest.mark.parametrize("name", DECLARED)
def test_damaged_headers_raise_value_errors_alone(name):
    rng, content = np.random.default_rng(0), DECLARED[name][0]
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(0, min(len(content), 300), 4):
            damaged[place] = rng.integers(256)
        try:
            sizes = sizes_in(bytes(damaged))
        except ValueError as error:
            assert "TIFF" in str(error)
        else:
            assert all(min(size) > 0 for size in sizes)
