import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_retinanet import images
from keras_retinanet.system import arrays
from tests.goldens import GOLDENS, predictions

IMAGE = predictions()[2]


def save(path, image=IMAGE):
    assert cv2.imwrite(str(path), image)
    return str(path)


def test_lossless_image_comes_back_as_bgr(tmp_path):
    np.testing.assert_array_equal(images.read_image_bgr(save(tmp_path / "ä b.png")), IMAGE)


def test_grey_alpha_and_16_bit_become_three_bytes(tmp_path):
    grey = IMAGE[..., 0]
    alpha = np.dstack([IMAGE, grey])
    deep = grey.astype("uint16") * 257
    for name, stored, expected in [
        ("grey.png", grey, np.dstack([grey] * 3)),
        ("alpha.png", alpha, IMAGE),
        ("deep.png", deep, np.dstack([grey] * 3)),
    ]:
        np.testing.assert_array_equal(
            images.read_image_bgr(save(tmp_path / name, stored)), expected
        )


def pillow_image(mode):
    image = Image.fromarray(IMAGE[..., ::-1])
    if mode == "RGBA":  # half of the pixels transparent
        image.putalpha(Image.fromarray(np.where(IMAGE[..., 0] > 127, 255, 0).astype("uint8")))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [(".jpg", mode) for mode in ("RGB", "L", "CMYK")]
    + [(".tif", mode) for mode in ("RGB", "L", "P", "RGBA", "CMYK")]
    + [(suffix, mode) for suffix in (".png", ".bmp", ".gif") for mode in ("RGB", "L", "P", "RGBA")]
    + [(".webp", mode) for mode in ("RGB", "RGBA")],
)
def test_a_large_image_is_read_as_a_small_one_is(tmp_path, monkeypatch, suffix, mode):
    path = tmp_path / f"image{suffix}"
    pillow_image(mode).save(path)
    expected = images.read_image_bgr(path)
    monkeypatch.setattr(images, "_LARGE_PIXELS", 0)
    np.testing.assert_array_equal(images.read_image_bgr(path), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_a_large_image_is_turned_as_a_small_one_is(tmp_path, monkeypatch, suffix, orientation):
    path, exif = tmp_path / f"image{suffix}", Image.Exif()
    exif[0x0112] = orientation
    pillow_image("RGB").save(path, exif=exif)
    expected = images.read_image_bgr(path)
    monkeypatch.setattr(images, "_LARGE_PIXELS", 0)
    np.testing.assert_array_equal(images.read_image_bgr(path), expected)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp"])
def test_a_damaged_large_image_is_read_or_refused_as_a_small_one_is(tmp_path, monkeypatch, suffix):
    whole = tmp_path / f"image{suffix}"
    save(whole)
    content = whole.read_bytes()
    for part in np.linspace(0.05, 0.95, 10):
        place = int(part * len(content))
        path = tmp_path / f"{place}{suffix}"
        path.write_bytes(content[:place] + bytes(60) + content[place + 60 :])
        found = []
        for limit in (2**27, 0):
            monkeypatch.setattr(images, "_LARGE_PIXELS", limit)
            try:
                found.append(images.read_image_bgr(path).tolist())
            except ValueError as error:
                found.append(str(error))
        assert found[0] == found[1]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_large_image_takes_the_memory_of_its_pixels(tmp_path, suffix):
    path = tmp_path / f"large{suffix}"
    pixels = np.zeros((11_600, 11_600, 3), "uint8")
    pixels[5000, 6000] = 1, 2, 3
    assert cv2.imwrite(str(path), pixels)
    program = f"""
import resource
from keras_retinanet.images import read_image_bgr
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
image = read_image_bgr({str(path)!r})
taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
assert image.shape == (11600, 11600, 3)
assert {suffix!r} == ".jpg" or image[5000, 6000].tolist() == [1, 2, 3]
assert taken < 1.3 * image.size, taken / image.size
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)


def test_no_image_is_refused_by_name(tmp_path):
    empty, text = tmp_path / "empty.jpg", tmp_path / "text.jpg"
    empty.write_bytes(b"")
    text.write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"empty\.jpg: .* empty file"):
        images.read_image_bgr(empty)
    with pytest.raises(ValueError, match=r"text\.jpg: .* cannot decode"):
        images.read_image_bgr(text)
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg"):
        images.read_image_bgr(tmp_path / "missing.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_half_an_image_is_refused(tmp_path, suffix):
    path = tmp_path / f"half{suffix}"
    save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="cut off"):
        images.read_image_bgr(path)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tmp_path):
    path = tmp_path / "long.jpg"
    save(path)
    path.write_bytes(path.read_bytes() + b"appended by a camera")
    assert images.read_image_bgr(path).shape == IMAGE.shape


@pytest.mark.parametrize("mode", ["caffe", "tf"])
def test_normalises_as_before(mode):
    np.testing.assert_allclose(images.preprocess_image(IMAGE[:9], mode), GOLDENS[mode], atol=1e-5)


def test_rgb_mode_turns_the_channels_round():
    found = images.preprocess_image(np.array([[[0, 127.5, 255]]]), "tf_rgb")
    assert found.tolist() == [[[1, 0, -1]]]
    assert found.dtype == np.float32


@pytest.mark.parametrize("mode", images.NORMALISATIONS)
@pytest.mark.parametrize("shape", [(3,), (4, 3), (5, 7, 3), (2, 5, 7, 3), (0, 7, 3), (5, 7, 1)])
def test_bytes_become_what_floats_become(mode, shape):
    pixels = np.random.default_rng(2).integers(0, 256, shape).astype("uint8")
    before = pixels.copy()
    for given in (pixels, pixels[::-1], pixels[..., ::-1]):
        found = images.preprocess_image(given, mode)
        np.testing.assert_array_equal(found, images.preprocess_image(given.astype("float64"), mode))
        assert found.dtype == np.float32
        assert not np.shares_memory(found, pixels)
        if shape[-1] == 3 and found.size:
            assert arrays.is_aligned(found)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("mode", images.NORMALISATIONS)
@pytest.mark.parametrize("shape", [(3,), (4, 3), (5, 7, 3), (2, 5, 7, 3), (0, 7, 3), (5, 7, 1)])
def test_resized_images_may_be_float(mode, shape):
    pixels = np.random.default_rng(2).integers(0, 256, shape).astype("uint8")
    floats = pixels.astype("float32")
    expected = images.preprocess_image(pixels, mode)
    for given in (floats, np.flip(np.flip(floats).copy()), np.asfortranarray(floats)):
        found = images.preprocess_image(given, mode)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=5e-7)
        assert found.dtype == np.float32
        assert not np.shares_memory(found, given)
        if shape[-1] == 3 and found.size:
            assert arrays.is_aligned(found)
    np.testing.assert_array_equal(floats, pixels)


def test_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="got 'pytorch'"):
        images.preprocess_image(IMAGE, "pytorch")


def test_modes_with_mean_and_deviation():
    pixel = np.array([[[0, 127.5, 255]]])  # blue, green, red
    deviations = [[[(0 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (1 - 0.406) / 0.225]]]
    np.testing.assert_allclose(images.preprocess_image(pixel, "torch"), deviations, rtol=1e-5)
    np.testing.assert_allclose(
        images.preprocess_image(pixel[..., ::-1], "torch_rgb"), deviations, rtol=1e-5
    )
    centred = [[[-103.53, 127.5 - 116.28, 255 - 123.675]]]
    np.testing.assert_allclose(images.preprocess_image(pixel, "detectron"), centred, rtol=1e-6)
    assert images.preprocess_image(pixel, "bgr").tolist() == pixel.tolist()
    assert images.preprocess_image(pixel, "rgb").tolist() == [[[255, 127.5, 0]]]


def test_a_pixel_of_mmdetection_is_one_of_torchvision():
    """MMDetection's PyTorch style subtracts and divides in 0..255, torchvision in 0..1."""
    pixels = images.ALL_VALUES
    mean, deviation = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    found = images.preprocess_image(pixels, "torch_rgb")
    np.testing.assert_allclose(found, (pixels[..., ::-1] - mean) / deviation, rtol=2e-6, atol=2e-7)


def test_floats_are_rounded_to_bytes():
    found = images.to_uint8(np.array([[-3, 0.4, 0.6], [254.4, 254.6, 300]], "float32"))
    assert found.tolist() == [[0, 0, 1], [254, 255, 255]]
    assert found.dtype == np.uint8
    assert images.to_uint8(IMAGE) is IMAGE


def test_resizes_as_before():
    resized, scale = images.resize_image(IMAGE, 50, 110)
    assert scale == GOLDENS["scale"] == 110 / 91
    np.testing.assert_array_equal(resized, GOLDENS["resized"])
    assert type(scale) is float
    again, same = images.resize_image(IMAGE, 50, 110, rule="keras_retinanet")
    np.testing.assert_array_equal(again, resized)
    assert same == scale


def test_an_unknown_rule_of_resizing_is_refused():
    message = r"expected a resize rule of \['detectron2', .*'torchvision'\], got 'pytorch'"
    with pytest.raises(ValueError, match=message):
        images.resize_image(IMAGE, rule="pytorch")


@pytest.mark.parametrize(
    ("shape", "scale"), [((480, 640, 3), 800 / 480), ((400, 1000, 3), 1.333), ((800, 800, 3), 1)]
)
def test_scale_by_hand(shape, scale):
    assert images.compute_resize_scale(shape) == pytest.approx(scale)


def test_a_thread_of_an_image_keeps_a_pixel():
    resized, _ = images.resize_image(np.zeros((1, 5000, 3), "uint8"), 80, 100)
    assert resized.shape == (1, 100, 3)


def test_an_image_that_would_be_huge_after_resizing_is_refused():
    line = np.zeros((1, 30000, 3), "uint8")
    with pytest.raises(
        ValueError, match=r"at most \d+ pixels after resizing, got .* 30000 x 1, 800"
    ):
        images.resize_image(line, 800, 10**9)
    assert images.resize_image(line)[0].shape == (1, 1333, 3)


def test_size_is_read_from_the_header(tmp_path):
    path = save(tmp_path / "a.jpg")
    height, width = IMAGE.shape[:2]
    assert images.image_size(path) == (width, height)
    # The header is enough.
    data = pathlib.Path(path).read_bytes()
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(data[: len(data) // 2])
    assert images.image_size(cut) == (width, height)


def test_size_of_what_is_no_image(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ValueError, match="cannot decode"):
        images.image_size(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError):
        images.image_size(tmp_path / "missing.png")


def test_size_ignores_exif_rotation_as_reading_does(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert images.image_size(tmp_path / "a.jpg") == (30, 20)
    assert images.read_image_bgr(tmp_path / "a.jpg").shape == (20, 30, 3)
