"""Mixed images: every box that is left encloses the pixels of its object, and is tight."""

import numpy as np
import pytest

from keras_retinanet.augmentation import mixing
from keras_retinanet.augmentation.mixing import RandomMix

# Far from each other, from the background and from blends of one with it.
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
BACKGROUND = 40
RNG = np.random.default_rng(7)


class Lowest:
    """Random numbers that are always the lowest possible."""

    def uniform(self, low=0.0, high=1.0):
        return np.asarray(low) if np.ndim(low) else low

    def integers(self, low, high=None):
        return 0 if high is None else low

    def permutation(self, count):
        return np.arange(count)

    def choice(self, count, size, replace):
        return np.arange(size)

    def beta(self, one, other):
        return 0.5


def scene(width, height, *boxes):
    """An image with rectangles, each in the colour of its label."""
    image = np.full((height, width, 3), BACKGROUND, "uint8")
    for x1, y1, x2, y2, label in boxes:
        image[y1:y2, x1:x2] = COLOURS[label]
    table = np.array(boxes, "float64").reshape(-1, 5)
    return image, {"bboxes": table[:, :4], "labels": table[:, 4].astype(int)}


def random_scene(rng, label, count=1):
    """A scene of a random size with objects of one label that do not touch."""
    width, height = rng.integers(60, 200, 2).tolist()
    boxes = []
    for column in range(count):
        part = width // count
        w, h = int(rng.integers(12, part - 2)), int(rng.integers(12, height - 2))
        x, y = column * part + int(rng.integers(part - w)), int(rng.integers(height - h))
        boxes.append((x, y, x + w, y + h, label))
    return scene(width, height, *boxes)


def extent(image, colour):
    """Return the box around the pixels that are nearer to a colour than to the background."""
    ys, xs = np.nonzero(np.abs(image.astype(int) - colour).sum(axis=2) < 200)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


def assert_lies_in(sample, like):
    image, annotations = sample
    assert image.shape == like.shape
    assert image.dtype == like.dtype
    height, width = image.shape[:2]
    boxes = annotations["bboxes"]
    assert boxes.min() >= 0
    assert (boxes <= [width, height, width, height]).all()
    assert len(annotations["labels"]) == len(boxes)


def test_four_images_meet_at_a_point():
    found = mixing.mosaic([scene(40, 20, (10, 10, 20, 20, i)) for i in range(4)], Lowest())
    # The centre is at 30 % of the sides. The first and last tile have the proportions of the images
    # and show all of them, at 0.3 and 0.7. The others are at 0.7 too: the second shows 9 rows, in
    # the object, the third 17 columns, from 3 on.
    assert_lies_in(found, np.zeros((20, 40, 3), "uint8"))
    expected = [
        [3, 3, 6, 6],
        [12 + 7, 0, 12 + 14, 6],
        [(10 - 3) * 12 / 17, 6 + 7, 12, 6 + 14],
        [12 + 7, 6 + 7, 12 + 14, 6 + 14],
    ]
    np.testing.assert_allclose(found[1]["bboxes"], expected)
    assert found[1]["labels"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(30))
def test_boxes_of_a_mosaic_enclose_their_objects(seed):
    rng = np.random.default_rng(seed)
    samples = [random_scene(rng, label) for label in range(4)]
    image, annotations = mixing.mosaic(samples, rng)
    assert_lies_in((image, annotations), samples[0][0])
    # Each tile shows its object, but a narrow one may show too little.
    assert len(annotations["labels"]) >= 3
    for box, label in zip(annotations["bboxes"], annotations["labels"], strict=True):
        np.testing.assert_allclose(box, extent(image, COLOURS[label]), atol=1.6)


def test_a_tile_shows_its_object_at_no_more_than_full_size():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        samples = [scene(100, 80, (30, 20, 50, 40, i)) for i in range(4)]
        _, annotations = mixing.mosaic(samples, rng)
        sides = annotations["bboxes"][:, 2:] - annotations["bboxes"][:, :2]
        assert sides.min() >= 0.3 * 20 - 0.5
        assert sides.max() <= 20.5


def test_tiles_without_boxes_and_of_a_pixel():
    empty = scene(50, 30)
    assert mixing.mosaic([empty] * 4, RNG)[1]["bboxes"].shape == (0, 4)
    pixel = scene(1, 1, (0, 0, 1, 1, 2))
    image, annotations = mixing.mosaic([pixel] * 4, RNG)
    np.testing.assert_array_equal(image, pixel[0])
    assert annotations["bboxes"].tolist() == [[0, 0, 1, 1]]
    with_empty = mixing.mosaic([empty, *[scene(50, 30, (20, 10, 30, 20, 1))] * 3], RNG)[1]
    assert with_empty["labels"].tolist() == [1, 1, 1]


