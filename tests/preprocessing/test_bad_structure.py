"""Every reader against files whose structure is wrong, or that cannot be read at all."""

import pytest

from tests.data_sets import FORMS, HIERARCHY, IMAGES, error_of, found_boxes, read, write

BOXES = "2018_04/train/train-annotations-bbox.csv"
OID_CLASSES = "2018_04/class-descriptions-boxable.csv"
COCO = "annotations/instances_val2017.json"

# (form, file) -> what stands there, what takes its place, the error after the name of the file.
MALFORMED = {
    ("csv", "annotations.csv"): [
        (
            "b.jpg,4,5,14,15,Van",
            "b.jpg,4,5,14",
            "line 3: format should be 'img_file,x1,y1,x2,y2,class_name' or 'img_file,,,,,'",
        ),
        ("images/b.jpg,4", ",4", "line 3: expected the path of an image, got none"),
        ("Van\nimages/b", '"Van\nimages/b', "line 2: a quote is not closed"),
    ],
    ("csv", "classes.csv"): [
        ("Van,1", "Van,1,2", "line 2: format should be 'class_name,class_id'"),
        (
            "Van,1",
            "Van,one",
            "line 2: malformed class ID: invalid literal for int() with base 10: 'one'",
        ),
        ("Van,1", "Van,nan", "line 2: malformed class ID: invalid"),
        ("Van,1", "Van,-1", "line 2: malformed class ID: expected 0"),
        ("Van,1", "Car,1", "line 2: duplicate class name: 'Car'"),
        ("Van,1", "Van,0", "line 2: duplicate class ID: 0"),
        ("Van,1", ",1", "line 2: expected a class name, got none"),
    ],
    ("coco", COCO): [
        (
            '"bbox": [4, 5, 10, 10]',
            '"bbox": [4, 5, 10]',
            "annotations[2]: expected bbox with 4 numbers x, y, width, height, got [4, 5, 10]",
        ),
        ('"bbox": [4, 5, 10, 10]', '"bbox": 7', "annotations[2]: expected bbox"),
        (
            '"bbox": [4, 5, 10, 10]',
            '"box": 7',
            "annotations[2]: expected the keys ['bbox'], got ['box', 'category_id', 'id',",
        ),
        (
            '{"id": 3, "image_id": 1',
            '{"id": 3, "image_id": 77',
            "annotations[2]: unknown image_id 77",
        ),
        (
            '{"id": 3, "image_id": 1',
            '{"id": 3, "image_id": [1]',
            "annotations[2]: expected image_id with a number or text, got [1]",
        ),
        ('{"id": 3,', '{"id": 2,', "annotations[2]: duplicate id: 2"),
        (
            '{"id": 3,',
            '{"id": 3, "area": "x",',
            "annotations[2]: expected area with a number, got 'x'",
        ),
        ('{"id": 1, "file_name"', '{"id": 0, "file_name"', "images[1]: duplicate id: 0"),
        (
            '"file_name": "b.jpg"',
            '"file_name": null',
            "images[1]: expected file_name with text, got None",
        ),
        (
            '"b.jpg", "width": 40',
            '"b.jpg", "width": -1',
            "images[1]: expected width with a number above 0, got -1",
        ),
        ('{"id": 2, "name"', '{"id": 1, "name"', "categories[1]: duplicate id: 1"),
        ('"Van"', '"Car"', "categories[1]: duplicate name: 'Car'"),
        (
            '[{"id": 1, "name"',
            '[5, {"id": 1, "name"',
            "categories[0]: expected an object with keys ['id', 'name'], got 5",
        ),
        (
            '"categories"',
            '"classes"',
            "expected the key 'categories' with a list, got ['annotations', 'classes', 'images']",
        ),
        ("}]}", "}]", "expected JSON: "),
    ],
    ("pascal", "Annotations/b.xml"): [
        ("</object>", "", "mismatched tag: line 8"),
        ("<name>Van</name>", "", "could not parse object #0: missing element 'name'"),
        ("<ymax>16</ymax>", "", "could not parse object #0: missing element 'bndbox.ymax'"),
        (
            "<bndbox>",
            "<difficult>x</difficult><bndbox>",
            "could not parse object #0: illegal value for 'difficult': could not",
        ),
        (
            "<annotation>",
            "<?xml version='1.0' encoding='klingon'?><annotation>",
            "unknown encoding: klingon",
        ),
    ],
    ("pascal", "ImageSets/Main/train.txt"): [
        ("b", "a", "duplicate image name: 'a'"),
    ],
    ("kitti", "train/labels/b.txt"): [
        ("4 5 14 15 1 1 1 0 0 0 0", "4 5 14", "line 1: expected 15 fields, got 7"),
    ],
    ("oid", BOXES): [
        ("b,/m/Van,0.1,0.25,0.35,0.75", "b,/m/Van,0.1", "line 4: expected 6 columns, got 3"),
        ("YMax", "Bottom", "line 1: expected the columns ['YMax']"),
    ],
    ("oid", OID_CLASSES): [
        ("/m/Van,Van", "/m/Van", "line 2: expected 'id,name', got ['/m/Van']"),
        ("/m/Car,Car", '"/m/Car,Car', "line 1: a quote is not closed"),
        ("/m/Van,Van", "/m/Car,Van", "line 2: duplicate class id: /m/Car"),
        ("/m/Van,Van", "/m/Van,Car", "duplicate class name: 'Car' (/m/Van)"),
    ],
    ("yolo", "labels/b.txt"): [
        (
            "1 0.225",
            "0.225",
            "line 1: expected 'class x y width height' or 'class x1 y1 x2 y2 x3 y3 ",
        ),
        ("1 0.225", "Van 0.225", "line 1: malformed class: "),
    ],
    ("yolo", "data.yaml"): [
        ("Van", "Car", "names: duplicate class name among ['Car', "),
        ("[Car, Van]", "{0: Car, 0: Van}", "expected YAML: duplicate key '0'"),
        ("[Car, Van]", "{Car: 0}", "names: expected the labels 0, 1"),
        ("[Car, Van]", "Car", "expected the key 'names' with the classes, got 'Car'"),
        ("names:", "titles:", "expected the key 'names' with the classes"),
        ("names:", "nc: 3\nnames:", "nc: 3 classes, but 2 names"),
        ("images", "{5: a}", "train: expected a path or a list of paths, got"),
        ("images", "[", "expected YAML: "),
        ("images", '"\\ud800"', "expected YAML: expected text without"),
    ],
}


