from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from keras_retinanet.preprocessing.pascal_voc import (
    PascalVocGenerator,
    _findNode,
    read_image_set,
    read_objects,
    voc_classes,
)

OBJECT = """<object><name>{name}</name><truncated>{truncated}</truncated>
<difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin><ymin>3</ymin><xmax>11</xmax>
<ymax>{y2}</ymax></bndbox></object>"""


def an_object(name="cat", truncated=0, difficult=0, x1=2, y2=13):
    return OBJECT.format(name=name, truncated=truncated, difficult=difficult, x1=x1, y2=y2)


@pytest.fixture
def folder(tmp_path):
    """Two images: one with three objects, one with none."""
    for name in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (tmp_path / name).mkdir(parents=True)
    for name, width in (("wide", 40), ("tall", 10)):
        image = np.full((20, width, 3), 7, "uint8")
        cv2.imwrite(str(tmp_path / "JPEGImages" / f"{name}.png"), image)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("wide  1\n\ntall -1\n")
    objects = an_object() + an_object("dog", truncated=1) + an_object("bus", difficult=1)
    (tmp_path / "Annotations" / "wide.xml").write_text(f"<annotation>{objects}</annotation>")
    (tmp_path / "Annotations" / "tall.xml").write_text("<annotation></annotation>")
    return tmp_path


def open_set(folder, **arguments):
    return PascalVocGenerator(str(folder), "train", image_extension=".png", **arguments)


def test_reads_boxes_that_count_from_0(folder):
    generator = open_set(folder)
    assert generator.size() == 2
    assert generator.num_classes() == 20
    truth = generator.load_annotations(0)
    assert truth["bboxes"].tolist() == [[1, 2, 10, 12]] * 3
    assert [generator.label_to_name(label) for label in truth["labels"]] == ["cat", "dog", "bus"]
    assert generator.load_annotations(1)["bboxes"].shape == (0, 4)
    assert [generator.image_aspect_ratio(i) for i in range(2)] == [2, 0.5]
    assert generator.load_image(1).shape == (20, 10, 3)


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        ({"skip_truncated": True}, ["cat", "bus"]),
        ({"skip_difficult": True}, ["cat", "dog"]),
        ({"skip_truncated": True, "skip_difficult": True}, ["cat"]),
    ],
)
def test_skips_what_it_is_told_to(folder, flags, left):
    generator = open_set(folder, **flags)
    labels = generator.load_annotations(0)["labels"]
    assert [generator.label_to_name(label) for label in labels] == left


def test_own_classes(folder):
    generator = open_set(folder, classes={"dog": 0, "cat": 1, "bus": 3})
    assert generator.load_annotations(0)["labels"].tolist() == [1, 0, 3]
    assert generator.num_classes() == 4


def test_the_order_of_the_twenty_classes():
    assert list(voc_classes.values()) == list(range(20))
    assert (voc_classes["aeroplane"], voc_classes["person"]) == (0, 14)
    assert voc_classes["tvmonitor"] == 19


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", "no element found"),
        (an_object("cow"), "object #0: class name 'cow' not found in classes: ['cat']"),
        ("<object></object>", "object #0: missing element 'name'"),
        ("<object><name>cat</name></object>", "object #0: missing element 'bndbox'"),
        (
            "<object><name>cat</name><bndbox></bndbox></object>",
            "object #0: missing element 'bndbox.xmin'",
        ),
        (an_object() + an_object(x1="a"), "object #1: illegal value for 'bndbox.xmin': could not"),
        (an_object(x1="nan"), "illegal value for 'bndbox.xmin': expected a finite number"),
    ],
)
def test_malformed_annotations_are_named(tmp_path, text, message):
    path = tmp_path / "a.xml"
    path.write_text(text if text == "<annotation>" else f"<annotation>{text}</annotation>")
    with pytest.raises(ValueError, match="^invalid annotations file: ") as error:
        read_objects(path, {"cat": 0})
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_boxes_without_area_are_left_out_and_counted(folder):
    path = folder / "Annotations" / "wide.xml"
    path.write_text(f"<a>{an_object(y2=3)}{an_object('dog')}{an_object(x1=12)}</a>")
    with pytest.warns(UserWarning, match=r"left out 2 boxes without area, .* in .*wide\.xml"):
        generator = open_set(folder)
    labels = generator.load_annotations(0)["labels"]
    assert [generator.label_to_name(label) for label in labels] == ["dog"]
    assert [generator.dropped_boxes(i) for i in (0, 1)] == [2, 0]


def test_flags_may_be_missing(tmp_path):
    path = tmp_path / "a.xml"
    box = "<xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax>"
    path.write_text(f"<a><object><name> cat </name><bndbox>{box}</bndbox></object></a>")
    assert read_objects(path, {"cat": 7}) == [
        {"box": (0, 0, 4, 4), "label": 7, "truncated": False, "difficult": False}
    ]


def test_missing_files_are_named(folder):
    (folder / "JPEGImages" / "tall.png").rename(folder / "gone.png")
    with pytest.raises(ValueError, match=r"1 of 2 image files not found, the first: .*tall\.png"):
        open_set(folder)
    (folder / "gone.png").rename(folder / "JPEGImages" / "tall.png")
    (folder / "Annotations" / "tall.xml").unlink()
    with pytest.raises(FileNotFoundError, match=r"tall\.xml"):
        open_set(folder)
    with pytest.raises(FileNotFoundError, match=r"test\.txt"):
        PascalVocGenerator(str(folder), "test")


@pytest.mark.parametrize(("text", "message"), [("\n", "got none"), ("a\na\n", "duplicate .* 'a'")])
def test_malformed_sets_are_named(tmp_path, text, message):
    path = tmp_path / "train.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_image_set(path)


def test_the_helper_of_old_programs():
    """The values are those of keras-retinanet 1.0.0."""
    root = ElementTree.fromstring("<a><b>5</b><c>x</c></a>")
    assert _findNode(root, "b").text == "5"
    assert _findNode(root, "b", parse=int) == 5
    for arguments, message in (
        (("d",), "missing element 'd'"),
        (("d", "a.d"), "missing element 'a.d'"),
        (("c", "a.c", int), "illegal value for 'a.c': invalid literal for int"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            _findNode(root, *arguments)
