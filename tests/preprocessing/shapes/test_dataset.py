"""The built-in data set: its promises about seeds, indices and arrays."""

import time

import numpy as np
import pytest

from keras_retinanet.preprocessing.shapes import ShapesGenerator
from keras_retinanet.preprocessing.shapes.scene import CLASS_NAMES


def test_picture_depends_on_seed_set_and_index_only():
    first, again = ShapesGenerator("train"), ShapesGenerator("train", size=9, batch_size=3)
    again.load_image(2)
    np.random.seed(1)
    np.testing.assert_array_equal(first.load_image(7), again.load_image(7))
    for key in ("bboxes", "labels"):
        np.testing.assert_array_equal(
            first.load_annotations(7)[key], again.load_annotations(7)[key]
        )
    for other in (ShapesGenerator("val"), ShapesGenerator("train", data_seed=1)):
        pictures = [(first.load_image(i), other.load_image(i)) for i in range(4)]
        assert not any(np.array_equal(*pair) for pair in pictures)
    assert not np.array_equal(first.load_image(0), first.load_image(1))


def test_generator_describes_its_pictures():
    generator = ShapesGenerator("val")
    assert (generator.size(), ShapesGenerator("train").size()) == (200, 1900)
    assert generator.num_classes() == len(CLASS_NAMES) >= 4
    for number, name in enumerate(CLASS_NAMES):
        assert generator.name_to_label(name) == number
        assert generator.label_to_name(number) == name
    assert not generator.has_label(len(CLASS_NAMES))
    assert not generator.has_name("square")
    assert generator.image_path(12) == "shapes/val/000012.png"
    shapes = set()
    for i in range(20):
        image = generator.load_image(i)
        assert image.dtype == np.uint8
        assert generator.image_aspect_ratio(i) == image.shape[1] / image.shape[0]
        shapes.add(image.shape)
    assert len(shapes) > 3


def test_callers_may_change_what_they_get():
    generator = ShapesGenerator("val", size=3)
    image, boxes = generator.load_image(0), generator.load_annotations(0)["bboxes"]
    kept = image.copy(), boxes.copy()
    image[:], boxes[:] = 0, 0
    np.testing.assert_array_equal(generator.load_image(0), kept[0])
    np.testing.assert_array_equal(generator.load_annotations(0)["bboxes"], kept[1])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"data_seed": -1}, "data_seed must be at least 0, got -1"),
    ],
)
def test_bad_settings_are_named(keywords, message):
    with pytest.raises(ValueError, match=message):
        ShapesGenerator("train", **keywords)


def test_an_image_past_the_end_is_named():
    generator = ShapesGenerator("val", size=1)
    with pytest.raises(IndexError, match="image 1 of a set of 1"):
        generator.load_image(1)


def test_drawing_is_quick():
    generator = ShapesGenerator("train", size=60)
    start = time.process_time()
    for i in range(60):
        generator.load_image(i)
    assert (time.process_time() - start) / 60 < 0.05  # it takes about 0.005 s