@pytest.mark.parametrize(
    ("form", "name", "old", "new", "text"),
    [(*place, *case) for place, cases in MALFORMED.items() for case in cases],
)
def test_what_is_malformed_is_named(tmp_path, form, name, old, new, text):
    folder = write(tmp_path, form)
    content = (tmp_path / name).read_text()
    assert content.count(old) == 1
    (tmp_path / name).write_text(content.replace(old, new))
    assert f"{folder}/{name}: {text}" in error_of(folder, form)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON: "),
        ('{"Subcategory": []}', "expected an object with the key 'LabelName', got "),
        (
            '{"LabelName": "/m/x", "Subcategory": [3]}',
            "expected an object with the key 'LabelName'",
        ),
        ('{"LabelName": "/m/x"}', "expected the class 'Car' in the hierarchy"),
    ],
)
def test_a_malformed_hierarchy_is_named(tmp_path, text, message):
    folder = write(tmp_path, "oid")
    (tmp_path / HIERARCHY).write_text(text)
    assert error_of(folder, "oid", parent_label="Car").startswith(
        f"{folder}/{HIERARCHY}: {message}"
    )


FILES = [(form, name) for form in FORMS for name in FORMS[form].files(IMAGES) if "/ä." not in name]
HARMLESS = [("yolo", "labels/a.txt"), ("yolo", "labels/b.txt")]
HARMLESS += [("kitti", "train/labels/a.txt"), ("kitti", "train/labels/b.txt")]


@pytest.mark.parametrize(("form", "name"), [place for place in FILES if place not in HARMLESS])
def test_a_missing_file_is_named(tmp_path, form, name):
    folder = write(tmp_path, form)
    (tmp_path / name).unlink()
    options = {"parent_label": "Car"} if name == HIERARCHY else {}
    expected = f"[Errno 2] No such file or directory: '{folder}/{name}'"
    if name == "data.yaml":
        expected = (
            f"{folder}/data.yaml not found, nor a file of class names, such as obj.names, "
            "_darknet.labels, classes.txt; the folder has images, labels"
        )
    assert error_of(folder, form, **options) == expected


def test_an_image_without_a_label_file(tmp_path):
    """For YOLO it has no objects; KITTI's set is what has labels."""
    write(tmp_path, "yolo")
    (tmp_path / "labels" / "b.txt").unlink()
    assert found_boxes(read(tmp_path, "yolo")) == {**IMAGES, "b": []}
    write(tmp_path, "kitti")
    (tmp_path / "train" / "labels" / "b.txt").unlink()
    assert set(found_boxes(read(tmp_path, "kitti"))) == {"a", "ä"}


@pytest.mark.parametrize(("form", "name"), FILES)
def test_an_unreadable_file_is_named(tmp_path, form, name):
    folder = write(tmp_path, form)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    options = {"parent_label": "Car"} if name == HIERARCHY else {}
    assert f"{folder}/{name}" in error_of(folder, form, **options)


@pytest.mark.parametrize(("form", "name"), FILES)
def test_text_that_is_not_utf_8_is_named_with_its_line(tmp_path, form, name):
    folder = write(tmp_path, form)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content + b"\n\xe9\n")
    options = {"parent_label": "Car"} if name == HIERARCHY else {}
    line = content.count(b"\n") + 2
    expected = f"{folder}/{name}: line {line}: expected UTF-8 text, got the byte 0xe9"
    if name.endswith(".xml"):
        # XML says itself what it is encoded in.
        expected = f"{folder}/{name}: partial character: line {line}"
    assert expected in error_of(folder, form, **options)
