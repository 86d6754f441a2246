"""Every reader against every kind of bad annotations: what it says, or what it makes of them."""

import re

import numpy as np
import pytest

from tests.data_sets import FORMS, IMAGES, error_of, found_boxes, image_path, read, write

# The file and the place in it where the box of image "b" stands; the path of the images.
PLACES = {
    "csv": "invalid CSV annotations file: {folder}/annotations.csv: line 3: ",
    "coco": "{folder}/annotations/instances_val2017.json: annotations[2]: ",
    "pascal": "invalid annotations file: {folder}/Annotations/b.xml: could not parse object #0: ",
    "kitti": "invalid KITTI label file: {folder}/train/labels/b.txt: line 1: ",
    "oid": "{folder}/2018_04/train/train-annotations-bbox.csv: line 4: ",
    "yolo": "invalid YOLO label file: {folder}/labels/b.txt: line 1: ",
}
BOXES = "2018_04/train/train-annotations-bbox.csv"
OID_CLASSES = "2018_04/class-descriptions-boxable.csv"
COCO = "annotations/instances_val2017.json"


def with_b(*box):
    return {**IMAGES, "b": [box]}


def expected_boxes(form):
    # Open Images has no images without boxes.
    return {name: boxes for name, boxes in IMAGES.items() if boxes or form != "oid"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content,
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b"\n", b"\n\n"),
        lambda content: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n\r\n"),
    ],
    ids=["plain", "byte-order mark", "CRLF", "blank lines", "all three"],
)
def test_spellings_of_text_make_no_difference(tmp_path, form, change):
    generator = read(write(tmp_path / "é, 数据", form, change=change), form)
    assert found_boxes(generator) == expected_boxes(form)
    assert generator.name_to_label("Van") == 1
    assert generator.load_image(0).shape == (20, 40, 3)


BAD_BOXES = {
    "not a number": (
        ("ten", 5, 14, 15, "Van"),
        {
            "csv": "malformed x1: could not convert string to float: 'ten'",
            "coco": "expected bbox with 4 numbers x, y, width, height, got ['ten', 5, 14, 15]",
            "pascal": "illegal value for 'bndbox.xmin': could not convert string to float: 'ten'",
            "kitti": "malformed left: could not convert string to float: 'ten'",
            "oid": "malformed XMin: could not convert string to float: 'ten'",
            "yolo": "malformed number: could not convert string to float: 'ten'",
        },
    ),
    "NaN": (
        (float("nan"), 5, 14, 15, "Van"),
        {
            "csv": "malformed x1: expected a finite number, got 'nan'",
            "coco": "expected bbox with 4 numbers x, y, width, height, got [nan, 5, nan, 10]",
            "pascal": "illegal value for 'bndbox.xmin': expected a finite number, got 'nan'",
            "kitti": "malformed left: expected a finite number, got 'nan'",
            "oid": "malformed XMin: expected a finite number, got 'nan'",
            "yolo": "malformed number: expected a finite number, got 'nan'",
        },
    ),
    "infinite": (
        (4, 5, float("inf"), 15, "Van"),
        {
            "csv": "malformed x2: expected a finite number, got 'inf'",
            "coco": "expected bbox with 4 numbers x, y, width, height, got [4, 5, inf, 10]",
            "pascal": "illegal value for 'bndbox.xmax': expected a finite number, got 'inf'",
            "kitti": "malformed right: expected a finite number, got 'inf'",
            "oid": "malformed XMax: expected a finite number, got 'inf'",
            "yolo": "malformed number: expected a finite number, got 'inf'",
        },
    ),
    "empty field": (
        ("", 5, 14, 15, "Van"),
        {
            "csv": "malformed x1: could not convert string to float: ''",
            "coco": "expected bbox with 4 numbers x, y, width, height, got ['', 5, 14, 15]",
            "pascal": "missing element 'bndbox.xmin'",
            "kitti": "expected 15 fields, got 14",
            "oid": "malformed XMin: could not convert string to float: ''",
            "yolo": "expected 'class x y width height' or 'class x1 y1 x2 y2 x3 y3 ...', got 4",
        },
    ),
    "reversed": (
        (24, 5, 14, 15, "Van"),
        {
            "csv": "x2 (14) must be higher than x1 (24)",
            "kitti": "expected right and bottom above left and top, got ['24', '5', '14', '15']",
            "oid": "x2 (0.35) must be higher than x1 (0.6)",
            "yolo": "expected a width and a height above 0, got ['0.475', '0.5', '-0.25', '0.5']",
        },
    ),
    "no area": (
        (4, 15, 14, 15, "Van"),
        {
            "csv": "y2 (15) must be higher than y1 (15)",
            "kitti": "expected right and bottom above left and top, got ['4', '15', '14', '15']",
            "oid": "y2 (0.75) must be higher than y1 (0.75)",
            "yolo": "expected a width and a height above 0, got ['0.225', '0.75', '0.25', '0.0']",
        },
    ),
    "unknown class": (
        (4, 5, 14, 15, "Zebra"),
        {
            "csv": "unknown class name: 'Zebra' (classes: {'Car': 0, 'Van': 1})",
            "coco": "unknown category_id 99 (categories: [1, 2])",
            "pascal": "class name 'Zebra' not found in classes: ['Car', 'Van']",
            "kitti": "unknown class 'Zebra' (classes: ['Car', 'Van', 'Truck',",
            "yolo": "unknown class 99 (classes: [0, 1])",
        },
    ),
}


