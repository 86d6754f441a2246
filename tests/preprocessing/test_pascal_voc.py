import os
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


def test_why_there_are_no_boxes(folder):
    (folder / "Annotations" / "wide.xml").write_text(f"<a>{an_object(truncated=1)}</a>")
    generator = open_set(folder, skip_truncated=True)
    assert not generator.has_boxes()
    assert generator.why_no_boxes() == "all 1 objects are truncated or difficult, and skipped"
    (folder / "Annotations" / "wide.xml").write_text("<annotation/>")
    assert open_set(folder).why_no_boxes() == "the annotations have none"


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
        (an_object(x1="1e999"), "illegal value for 'bndbox.xmin': expected a finite number"),
        (an_object(x1="9" * 5000), "illegal value for 'bndbox.xmin': expected a finite number"),
        (an_object(x1="1e300"), "illegal value for 'bndbox.xmin': expected at most 1e+09"),
        (an_object(difficult="true"), "object #0: illegal value for 'difficult': could not"),
        (
            an_object().replace("</object>", "<bndbox/></object>"),
            "object #0: expected one element 'bndbox', got 2",
        ),
        (
            # A label may be inside another element; a box may not.
            an_object().replace("bndbox", "polygon"),
            "object #0: missing element 'bndbox'",
        ),
        ("<object>" * 100_000 + "</object>" * 100_000, "object #0: missing element 'name'"),
        (an_object("x" * 100_000), "object #0: class name 'xxx"),
        ("&nothing;", "undefined entity"),
        ("\0", "not well-formed"),
    ],
)
def test_malformed_annotations_are_named(tmp_path, text, message):
    path = tmp_path / "a.xml"
    path.write_text(text if text == "<annotation>" else f"<annotation>{text}</annotation>")
    with pytest.raises(ValueError, match="^invalid annotations file: ") as error:
        read_objects(path, {"cat": 0})
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert len(str(error.value)) < 300 + len(str(path))


# Each of the entities e1 to e9 stands for ten of the one before.
ENTITIES = "".join(f"<!ENTITY e{i} '{f'&e{i - 1};' * 10}'>" for i in range(1, 10))
BOMB = f"<!DOCTYPE a [<!ENTITY e0 'a'>{ENTITIES}]><annotation>{an_object('&e9;')}</annotation>"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB.encode(), "expected no entities"),
        (BOMB.encode("utf-16"), "expected no entities"),
        (b'<!DOCTYPE a [<!ENTITY a SYSTEM "/dev/zero">]><annotation>&a;</annotation>', "no entit"),
        (b"<?xml version='1.0' encoding='hex'?><annotation/>", "not a text encoding"),
        (b"<?xml version='1.0' encoding='idna'?><annotation/>", "'idna' codec"),
        (b"<?xml version='1.0' encoding='klingon'?><annotation/>", "unknown encoding"),
        (b"\xff\xfe\xfd", "unclosed token"),
        (b"", "no element found"),
        (b'{"annotation": []}', "not well-formed"),
        (b"<annotations><image><box/></image></annotations>", "got 'annotations'"),
        (b"<annotation xmlns='x'><object/></annotation>", "got '{x}annotation'"),
        (b"<html/>", "expected the element 'annotation', got 'html'"),
        (b"<annotation>" + b" " * 2**24, "expected a file of at most 16777216 bytes"),
    ],
)
def test_what_is_no_annotation_is_named(tmp_path, content, message):
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_objects(path, {"cat": 0})
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 300 + len(str(path))


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "a")
    with pytest.raises(ValueError, match="expected a regular file"):
        read_objects(tmp_path / "a", {"cat": 0})
    with pytest.raises(ValueError, match="expected a regular file"):
        read_image_set(tmp_path / "a")


