"""Rules of other libraries, compared with what these libraries themselves made of two pictures.

`data/resizing.npz` holds for each rule

- rows of height, width, both after resizing, and both after padding to multiples of 32;
- the input of the library's RetinaNet, normalised and padded, for two pictures: "default" is
  `picture(11, 203, 275)`, "big" `picture(13, 901, 1601)`, in every 69th row and 29th column.

They were computed by torchvision 0.29.1 with torch 2.14.1; by detectron2 of June 2026 (02b5c4e)
with Pillow 13.0; and by MMDetection 3.3.0 with mmcv-lite 2.1.0 and OpenCV 4.12.
"""

import zlib
from pathlib import Path

import numpy as np
import pytest

from keras_retinanet.batches import padding
from keras_retinanet.images import preprocess_image, resize_image
from keras_retinanet.system import arrays, resizing

EXPECTED = np.load(Path(__file__).parent.parent / "data" / "resizing.npz")
MODES = {"torchvision": "torch_rgb", "detectron2": "detectron", "mmdet": "torch_rgb"}
OTHERS = sorted(MODES)
SIZES = {
    "torchvision": resizing.torchvision_size,
    "detectron2": resizing.detectron2_size,
    "mmdet": resizing.mmdet_size,
}


def picture(seed, height, width):
    """RGB slopes with a dozen rectangles and noise, uint8."""
    rng = np.random.default_rng(seed)
    down, right = np.arange(height)[:, None] / height, np.arange(width)[None] / width
    channels = 60 + 120 * down + 0 * right, 180 - 100 * right + 0 * down, 60 + 60 * (down + right)
    image = np.stack(channels, axis=-1)
    for _ in range(12):
        y, x = rng.integers(0, height - 20), rng.integers(0, width - 20)
        rows, columns = rng.integers(10, height // 2), rng.integers(10, width // 2)
        image[y : y + rows, x : x + columns] = rng.integers(0, 256, 3)
    noisy = image + rng.integers(-25, 26, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype("uint8")


@pytest.fixture(scope="module")
def pictures():
    default, big = picture(11, 203, 275), picture(13, 901, 1601)
    assert zlib.crc32(default.tobytes()) == 3265686353
    return {"default": default, "big": big}


@pytest.mark.parametrize("rule", OTHERS)
def test_sizes_are_those_of_the_library(rule):
    for row in EXPECTED[f"{rule}_sizes"].tolist():
        size = SIZES[rule](*row[:2], 800, 1333)
        assert [*row[:2], *size, *padding.multiples_of(32, *size)] == row


@pytest.mark.parametrize("name", ["default", "big"])
@pytest.mark.parametrize("rule", OTHERS)
def test_the_network_sees_what_it_sees_in_its_library(rule, name, pictures):
    resized, factors = resize_image(pictures[name][..., ::-1], rule=rule)
    shape = *padding.multiples_of(32, *resized.shape[:2]), 3
    (padded,) = padding.pad([preprocess_image(resized, MODES[rule])], shape)
    found = padded[::69, ::29]
    expected = EXPECTED[f"{rule}_{name}"]
    tolerance = 2e-5 if rule == "torchvision" else 5e-7  # PyTorch computes in float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.ptp(expected))
    rows, columns = pictures[name].shape[:2]
    np.testing.assert_allclose(np.multiply([columns, rows] * 2, factors), resized.shape[1::-1] * 2)


def test_enlarging_by_hand():
    line = np.array([[0, 100]], "uint8")
    assert resizing.bilinear(line, 1, 4).tolist() == [[0, 25, 75, 100]]
    assert resizing.bilinear_antialiased(line, 1, 4).tolist() == [[0, 25, 75, 100]]
    # A pixel is 0.4 old ones wide; from the centre of the first old one, the second is at 0.1.
    for given in (line, line.astype("float64")):
        found = resizing.bilinear_float(given, 1, 5)
        np.testing.assert_allclose(found, [[0, 10, 50, 90, 100]], atol=1e-4)
        assert found.dtype == np.float32


def test_shrinking_by_hand():
    """A bright pixel in nine that become three: each new one has its centre on an old one."""
    line = np.zeros((1, 9), "uint8")
    line[0, 3] = 90
    assert resizing.bilinear(line, 1, 3).tolist() == [[0, 0, 0]]
    assert resizing.bilinear_float(line, 1, 3).tolist() == [[0, 0, 0]]
    # A triangle over 3 pixels to either side weighs 3, 2 and 1 at 0, 1 and 2 pixels. The first new
    # pixel has 1 + 2 + 3 + 2 in its place, since the line ends; the second 1 + 2 + 3 + 2 + 1.
    found = resizing.bilinear_antialiased(line, 1, 3)
    assert found.tolist() == [[round(90 / 8), 90 * 2 / 9, 0]]


@pytest.mark.parametrize("rule", OTHERS)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_grey_and_float_images_become_what_the_colours_of_others_become(rule, dtype):
    colours = np.random.default_rng(0).integers(0, 256, (37, 61, 3)).astype("uint8")
    expected, factors = resize_image(colours, 30, 45, rule=rule)
    image = colours.astype(dtype)[..., 1]
    before = image.copy()
    for given in (image, image[..., None], np.dstack([image] * 4)):
        found, same = resize_image(given, 30, 45, rule=rule)
        assert found.shape == (*expected.shape[:2], *given.shape[2:])
        # uint8 is rounded, by Pillow once for each axis.
        tolerance = 1e-3 if dtype == "uint8" or rule == "torchvision" else 1.01
        channels = found.reshape(*expected.shape[:2], -1)
        np.testing.assert_allclose(
            channels - expected[..., 1:2].astype("float64"), 0, atol=tolerance
        )
        np.testing.assert_array_equal(same, factors)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("rule", OTHERS)
def test_results_are_new_aligned_arrays_unless_the_size_stays(rule):
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype("uint8")
    for given in (image, image[..., ::-1], image[::-1]):
        found, factors = resize_image(given, 80, 200, rule=rule)
        assert found.shape == (80, 120, 3)
        assert found.dtype == ("float32" if rule == "torchvision" else "uint8")
        assert arrays.is_aligned(found)
        assert found.flags.writeable
        assert factors.tolist() == [2, 2, 2, 2]
        same, factors = resize_image(given, 40, 60, rule=rule)
        assert same is given
        assert factors.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("rule", OTHERS)
def test_a_thread_of_an_image_keeps_a_pixel(rule):
    line = np.full((1, 5000, 3), 7, "uint8")
    for image, shape in ((line, (1, 100, 3)), (line.transpose(1, 0, 2), (100, 1, 3))):
        resized, factors = resize_image(image, 80, 100, rule=rule)
        assert resized.shape == shape
        assert (resized == 7).all()
        np.testing.assert_allclose(sorted(factors), [0.02, 0.02, 1, 1])


@pytest.mark.parametrize("rule", OTHERS)
def test_an_image_that_would_be_huge_after_resizing_is_refused(rule):
    message = r"at most \d+ pixels after resizing, got one of 30000 x 1, 800 times .* 800 and 10"
    with pytest.raises(ValueError, match=message):
        resize_image(np.zeros((1, 30000, 3), "uint8"), 800, 10**9, rule=rule)
