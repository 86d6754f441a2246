"""Every reader with data that can be used, but is rarely what was meant."""

import numpy as np
import pytest

from keras_retinanet.preprocessing.csv_generator import CSVGenerator
from keras_retinanet.preprocessing.pascal_voc import PascalVocGenerator
from tests.data_sets import FORMS, HEIGHT, IMAGES, WIDTH, error_of, found_boxes, read, write
from tests.fakes import MemoryGenerator, picture, truth

# As annotated -> as trained; None: dropped. The images are 40 pixels wide and 20 high.
AT_THE_EDGE = {
    (-1, 3, 12, 13): (0, 3, 12, 13),
    (2, -0.5, 12, 13): (2, 0, 12, 13),
    (2, 3, 41, 13): (2, 3, 40, 13),
    (2, 3, 12, 20.4): (2, 3, 12, 20),
    (-0.5, -0.5, 40.5, 20.5): (0, 0, 40, 20),
    (2, 3, 41.5, 13): None,
    (-2, 3, 12, 13): None,
    (2, 3, 12, 22): None,
    (0, 0, 40, 20): (0, 0, 40, 20),
}


@pytest.mark.filterwarnings("ignore:clipped boxes", "ignore:Image .* invalid boxes")
@pytest.mark.parametrize("form", [*FORMS, "a user's own"])
@pytest.mark.parametrize("box", AT_THE_EDGE)
def test_boxes_that_leave_their_image_by_up_to_a_pixel_are_clipped(tmp_path, form, box):
    rows = [(5, 5, 9, 9, "Van"), (*box, "Car")]
    if form in FORMS:
        generator = read(write(tmp_path, form, {"a": rows}), form, no_resize=True)
    else:
        labelled = [(*row[:4], int(row[4] == "Van")) for row in rows]
        generator = MemoryGenerator([picture(HEIGHT, WIDTH)], [truth(*labelled)])
    _, annotations = generator.sample(0, 0)
    expected = [(5, 5, 9, 9), *([AT_THE_EDGE[box]] if AT_THE_EDGE[box] else [])]
    np.testing.assert_allclose(annotations["bboxes"], expected, atol=1e-4)
    assert annotations["labels"].tolist() == [1, 0][: len(expected)]
    path = generator.image_path(0)
    clipped = AT_THE_EDGE[box] not in (None, box)
    assert generator.clipped == ({path: 1} if clipped else {})
    assert generator.dropped_in_training == ({} if AT_THE_EDGE[box] else {path: 1})
    # What evaluation counts as annotated stays as annotated.
    annotated = generator.load_annotations(0)["bboxes"]
    np.testing.assert_allclose(annotated, [(5, 5, 9, 9), box], atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_clipping_is_said_once_for_each_data_set(tmp_path, form):
    box = (2, 3, 12, 20.4, "Car")
    generator = read(write(tmp_path, form, {"a": [box], "b": [box, (5, 5, 9, 9, "Van")]}), form)
    with pytest.warns(UserWarning, match=r"^clipped boxes .* the first in .*/a\.\w+$") as said:
        for epoch in range(2):
            for index in range(2):
                generator.sample(index, epoch)
    assert len(said) == 1
    assert list(generator.clipped.values()) == [1, 1]


def test_targets_are_those_of_the_clipped_box():
    image, config = picture(64, 64), {"group_method": "none"}
    with pytest.warns(UserWarning, match="^clipped"):
        found = MemoryGenerator([image], [truth((31, 31, 64.8, 65, 1))], **config)[0]
    expected = MemoryGenerator([image], [truth((31, 31, 64, 64, 1))], **config)[0]
    for array, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(array, other)
    assert (found[1][1] > 0).any()


def test_a_coordinate_of_0_in_voc_is_clipped(tmp_path):
    write(tmp_path, "pascal", {"a": [(-1, -1, 12, 13, "Car")]})
    assert "<xmin>0</xmin>" in (tmp_path / "Annotations" / "a.xml").read_text()
    with pytest.warns(UserWarning, match="^clipped boxes"):
        _, annotations = read(tmp_path, "pascal", no_resize=True).sample(0, 0)
    assert annotations["bboxes"].tolist() == [[0, 0, 12, 13]]


@pytest.mark.parametrize("form", FORMS)
def test_a_box_that_is_listed_again_is_named_and_counts_again(tmp_path, form):
    again = {**IMAGES, "a": [*IMAGES["a"], IMAGES["a"][0], IMAGES["a"][0]]}
    folder = write(tmp_path, form, again)
    match = r"boxes listed again, which count again: 2, the first: .*/a\.\w+: box 2, 3, 12, 13 of"
    with pytest.warns(UserWarning, match=match) as said:
        generator = read(folder, form)
    assert len(said) == 1
    assert len(found_boxes(generator)["a"]) == 4


SPELLINGS = ["./images/b.jpg", "images/../images/b.jpg", ".//images/b.jpg", "{}/x/../images/b.jpg"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_image_in_two_spellings_is_named_and_counts_again(tmp_path, spelling):
    write(tmp_path, "csv")
    (tmp_path / "x").mkdir()
    with open(tmp_path / "annotations.csv", "a") as file:
        file.write(f"{spelling.format(tmp_path)},4,5,14,15,Van\n")
    match = r"images listed again, which count again: 1, the first: .*/images/b\.jpg is .*b\.jpg"
    with pytest.warns(UserWarning, match=match):
        generator = read(tmp_path, "csv")
    assert generator.size() == 4


def test_a_list_of_yolo_images_names_one_twice(tmp_path):
    folder = write(tmp_path, "yolo")
    (tmp_path / "data.yaml").write_text("train: list.txt\nnames: [Car, Van]\n")
    (tmp_path / "list.txt").write_text("images/a.jpg\nimages/b.jpg\n./images/a.jpg\n")
    with pytest.warns(UserWarning, match=r"images listed again, which count again: 1, the first"):
        assert read(folder, "yolo").size() == 3


def test_two_ids_of_one_coco_image(tmp_path):
    write(tmp_path, "coco")
    path = tmp_path / "annotations" / "instances_val2017.json"
    path.write_text(path.read_text().replace('"b.jpg"', '"../val2017/a.jpg"'))
    with pytest.warns(UserWarning, match=r"images listed again, .* \.\./val2017/a\.jpg is a\.jpg"):
        assert read(tmp_path, "coco").size() == 3


def test_many_outputs_without_a_class_are_said(tmp_path):
    folder = write(tmp_path, "pascal", {"a": []})
    with pytest.warns(UserWarning, match="class id is 40, so the network gets 41 outputs for 2"):
        PascalVocGenerator(folder, "train", {"Car": 0, "Van": 40})
    PascalVocGenerator(folder, "train", {"Car": 0, "Van": 9})


LABELS = {
    "gaps": ({"Car": 1, "Van": 5, "Bus": 100}, None),
    "COCO": ({str(i): round(i * 90 / 79) for i in range(80)}, None),
    "some of LVIS": ({"Car": 12, "Van": 1202}, None),
    "much too high": ({"Car": 0, "Van": 99_999_999_999}, "got 99999999999"),
    "a bit too high": ({"Car": 0, "Van": 2002}, "expected an id of 0 to 2001"),
    "400 digits": ({"Car": 0, "Van": int("9" * 400)}, "got 999"),
    "negative": ({"Car": 0, "Van": -1}, "got -1"),
}


@pytest.mark.filterwarnings("ignore:.*the highest class id is")
@pytest.mark.parametrize("case", LABELS)
def test_labels_far_above_the_number_of_classes_are_refused(tmp_path, case):
    classes, message = LABELS[case]
    folder = write(tmp_path, "pascal", {"a": []})

    def make():
        return PascalVocGenerator(folder, "train", classes)

    if message is None:
        assert make().num_classes() == max(classes.values()) + 1
    else:
        with pytest.raises(ValueError, match=message) as error:
            make()
        assert "class 'Van': expected an id of 0 to" in str(error.value)
        assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("form", "name", "old", "new"),
    [
        ("csv", "classes.csv", "Van,1", "Van,99999999999"),
        ("yolo", "data.yaml", "[Car, Van]", "{0: Car, 99999999999: Van}"),
    ],
)
def test_files_with_far_too_high_labels_are_named(tmp_path, form, name, old, new):
    write(tmp_path, form, {"a": [(2, 3, 12, 13, "Car")]})
    path = tmp_path / name
    path.write_text(path.read_text().replace(old, new))
    error = error_of(tmp_path, form)
    assert f"{path}: " in error
    assert "99999999999" in error
    if form == "csv":
        assert "line 2: class 'Van'" in error


@pytest.mark.filterwarnings("ignore:left out", "ignore:no ")
@pytest.mark.parametrize("form", [form for form in FORMS if form != "oid"])
def test_a_set_without_a_box_says_so(tmp_path, form):
    with_boxes = read(write(tmp_path / "a", form), form)
    assert with_boxes.has_boxes()
    try:
        without = read(write(tmp_path / "b", form, {"a": [], "b": []}), form)
    except ValueError as error:  # a reader may refuse it by itself
        assert "b" in str(error)
        return
    assert not without.has_boxes()
    assert without.why_no_boxes()


def test_a_subclass_with_annotations_of_its_own_may_have_boxes(tmp_path):
    class Own(CSVGenerator):
        def load_annotations(self, image_index):
            return truth((2, 3, 12, 13, 0))

    write(tmp_path, "csv", {"a": []})
    assert Own(str(tmp_path / "annotations.csv"), str(tmp_path / "classes.csv")).has_boxes()
    assert MemoryGenerator([picture(9, 9)], [truth()]).has_boxes()


@pytest.mark.filterwarnings("ignore:left out 1 boxes thinner")
@pytest.mark.parametrize("form", ["csv", "coco", "kitti"])
def test_fractions_where_pixels_are_expected(tmp_path, form):
    images = {"a": [(0.1, 0.2, 0.5, 0.75, "Car")], "b": [(0.0, 0.0, 1.0, 1.0, "Van")]}
    folder = write(tmp_path, form, images)
    with pytest.warns(UserWarning, match="no coordinate is above 1: are they fractions of"):
        read(folder, form)
    # One pixel is a box; so it is not said.
    assert read(write(tmp_path / "b", form, {"a": [(0, 0, 1, 1, "Van")]}), form).has_boxes()


# What the CSV file says instead of images/b.jpg, and the likely cause.
ABSENT = {
    "images\\b.jpg": "it exists with '/' instead of backslashes",
    " images/b.jpg": "it exists with no blanks before or after names",
    "images/b.png": "but 'b.jpg' exists",
    "images/B.JPG": "but 'b.jpg' exists",
    "data/images/b.jpg": "it exists without 'data/'",
    "C:\\data\\images\\b.jpg": "a path of Windows; it exists without 'C:/data/'",
    "pictures/b.jpg": "there is no folder 'pictures'",
}


@pytest.mark.parametrize("path", ABSENT)
def test_the_likely_cause_why_an_image_is_absent(tmp_path, path):
    folder = write(tmp_path, "csv")
    file = tmp_path / "annotations.csv"
    file.write_text(file.read_text().replace("images/b.jpg", path))
    error = error_of(folder, "csv")
    assert error.startswith(f"{file}: 1 of 3 image files not found, the first: {folder}/{path} (")
    assert ABSENT[path] in error
    assert len(error) < 300


def test_a_bound_on_the_pixels_of_images(tmp_path):
    generator = read(write(tmp_path, "csv"), "csv", max_pixels=WIDTH * HEIGHT)
    assert generator.load_image(0).shape == (HEIGHT, WIDTH, 3)
    generator = read(tmp_path, "csv", max_pixels=WIDTH * HEIGHT - 1)
    with pytest.raises(ValueError, match="pixels"):
        generator.load_image(0)