@pytest.mark.parametrize(
    "content",
    [
        b"<annotation>%s</annotation>",
        b"\xef\xbb\xbf<annotation>\r\n%s</annotation>\r\n",
        b"<?xml version='1.0' encoding='latin-1'?><annotation><a>\xe9</a>%s</annotation>",
        b"<!DOCTYPE annotation><annotation>%s</annotation>",
        b"<a>" * 100_000 + b"%s" + b"</a>" * 100_000,
        b"<annotation a='" + b"x" * 1_000_000 + b"'>%s</annotation>",
        b"<annotation><size><width>x</width></size>%s</annotation>",
    ],
)
def test_what_may_be_around_objects(tmp_path, content):
    path = tmp_path / "a.xml"
    path.write_bytes(content % an_object().encode())
    assert [entry["box"] for entry in read_objects(path, {"cat": 0})] == [(1, 2, 10, 12)]


def test_parts_of_an_object_are_no_objects(tmp_path):
    """As in VOC's layouts of persons."""
    path = tmp_path / "a.xml"
    part = an_object("head").replace("object>", "part>")
    inside = f"{part}<part>{an_object('hand')}</part>{an_object('foot')}</object>"
    objects = an_object("cat").replace("</object>", inside) + an_object("dog")
    path.write_text(f"<annotation>{objects}</annotation>")
    labels = [entry["label"] for entry in read_objects(path, {"cat": 0, "dog": 1})]
    assert labels == [0, 1]


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


def test_unknown_classes_are_collected_and_the_cure_is_named(folder):
    text = an_object() + an_object("raccoon") + an_object("zebra") + an_object("raccoon")
    (folder / "Annotations" / "wide.xml").write_text(f"<annotation>{text}</annotation>")
    (folder / "Annotations" / "tall.xml").write_text(f"<a>{an_object('yak')}</a>")
    with pytest.raises(ValueError, match=r"wide\.xml: could not parse object #1: ") as error:
        open_set(folder)
    assert "class name 'raccoon' not found in classes: " in str(error.value)
    assert "3 unknown in all: raccoon, zebra, yak; list yours in a file for --classes" in str(
        error.value
    )
    assert len(str(error.value)) < 300 + len(str(folder))


@pytest.mark.parametrize("size", [(40, 20), (41, 20), None, (0, 0), ("x", 1), ("nan", 1)])
def test_declared_sizes(folder, size):
    width, height = size or (0, 0)
    declared = f"<size><width>{width}</width><height>{height}</height></size>" if size else ""
    (folder / "Annotations" / "wide.xml").write_text(f"<annotation>{declared}</annotation>")
    generator = open_set(folder)
    good = size is not None and isinstance(width, int) and width > 0
    assert generator.declared_size(0) == (size if good else None)
    assert generator.declared_size(1) is None


def test_coordinates_of_0_are_clipped_in_training(folder):
    boxes = an_object(x1=0) + an_object(x1=1) + an_object(x1=-1)
    (folder / "Annotations" / "wide.xml").write_text(f"<annotation>{boxes}</annotation>")
    generator = open_set(folder, no_resize=True)
    assert generator.load_annotations(0)["bboxes"][0].tolist() == [-1, 2, 10, 12]
    with pytest.warns(UserWarning, match="invalid boxes"), pytest.warns(match="clipped boxes"):
        _, annotations = generator.sample(0, 0)
    assert annotations["bboxes"].tolist() == [[0, 2, 10, 12]] * 2


@pytest.mark.parametrize(
    ("extension", "recorded", "found"),
    [
        (".jpg", "", "wide.png"),
        (None, "", "wide.png"),
        ("png", "", "wide.png"),
        (".bmp", "other.gif", "wide.bmp"),
        (None, "wide.bmp", "wide.bmp"),
        (".jpg", "C:\\x\\wide.bmp", "wide.bmp"),
    ],
)
def test_images_of_any_usual_extension(folder, extension, recorded, found):
    images = folder / "JPEGImages"
    (images / "wide.bmp").write_bytes((images / "wide.png").read_bytes())
    (images / "other.gif").write_bytes(b"")
    (folder / "Annotations" / "wide.xml").write_text(
        f"<annotation><filename>{recorded}</filename></annotation>"
    )
    generator = PascalVocGenerator(str(folder), "train", image_extension=extension)
    assert generator.paths == [str(images / found), str(images / "tall.png")]


