import io

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.annotations.image_headers import header_size

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
