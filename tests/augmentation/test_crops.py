import numpy as np
import pytest

from keras_retinanet.augmentation import crops, transforms
from keras_retinanet.augmentation.crops import RandomCrop
from keras_retinanet.augmentation.transforms import TransformParameters

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype("uint8")
PARAMETERS = TransformParameters(fill_mode="constant")
BOXES = {
    "labels": np.array([4, 5, 6]),
    "bboxes": np.array([[5.0, 5, 15, 15], [0, 0, 8, 8], [30, 20, 40, 30]]),
}


def test_nothing_to_do_gives_the_same_objects():
    image, annotations = crops.warp_and_crop(IMAGE, BOXES, np.eye(3), PARAMETERS)
    assert image is IMAGE
    assert annotations is BOXES


def test_a_crop_cuts_pixels_and_clips_or_drops_boxes():
    image, found = crops.warp_and_crop(IMAGE, BOXES, np.eye(3), PARAMETERS, (6, 5, 26, 20))
    np.testing.assert_array_equal(image, IMAGE[5:20, 6:26])
    # Of the second box 2 x 3 of 64 pixels are left, of the third none.
    assert found["bboxes"].tolist() == [[0, 0, 9, 10]]
    assert found["labels"].tolist() == [4]
    assert BOXES["bboxes"][0].tolist() == [5, 5, 15, 15]


@pytest.mark.parametrize("fill", transforms.BORDER_MODES)
def test_cropping_a_moved_image_is_moving_then_cropping(fill):
    transform = transforms.adjust_transform_for_image(transforms.rotation(0.5), IMAGE, True)
    parameters = TransformParameters(fill)
    whole, _ = crops.warp_and_crop(IMAGE, BOXES, transform, parameters)
    part, found = crops.warp_and_crop(IMAGE, BOXES, transform, parameters, (4, 3, 34, 29))
    assert part.shape == (26, 30, 3)
    # OpenCV rounds places to 1/32 of a pixel, which noise shows.
    assert np.abs(part.astype(int) - whole[3:29, 4:34]).mean() < 1
    expected = transforms.transform_boxes(transform, BOXES["bboxes"])[0] - [4, 3, 4, 3]
    np.testing.assert_allclose(found["bboxes"][0], np.clip(expected, 0, [30, 26, 30, 26]))


def test_a_quarter_has_to_be_left():
    one = {"bboxes": np.array([[0.0, 0, 20, 10]])}
    for share, left in [(0.5, 1), (0.74, 1), (0.76, 0)]:
        shift = transforms.translation((-20 * share, 0))
        assert len(crops.warp_and_crop(IMAGE, one, shift, PARAMETERS)[1]["bboxes"]) == left


def test_no_boxes_stay_no_boxes():
    nothing = {"labels": np.zeros(0, int), "bboxes": np.zeros((0, 4))}
    _, found = crops.warp_and_crop(IMAGE, nothing, np.eye(3), PARAMETERS, (0, 0, 9, 9))
    assert found["bboxes"].shape == (0, 4)
    assert found["labels"].shape == (0,)


def test_windows_lie_in_the_image_with_its_proportions():
    crop = RandomCrop(1, 0.3)
    windows = np.array([crop.sample(np.random.default_rng(i), (300, 400)) for i in range(500)])
    assert windows.dtype.kind == "i"
    assert windows.min() == 0
    assert windows[:, 2].max() == 400
    assert windows[:, 3].max() == 300
    width, height = windows[:, 2] - windows[:, 0], windows[:, 3] - windows[:, 1]
    np.testing.assert_allclose(width / height, 4 / 3, atol=0.02)
    assert 120 <= width.min() < 130
    assert 390 < width.max() <= 400
    assert np.mean(windows[:, 0] / np.maximum(400 - width, 1)) == pytest.approx(0.5, abs=0.05)


def test_the_chance_of_a_crop():
    crops = [RandomCrop(0.3).sample(np.random.default_rng(i), (30, 40, 3)) for i in range(1000)]
    assert 250 < sum(window != (0, 0, 40, 30) for window in crops) < 350
    assert RandomCrop(0).sample(np.random.default_rng(0), (30, 40)) == (0, 0, 40, 30)


def test_a_pixel_of_an_image_remains():
    assert RandomCrop(1, 0.05).sample(np.random.default_rng(0), (1, 1, 3)) == (0, 0, 1, 1)