def test_an_object_is_pasted_with_a_soft_border():
    one, other = scene(60, 40), scene(30, 20, (10, 5, 20, 15, 1))
    image, annotations = mixing.copy_paste(one, other, Lowest())
    # Twice as large, as the image would be, less a quarter; a pixel is a tenth of the box. Cut out
    # were the 12 x 12 pixels from 9, 4 on, pasted at 0, 0.
    assert annotations["bboxes"].tolist() == [[1.5, 1.5, 16.5, 16.5]]
    assert annotations["labels"].tolist() == [1]
    assert image[9, 9].tolist() == list(COLOURS[1])
    np.testing.assert_array_equal(image[18:], one[0][18:])
    np.testing.assert_array_equal(image[:, 18:], one[0][:, 18:])
    white = np.full((40, 60, 3), 255, "uint8")
    pasted, _ = mixing.copy_paste((white, one[1]), other, Lowest())
    # From the background of the patch, which shows little at the border, to that of the image.
    assert 255 > pasted[9, 0, 0] > BACKGROUND + 100


@pytest.mark.parametrize("seed", range(40))
def test_pasted_objects_leave_most_of_each_object_free(seed):
    rng = np.random.default_rng(seed)
    one, other = random_scene(rng, 0, count=3), random_scene(rng, 3, count=2)
    image, annotations = mixing.copy_paste(one, other, rng)
    assert_lies_in((image, annotations), one[0])
    np.testing.assert_array_equal(annotations["bboxes"][:3], one[1]["bboxes"])
    for x1, y1, x2, y2 in one[1]["bboxes"].astype(int).tolist():
        changed = (image[y1:y2, x1:x2] != one[0][y1:y2, x1:x2]).any(axis=2)
        assert changed.mean() <= mixing.MAX_COVERED
    pasted = annotations["bboxes"][3:]
    assert set(annotations["labels"][3:].tolist()) <= {3}
    if len(pasted) == 1:
        np.testing.assert_allclose(pasted[0], extent(image, COLOURS[3]), atol=1.6)


def test_objects_are_pasted_if_there_is_room_and_only_then():
    other = scene(80, 60, (10, 10, 30, 25, 1), (50, 30, 70, 50, 2))
    numbers = [
        len(mixing.copy_paste(scene(80, 60), other, np.random.default_rng(seed))[1]["bboxes"])
        for seed in range(40)
    ]
    assert set(numbers) == {1, 2}
    full = scene(80, 60, (0, 0, 80, 60, 0))
    large = scene(80, 60, (0, 0, 70, 50, 1))
    image, annotations = mixing.copy_paste(full, large, RNG)
    np.testing.assert_array_equal(image, full[0])
    assert annotations["labels"].tolist() == [0]
    assert mixing.copy_paste(full, scene(80, 60), RNG) is full


def test_what_a_rectangle_shows_of_others_comes_with_it():
    # The second lies in the first, 7 of 24 columns of the third and 6 of the last in its window.
    other = scene(
        *(100, 100),
        *((20, 20, 70, 70, 0), (30, 30, 40, 40, 1), (68, 50, 92, 60, 2), (69, 20, 93, 30, 3)),
    )
    _, annotations = mixing.copy_paste(scene(100, 100), other, Lowest())
    assert annotations["labels"].tolist() == [0, 1, 2]
    # Cut out from 15, 15 on and three quarters as large.
    assert (annotations["bboxes"] / 0.75 + 15).tolist() == [
        [20, 20, 70, 70],
        [30, 30, 40, 40],
        [68, 50, 75, 60],
    ]


def test_annotations_are_merged_with_zeros_for_what_is_not_said():
    one = {"bboxes": np.ones((1, 4)), "labels": np.array([3]), "flag": np.array([True])}
    other = {"bboxes": np.zeros((2, 4)), "labels": np.array([1, 2])}
    nothing = {"bboxes": np.zeros((0, 4)), "labels": np.zeros(0)}  # float, as NumPy makes it
    merged = mixing.merge([nothing, other, one])
    assert merged["labels"].tolist() == [1, 2, 3]
    assert merged["labels"].dtype == int
    assert merged["flag"].tolist() == [False, False, True]
    assert merged["bboxes"].shape == (3, 4)
    none = mixing.merge([nothing, {**nothing, "flag": np.zeros(0, bool)}])
    assert {key: len(values) for key, values in none.items()} == dict.fromkeys(merged, 0)


def test_others_are_other_images():
    found = {tuple(mixing.sample_others(2, 5, 3, RNG)) for _ in range(300)}
    assert {index for others in found for index in others} == {0, 1, 3, 4}
    assert all(len(set(others)) == 3 for others in found)
    assert mixing.sample_others(1, 2, 3, RNG) == [0, 0, 0]
    assert mixing.sample_others(0, 1, 3, RNG) == [0, 0, 0]


def test_each_mixture_comes_with_its_chance():
    sample, calls = scene(40, 30, (5, 5, 20, 20, 0)), []

    def load(indices):
        calls.append(len(indices))
        return [scene(30, 30, (3, 3, 20, 20, 1))] * len(indices)

    assert RandomMix().apply(sample, 0, 9, load, RNG) is sample
    for mix, loaded in (
        (RandomMix(mosaic=1), [3]),
        (RandomMix(copy_paste=1), [1]),
        (RandomMix(1, 1), [3, 1]),
    ):
        calls.clear()
        assert_lies_in(mix.apply(sample, 0, 9, load, RNG), sample[0])
        assert calls == loaded
    calls.clear()
    for _ in range(400):
        RandomMix(copy_paste=0.3).apply(sample, 0, 9, load, RNG)
    assert 80 < len(calls) < 160
