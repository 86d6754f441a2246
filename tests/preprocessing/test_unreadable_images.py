"""Every reader with an image that is there but cannot be read."""

import numpy as np
import pytest

from keras_retinanet.evaluation import measure
from tests.data_sets import FORMS, IMAGES, found_boxes, image_path, read, write


def without_content(folder, form):
    image_path(folder, form, "b").write_bytes(b"")


def cut_off(folder, form):
    path = image_path(folder, form, "b")
    path.write_bytes(path.read_bytes()[:-200])


def index_of_b(generator):
    return [generator.image_path(i)[-5] for i in range(generator.size())].index("b")


CASES = [(form, damage) for form in FORMS for damage in (without_content, cut_off)]


@pytest.mark.parametrize(
    ("form", "damage"), [case for case in CASES if case != ("oid", without_content)]
)
def test_training_names_counts_and_replaces_it(tmp_path, form, damage):
    folder = write(tmp_path, form)
    damage(tmp_path, form)
    generator = read(folder, form)
    b = index_of_b(generator)
    with pytest.warns(UserWarning, match=r"skipped an image that cannot be read: .*b\.(jpg|png): "):
        image, annotations = generator.sample(b, 0)
    replacement, truth = generator.sample((b + 1) % generator.size(), 0)
    np.testing.assert_array_equal(image, replacement)
    np.testing.assert_array_equal(annotations["bboxes"], truth["bboxes"])
    assert generator.skipped == {generator.image_path(b): 1}
    strict = read(folder, form, strict=True)
    with pytest.raises(ValueError, match=r"b\.(jpg|png): (the image is cut off|expected an image)"):
        strict.sample(b, 0)


@pytest.mark.parametrize(
    ("form", "damage"), [case for case in CASES if case != ("oid", without_content)]
)
def test_its_boxes_stay_where_they_are_known(tmp_path, form, damage):
    """YOLO's are shares of a size that an empty file does not have: they do not count."""
    folder = write(tmp_path, form)
    damage(tmp_path, form)
    lost = form == "yolo" and damage is without_content
    assert found_boxes(read(folder, form))["b"] == ([] if lost else IMAGES["b"])


def test_open_images_leaves_out_what_has_no_size(tmp_path):
    folder = write(tmp_path, "oid")
    without_content(tmp_path, "oid")
    with pytest.warns(UserWarning, match="images/train: left out 1 images, missing or unreadable"):
        assert found_boxes(read(folder, "oid")) == {"a": IMAGES["a"]}


def test_a_bad_label_of_an_unreadable_yolo_image_is_named(tmp_path):
    folder = write(tmp_path, "yolo", {**IMAGES, "b": [(4, 5, 14, 15, "Zebra")]})
    without_content(tmp_path, "yolo")
    with pytest.raises(ValueError, match=r"labels/b\.txt: line 1: unknown class 99"):
        read(folder, "yolo")


@pytest.mark.parametrize(("form", "objects"), [("csv", 2), ("yolo", 1)])
def test_evaluation_misses_the_boxes_that_are_known(tmp_path, form, objects):
    folder = write(tmp_path, form)
    without_content(tmp_path, form)
    generator = read(folder, form)
    nothing = measure.Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    numbers = measure.pascal_numbers(generator, [nothing] * generator.size())
    van = generator.name_to_label("Van")
    assert numbers[van][1] == objects