def test_an_image_may_have_the_name_that_the_annotations_record(folder):
    (folder / "JPEGImages" / "wide.png").rename(folder / "JPEGImages" / "IMG 7.png")
    (folder / "Annotations" / "wide.xml").write_text(
        "<annotation><filename> IMG 7.png </filename></annotation>"
    )
    generator = PascalVocGenerator(str(folder), "train")
    assert generator.paths[0] == str(folder / "JPEGImages" / "IMG 7.png")


@pytest.mark.parametrize(
    ("line", "annotated", "name"),
    [
        ("a", ["a"], "a"),
        ("a 1", ["a"], "a"),
        ("a  -1", ["a"], "a"),
        ("a\t0", ["a"], "a"),
        ("  a   1  \r", ["a"], "a"),
        ("\ufeffa 1", ["a"], "a"),
        ("Screenshot (573)", ["Screenshot (573)"], "Screenshot (573)"),
        ("Screenshot (573)  1", ["Screenshot (573)"], "Screenshot (573)"),
        ("photo 1", ["photo 1"], "photo 1"),
        ("photo 1", ["photo"], "photo"),
        ("photo 1", ["photo 1", "photo"], "photo 1"),
        ("photo 1 1", ["photo 1"], "photo 1"),
        ("photo 2", ["photo 2"], "photo 2"),
        ("photo 1", [], "photo"),
        ("photo 2", [], "photo 2"),
        ("1", ["1"], "1"),
        ("-1", [], "-1"),
        ("a.jpg", ["a"], "a"),
        ("a.JPG -1", ["a"], "a"),
        ("a.xml", ["a"], "a"),
        ("a.jpg", ["a.jpg"], "a.jpg"),
        ("a.b", ["a.b"], "a.b"),
        ("sub/a 1", ["sub/a"], "sub/a"),
        ("#1", ["#1"], "#1"),
        ("# not a comment", ["# not a comment"], "# not a comment"),
    ],
)
def test_the_name_in_a_line_of_a_set(tmp_path, line, annotated, name):
    for annotation in annotated:
        path = tmp_path / "Annotations" / f"{annotation}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    path = tmp_path / "set.txt"
    path.write_bytes(f"\n{line}\n \n".encode() if "\ufeff" not in line else line.encode())
    assert read_image_set(path, tmp_path / "Annotations") == [name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", "got none"),
        ("a\na\n", "duplicate .* 'a'"),
        ("a 1\na -1\n", "duplicate .* 'a'"),
        (
            "/data/a.jpg\n",
            "expected names below Annotations/ and JPEGImages/, got the path /data/a",
        ),
    ],
)
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


def own_classes(folder, **files):
    """Write the annotations of the two images with objects of some names."""
    for stem, names in files.items():
        text = "".join(map(an_object, names))
        (folder / "Annotations" / f"{stem}.xml").write_text(f"<annotation>{text}</annotation>")


@pytest.mark.parametrize(
    ("names", "file", "classes", "found"),
    [
        (["yak", "ant", "Bee"], {}, ["Bee", "ant", "yak"], True),
        (["dog", "cat"], {}, list(voc_classes), False),
        ([], {}, list(voc_classes), False),
        (["dog", "ant"], {}, ["ant", "dog"], True),
        (["dog"], {"classes.txt": "ant\ndog\n"}, ["ant", "dog"], False),
        ([], {"classes.txt": "yak\nant\n"}, ["yak", "ant"], False),
        (["ant"], {"labelmap.txt": "# label:c\nbackground:0::\nant:1::\n"}, ["ant"], False),
        (["ant"], {"Predefined_Classes.txt": "yak\nant\n"}, ["yak", "ant"], False),
        (["ant"], {"obj.names": "ant\n", "labels.txt": "bee\nant\n"}, ["bee", "ant"], False),
    ],
)
def test_classes_of_the_data_set(folder, names, file, classes, found):
    own_classes(folder, wide=names)
    for name, text in file.items():
        (folder / name).write_text(text)
    generator = open_set(folder, classes=None)
    assert list(generator.classes.items()) == [(name, i) for i, name in enumerate(classes)]
    assert generator.found_classes == found
    labels = generator.load_annotations(0)["labels"]
    assert [generator.label_to_name(label) for label in labels] == names