@pytest.mark.parametrize(
    ("case", "form"), [(case, form) for case, (_, texts) in BAD_BOXES.items() for form in texts]
)
def test_a_bad_box_is_named(tmp_path, case, form):
    box, texts = BAD_BOXES[case]
    folder = write(tmp_path, form, with_b(*box))
    assert error_of(folder, form).startswith(PLACES[form].format(folder=folder) + texts[form])


@pytest.mark.parametrize("form", ["coco", "pascal"])
@pytest.mark.parametrize("case", ["reversed", "no area"])
def test_a_box_without_area_is_left_out_and_counted(tmp_path, form, case):
    """Real sets in these forms have such boxes; keras-retinanet left them out in training."""
    folder = write(tmp_path, form, with_b(*BAD_BOXES[case][0]))
    place = f"{COCO}: image 1" if form == "coco" else "Annotations/b.xml"
    text = f"left out 1 boxes without area, the first of them in {folder}/{place}"
    with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
        generator = read(folder, form)
    assert found_boxes(generator) == {**IMAGES, "b": []}


def test_open_images_reads_the_classes_asked_for_and_no_others(tmp_path):
    generator = read(write(tmp_path, "oid", with_b(4, 5, 14, 15, "Zebra")), "oid")
    assert found_boxes(generator) == {"a": IMAGES["a"]}


@pytest.mark.parametrize("form", FORMS)
def test_a_box_that_leaves_its_image(tmp_path, form):
    folder = write(tmp_path, form, {"b": [(4, 5, 14, 15, "Van"), (4, 5, 50, 15, "Van")]})
    generator = read(folder, form)
    with pytest.warns(UserWarning, match=r"b\.\w+ with id 0 .* invalid boxes: \[\[4.*, 50.*\]\]"):
        _, annotations = generator.sample(0, 0)
    assert len(annotations["bboxes"]) == 1
    assert found_boxes(generator)["b"][1] == (4, 5, 50, 15, "Van")


# Of an image 40 pixels wide and 20 high: what is annotated, and what is trained.
EDGES = [
    ((4, 5, 14, 15), (4, 5, 14, 15)),
    ((0, 0, 40, 20), (0, 0, 40, 20)),
    ((-0.5, -0.5, 14, 15), (0, 0, 14, 15)),
    ((-1, 5, 14, 15), (0, 5, 14, 15)),
    ((4, -1, 14, 15), (4, 0, 14, 15)),
    ((4, 5, 41, 15), (4, 5, 40, 15)),
    ((4, 5, 14, 21), (4, 5, 14, 20)),
    ((-1, -1, 41, 21), (0, 0, 40, 20)),
    ((-1.2, 5, 14, 15), None),
    ((4, 5, 41.2, 15), None),
    ((4, 5, 14, 21.2), None),
    ((4, -30, 14, -20), None),
    ((-1, 5, 0, 15), None),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("annotated", "trained"), EDGES)
def test_boxes_at_the_edge_are_clipped_and_those_beyond_dropped(
    tmp_path, recwarn, form, annotated, trained
):
    inside = (2, 3, 12, 13, "Car")
    write(tmp_path, form, {"b": [inside, (*annotated, "Van")]})
    _, annotations = read(tmp_path, form, no_resize=True).sample(0, 0)
    expected = [inside[:4], trained] if trained else [inside[:4]]
    # YOLO's numbers are rounded to six digits.
    np.testing.assert_allclose(annotations["bboxes"], expected, atol=1e-4)
    said = " ".join(str(warning.message) for warning in recwarn)
    assert ("clipped boxes that leave their image" in said) == (trained not in (None, annotated))
    assert ("contains the following invalid boxes" in said) == (trained is None)


def test_quoted_commas_and_spare_columns_of_csv(tmp_path):
    write(tmp_path, "csv")
    image_path(tmp_path, "csv", "a").rename(tmp_path / 'a "1", b.jpg')
    (tmp_path / "classes.csv").write_text('"Car, red",0\nVan,1\n,\n')
    (tmp_path / "annotations.csv").write_text(
        '"a ""1"", b.jpg",2,3,12,13,"Car, red",spare\n,,,,,\n'
    )
    generator = read(tmp_path, "csv")
    assert found_boxes(generator) == {'a "1", b': [(2, 3, 12, 13, "Car, red")]}


def test_coco_fills_in_what_annotations_may_lack(tmp_path):
    folder = write(tmp_path, "coco")
    path = tmp_path / COCO
    text = path.read_text().replace('"id": 3, ', '"iscrowd": null, ').replace('"id": 1, "im', '"im')
    path.write_text(text)
    generator = read(folder, "coco")
    assert found_boxes(generator) == IMAGES
    annotations = generator.coco.dataset["annotations"]
    assert [entry["id"] for entry in annotations] == [3, 2, 4]
    assert [entry["area"] for entry in annotations] == [100, 400, 100]
    assert [entry["iscrowd"] for entry in annotations] == [0, 0, 0]


def test_great_numbers_are_written_out(tmp_path):
    folder = write(tmp_path, "csv", with_b(1234567, 5, 1234566, 15, "Van"))
    assert error_of(folder, "csv").endswith("x2 (1234566) must be higher than x1 (1234567)")


def test_open_images_counts_a_class_named_twice_once(tmp_path):
    folder = write(tmp_path, "oid")
    generator = read(folder, "oid", labels_filter=["Van", "Car", "Van"])
    assert generator.class_names() == ["Van", "Car"]
    assert found_boxes(generator) == expected_boxes("oid")
