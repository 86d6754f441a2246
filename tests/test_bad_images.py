"""Unusual and damaged image files: what they become, or what is said of them."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_retinanet import images
from keras_retinanet.images import image_size, preprocess_image, read_image_bgr, resize_image
from tests import bombs

Y, X = np.mgrid[:20, :30]
PIXELS = np.stack([8 * X, 12 * Y, 5 * (X + Y)], axis=-1).astype("uint8")  # RGB
RGB = Image.fromarray(PIXELS)
RGBA = Image.fromarray(np.dstack([PIXELS, (8 * X).astype("uint8")]))
PALETTE = RGB.quantize(16)
TURNED = Image.Exif()
TURNED[0x0112] = 6  # by a quarter
JPEG = {"quality": 95}

# file -> image, how Pillow saves it
READABLE = {
    "rgb.jpg": (RGB, JPEG),
    "progressive.jpg": (RGB, {"progressive": True}),
    "several.jpg": (RGB, {"format": "MPO", "save_all": True, "append_images": [RGB.rotate(90)]}),
    "grey.jpg": (RGB.convert("L"), JPEG),
    "grey.png": (RGB.convert("L"), {}),
    "black and white.png": (RGB.convert("1"), {}),
    "palette.png": (PALETTE, {}),
    "palette of 4.png": (RGB.quantize(4), {"bits": 2}),
    "palette, one transparent.png": (PALETTE, {"transparency": 3}),
    "palette, half transparent.png": (PALETTE, {"transparency": bytes(range(0, 160, 10))}),
    "palette.gif": (PALETTE, {}),
    "palette, one transparent.gif": (PALETTE, {"transparency": 3}),
    "palette.bmp": (PALETTE, {}),
    "alpha.png": (RGBA, {}),
    "alpha.webp": (RGBA, {"lossless": True, "exact": True}),
    "alpha.tif": (RGBA, {}),
    "grey and alpha.png": (RGBA.convert("LA"), {}),
    "grey and alpha.tif": (RGBA.convert("LA"), {}),
    "one colour transparent.png": (RGB, {"transparency": (0, 0, 0)}),
    "exif.jpg": (RGB, {"exif": TURNED, **JPEG}),
    "exif.png": (RGB, {"exif": TURNED}),
    "exif.webp": (RGB, {"exif": TURNED, "lossless": True}),
    "turned.tif": (RGB, {"tiffinfo": {274: 6}}),
    "cmyk.tif": (RGB.convert("CMYK"), {}),
    "lzw.tif": (RGB, {"compression": "tiff_lzw"}),
    "rgb.bmp": (RGB, {}),
    "rgb.ppm": (RGB, {}),
    "rgb.tga": (RGB, {}),
    "rgb.ico": (RGB, {}),
    "rgb.pcx": (RGB, {}),
    "rgb.jp2": (RGB, {}),
    "rgb.icns": (RGB.resize((16, 16)), {}),
    "rgb.qoi": (RGB, {}),
    "big.tif": (RGB, {"big_tiff": True}),
    "tiles.tif": (RGB, {"compression": "tiff_deflate", "tiffinfo": {322: 16, 323: 16}}),
    "animated.gif": (PALETTE, {"save_all": True, "append_images": [PALETTE.rotate(90)]}),
    "animated.png": (RGB, {"save_all": True, "append_images": [RGB.rotate(180)]}),
    "1x1.png": (RGB.crop((20, 9, 21, 10)), {}),
    "1x1.jpg": (RGB.crop((20, 9, 21, 10)), JPEG),
    "wide.jpg": (RGB.resize((20000, 30)), JPEG),
    "wide.png": (RGB.resize((20000, 2)), {}),
    "ä é 数据.jpg": (RGB, JPEG),
}


def saved(folder, name):
    image, options = READABLE[name]
    image.save(folder / name, **options)
    return folder / name


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("name", READABLE)
def test_the_colours_are_those_that_keras_retinanet_read(tmp_path, name):
    """It was Pillow, told to convert to RGB: without transparency, turned only if a TIFF."""
    path = saved(tmp_path, name)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))[..., ::-1]
    found = read_image_bgr(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    assert image_size(path) == (found.shape[1], found.shape[0])
    resized, _ = resize_image(found, 80, 120)
    assert preprocess_image(resized).shape[2] == 3
    assert max(resized.shape) <= 120


@pytest.mark.parametrize("name", ["exif.jpg", "exif.png", "exif.webp"])
def test_exif_rotation_is_ignored(tmp_path, name):
    found = read_image_bgr(saved(tmp_path, name))
    np.testing.assert_allclose(found[..., ::-1], PIXELS, atol=9)  # JPEG is not exact
    assert image_size(tmp_path / name) == (30, 20)


def test_the_orientation_of_a_tiff_is_obeyed(tmp_path):
    found = read_image_bgr(saved(tmp_path, "turned.tif"))
    np.testing.assert_array_equal(found[..., ::-1], np.rot90(PIXELS, -1))


def test_cmyk_jpeg_is_converted(tmp_path):
    RGB.convert("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    np.testing.assert_allclose(read_image_bgr(tmp_path / "a.jpg")[..., ::-1], PIXELS, atol=4)
    assert image_size(tmp_path / "a.jpg") == (30, 20)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_of_16_bits_the_upper_8_are_kept(tmp_path, suffix):
    """Pillow cut grey values off at 255, which left a white image."""
    deep = (2000 * X + 300 * Y).astype("uint16")
    Image.fromarray(deep).save(tmp_path / f"a{suffix}")
    found = read_image_bgr(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(found, np.dstack([deep // 256] * 3))
    assert image_size(tmp_path / f"a{suffix}") == (30, 20)


def test_16_bits_of_each_colour(tmp_path):
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in PIXELS.astype("uint16") * 257)
    (tmp_path / "a.png").write_bytes(png(30, 20, rows, depth=16))
    np.testing.assert_array_equal(read_image_bgr(tmp_path / "a.png")[..., ::-1], PIXELS)


def png(width, height, rows, depth=8):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def encoded(kind, image=RGB, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def part_of(content, share):
    return content[: int(len(content) * share)]


def overwritten(content):
    middle = content.index(b"IDAT") + 40
    return content[:middle] + b"\x55" * 9 + content[middle + 9 :]


FLOAT = Image.fromarray(np.float32(X))
UNREADABLE = {
    "zero bytes": (b"", "expected an image, got an empty file"),
    "text": (
        b"404 not found",
        "expected an image, got a file that OpenCV and Pillow cannot decode",
    ),
    "JPEG cut off": (part_of(encoded("JPEG"), 0.9), "the image is cut off in the middle"),
    "progressive JPEG cut off": (
        part_of(encoded("JPEG", progressive=True), 0.7),
        "the image is cut off in the middle",
    ),
    "JPEG cut off in its header": (part_of(encoded("JPEG"), 0.1), "expected an image, got a file"),
    "two bytes of a JPEG": (b"\xff\xd8", "expected an image, got a file that OpenCV and Pillow"),
    "PNG cut off": (part_of(encoded("PNG"), 0.7), "the image is cut off in the middle"),
    "PNG overwritten": (overwritten(encoded("PNG", RGBA)), "expected an image, got a file"),
    "PNG without pixels": (png(30, 20, b""), "expected an image, got a file"),
    "PNG without width": (png(0, 20, b""), "expected an image, got a file"),
    "BMP cut off": (part_of(encoded("BMP"), 0.9), "expected an image, got a file"),
    "GIF cut off": (part_of(encoded("GIF"), 0.9), "expected an image, got a file"),
    "WebP cut off": (part_of(encoded("WEBP"), 0.9), "expected an image, got a file"),
    "TIFF cut off": (part_of(encoded("TIFF"), 0.9), "expected an image, got a file"),
    "TIFF of floats": (encoded("TIFF", FLOAT), "expected an image, got a file"),
}


@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF data")
@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_named(tmp_path, case):
    content, message = UNREADABLE[case]
    path = tmp_path / "é.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_image_bgr(path)
    assert str(error.value).startswith(f"{path}: {message}")
    # The size comes from the header if that is whole, else the error is the same.
    try:
        assert image_size(path) == (30, 20)
    except ValueError as failure:
        assert str(failure) == str(error.value)


def test_a_folder_is_no_image(tmp_path):
    for function in (read_image_bgr, image_size):
        with pytest.raises(IsADirectoryError, match=str(tmp_path)):
            function(tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_damaged_bytes_are_read_or_named(tmp_path, kind):
    """Whatever the bytes, size and array agree, and an error is a ValueError with the file."""
    rng, path, content = np.random.default_rng(1), tmp_path / "a.jpg", encoded(kind, RGB)
    for _ in range(40):
        damaged = bytearray(content)
        # Not the sides of a PNG: a gigapixel takes OpenCV half a minute.
        for place in rng.integers(24, min(len(content), 200), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            height, width = read_image_bgr(path).shape[:2]
        except ValueError as error:
            assert str(path) in str(error)
        else:
            assert image_size(path) == (width, height)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("name", READABLE)
def test_the_bound_on_pixels_is_that_of_the_caller(tmp_path, name, monkeypatch):
    path = saved(tmp_path, name)
    if not name.endswith(
        (".ico", ".icns")
    ):  # Pillow's own bound matters for the images inside icons alone
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    width, height = image_size(path)
    assert read_image_bgr(path, max_pixels=width * height).shape == (height, width, 3)
    with pytest.raises(ValueError) as error:
        read_image_bgr(path, max_pixels=width * height - 1)
    sizes = f"({width} x {height}|{height} x {width})$"  # a TIFF may be turned
    assert str(error.value).startswith(f"{path}: expected an image of at most {width * height - 1}")
    assert re.search(f"got a header that declares {sizes}", str(error.value))


def test_no_header_makes_a_decoder_take_memory(tmp_path):
    """In one process of their own, whose peak only grows."""
    paths = []
    for number, (name, content) in enumerate(bombs.BOMBS.items()):
        paths.append(str(tmp_path / f"{number} {name.replace('/', '')}"))
        (tmp_path / paths[-1]).write_bytes(content())
        assert os.path.getsize(paths[-1]) < 1_500_000
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, bombs.__file__, *paths], check=True, capture_output=True, env=environment
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [path for path, *_ in results] == paths
    for path, read, _, peak in results:
        assert peak < 100, path  # megabytes
        # Some have a small image beside what is huge.
        assert read == [1, 1, 3] or read.startswith(f"ValueError: {path}: "), read
        assert len(str(read)) - len(path) < 300


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
@pytest.mark.parametrize("function", [read_image_bgr, image_size])
def test_a_fifo_is_no_image(tmp_path, function):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg: expected a regular file"):
        function(tmp_path / "a.jpg")


def test_a_file_larger_than_any_image_is_not_read(tmp_path):
    path = tmp_path / "a.jpg"
    path.touch()
    os.truncate(path, 200 * 10**9)
    with pytest.raises(ValueError, match=r"a\.jpg: expected a file of at most \d+ bytes, got 2000"):
        read_image_bgr(path)
    with pytest.raises(ValueError, match=r"a\.jpg: expected a file of at most"):
        image_size(path)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OverflowError("x"), struct.error("x"), SyntaxError("x"), cv2.error("x")],
)
def test_an_error_of_a_decoder_names_the_file(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(cv2, "imdecode", fail)
    monkeypatch.setattr(images, "_opened_by_pillow", fail)
    path = saved(tmp_path, "rgb.jpg")
    with pytest.raises(ValueError, match=r"rgb\.jpg: expected an image"):
        read_image_bgr(path)


@pytest.mark.parametrize("name", ["a.hdr", "a.pfm", "a.pam", "a.sr", "a.avif", "a.pgm"])
def test_what_opencv_writes_is_read(tmp_path, name):
    picture = np.ascontiguousarray(PIXELS[..., ::-1])
    if name in ("a.hdr", "a.pfm"):
        picture = picture.astype("float32") / 255
    if name == "a.pgm":
        picture = picture[..., 0]
    assert cv2.imwrite(str(tmp_path / name), picture)
    found = read_image_bgr(tmp_path / name)
    assert found.shape == (20, 30, 3)
    assert image_size(tmp_path / name) == (30, 20)
    with pytest.raises(ValueError, match="declares 30 x 20"):
        read_image_bgr(tmp_path / name, max_pixels=599)


@pytest.mark.parametrize("chunk", [b"IDAT", b"tEXt"])
def test_a_png_chunk_longer_than_its_file_takes_no_memory(tmp_path, chunk):
    resource = pytest.importorskip("resource")
    picture = cv2.imencode(".png", np.zeros((9, 9, 3), "uint8"))[1].tobytes()
    head, rest = picture[:33], picture[33:]
    if chunk == b"tEXt":
        text = chunk + b"a" * 8
        rest = (8).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big") + rest
    path = tmp_path / "a.png"
    path.write_bytes(head + rest)
    assert read_image_bgr(path).shape == (9, 9, 3)
    path.write_bytes(head + b"\xff\xff\xff\xf0" + rest[4:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"a\.png: the image is cut off"):
        read_image_bgr(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