def test_a_file_of_class_names_that_lacks_some(folder):
    own_classes(folder, wide=["ant", "bee", "cow"])
    (folder / "classes.txt").write_text("bee\nyak\n")
    with pytest.raises(ValueError, match=r"object #0: class name 'ant' not found in ") as error:
        open_set(folder, classes=None)
    assert "(2 unknown in all: ant, cow; the classes are those of " in str(error.value)
    assert "classes.txt; --classes names another file)" in str(error.value)
    assert len(str(error.value)) < 300 + len(str(folder))
    # One that has none of them is about something else, such as numbers of images.
    (folder / "classes.txt").write_text("000001\n000002\n")
    with pytest.warns(UserWarning, match=r"classes\.txt: not used as the file of class names"):
        assert list(open_set(folder, classes=None).classes) == ["ant", "bee", "cow"]


def test_classes_that_are_known(folder):
    own_classes(folder, wide=["dog", "ant"], tall=["bee", "ant"])
    known = {"ant": 1, "dog": 0}
    with pytest.raises(ValueError, match=r"'bee' not found in .*the training set or model\)"):
        open_set(folder, classes=None, known_classes=known)
    with pytest.warns(UserWarning, match=r"left out 1 objects of the set 'train' .*: bee$"):
        generator = open_set(folder, classes=None, known_classes=known, skip_unknown=True)
    assert generator.classes == known
    assert not generator.found_classes
    assert [generator.load_annotations(i)["labels"].tolist() for i in (0, 1)] == [[0, 1], [1]]
    with pytest.raises(ValueError, match="'dog' not found in"):
        open_set(folder, classes=None, known_classes={"yak": 0}, skip_unknown=True)
    # Those that are given count more.
    given = {"ant": 0, "bee": 1, "dog": 2}
    assert open_set(folder, classes=given, known_classes=known).classes == given


def test_a_folder_may_hold_other_xml_files(tmp_path):
    picture = np.full((20, 30, 3), 7, "uint8")
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    (tmp_path / "a.xml").write_text(f"<annotation>{an_object()}</annotation>")
    (tmp_path / "annotations.xml").write_text("<annotations><image name='a.png'/></annotations>")
    with pytest.warns(UserWarning, match=r"left out 1 XML files that are no .*annotations\.xml"):
        generator = PascalVocGenerator(tmp_path, "train")
    assert generator.image_names == ["a"]
    (tmp_path / "b.xml").write_text("<annotation>")
    with pytest.raises(ValueError, match=r"b\.xml: no element found"):
        PascalVocGenerator(tmp_path, "train")
    (tmp_path / "b.xml").write_text("<annotation/>")
    with (
        pytest.raises(ValueError, match=r"1 of 2 image files not found, the first: .*b\."),
        pytest.warns(UserWarning, match="left out 1 XML files"),
    ):
        PascalVocGenerator(tmp_path, "train")


def test_a_folder_with_other_xml_files_only(tmp_path):
    (tmp_path / "annotations.xml").write_text("<annotations/>")
    with (
        pytest.raises(ValueError, match="expected at least one image, got none"),
        pytest.warns(UserWarning, match="left out 1 XML files"),
    ):
        PascalVocGenerator(tmp_path, "train")


def test_some_images_only(folder):
    own_classes(folder, wide=["ant"], tall=["bee"])
    generator = open_set(folder, classes=None, image_list=["JPEGImages/tall.png"])
    assert generator.image_names == ["tall"]
    # The classes are those of all images, so that they are the same in each part.
    assert list(generator.classes) == ["ant", "bee"]
    assert generator.declared_size(0) is None
