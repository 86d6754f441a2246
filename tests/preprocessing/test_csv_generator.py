import csv
import io
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_retinanet.preprocessing.csv_generator import (
    CSVGenerator,
    _open_for_csv,
    _read_annotations,
    _read_classes,
    read_annotations,
    read_classes,
    read_table,
)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.fixture
def data_set(tmp_path):
    """Paths of annotations and classes, beside two images."""
    for name, width in (("wide, é.png", 40), ("tall.png", 10)):
        cv2.imwrite(str(tmp_path / name), np.full((20, width, 3), 7, "uint8"))
    rows = '"wide, é.png",1,2,30,12,cat\n"wide, é.png",0,0,5.5,9,dog\ntall.png,,,,,\n'
    return write(tmp_path / "ann.csv", rows), write(tmp_path / "cls.csv", "dog,0\ncat,2\n")


def test_reads_boxes_labels_and_images_without_objects(data_set):
    generator = CSVGenerator(*data_set)
    assert generator.size() == 2
    assert generator.num_classes() == 3
    assert generator.class_names() == ["dog", None, "cat"]
    assert [generator.image_aspect_ratio(i) for i in range(2)] == [2, 0.5]
    first, second = (generator.load_annotations(i) for i in range(2))
    assert first["bboxes"].tolist() == [[1, 2, 30, 12], [0, 0, 5.5, 9]]
    assert first["labels"].tolist() == [2, 0]
    assert second["bboxes"].shape == (0, 4)
    assert generator.load_image(0).shape == (20, 40, 3)


def test_names_and_labels(data_set):
    generator = CSVGenerator(*data_set)
    assert generator.has_label(2)
    assert not generator.has_label(1)
    assert generator.has_name("cat")
    assert generator.name_to_label("cat") == 2
    assert generator.label_to_name(2) == "cat"


def test_byte_order_mark_windows_lines_and_blank_lines(tmp_path):
    path = write(tmp_path / "cls.csv", b"\xef\xbb\xbfdog,0\r\n\r\ncat,1\r\n")
    assert read_classes(path) == {"dog": 0, "cat": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dog,0,1\n", "line 1: format should be 'class_name,class_id'"),
        ("dog,0\ncat\n", "line 2: format should be 'class_name,class_id'"),
        ("dog\ncat,1\n", "line 2: format should be 'class_name,class_id'"),
        ("dog\ncat\ndog\n", "line 3: duplicate class name: 'dog'"),
        ("dog,0\ncat,one\n", "line 2: malformed class ID: invalid literal"),
        ("dog,-1\n", "line 1: malformed class ID: expected 0 or more, got -1"),
        ("dog,0\ndog,1\n", "line 2: duplicate class name: 'dog'"),
        ("dog,0\ncat,0\n", "line 2: duplicate class ID: 0"),
        ("\n", "expected at least one row"),
    ],
)
def test_malformed_classes_are_named(tmp_path, text, message):
    path = write(tmp_path / "cls.csv", text)
    with pytest.raises(ValueError) as error:
        read_classes(path)
    assert str(error.value).startswith(f"invalid CSV class file: {path}: {message}")


def test_classes_may_be_one_name_per_line(tmp_path):
    path = write(tmp_path / "labels.txt", "traffic light \r\n\r\ndog\r\n7\r\n")
    assert read_classes(path) == {"traffic light": 0, "dog": 1, "7": 2}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,1,2,3", "format should be 'img_file,x1,y1,x2,y2,class_name' or 'img_file,,,,,'"),
        ("a.jpg,one,2,3,4,dog", "malformed x1: could not convert string to float: 'one'"),
        ("a.jpg,1,2,3,nan,dog", "malformed y2: expected a finite number"),
        ("a.jpg,1,,3,4,dog", "malformed y1: "),
        ("a.jpg,5,2,5,4,dog", "x2 (5) must be higher than x1 (5)"),
        ("a.jpg,1,9,3,4,dog", "y2 (4) must be higher than y1 (9)"),
        ("a.jpg,1,2,3,4,cow", "unknown class name: 'cow' (classes: {'dog': 0})"),
    ],
)
def test_malformed_annotations_are_named(tmp_path, row, message):
    path = write(tmp_path / "ann.csv", f"ok.jpg,,,,,\n{row}\n")
    with pytest.raises(ValueError) as error:
        read_annotations(path, {"dog": 0})
    assert str(error.value).startswith(f"invalid CSV annotations file: {path}: line 2: {message}")


def test_missing_files_are_named(data_set, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        CSVGenerator(str(tmp_path / "nowhere.csv"), data_set[1])
    (tmp_path / "tall.png").unlink()
    with pytest.raises(ValueError, match=r"ann\.csv: 1 of 2 image files not found.*tall\.png"):
        CSVGenerator(*data_set)


def test_base_dir(data_set, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    annotations = write(moved / "ann.csv", "tall.png,,,,,\n")
    generator = CSVGenerator(annotations, data_set[1], base_dir=str(tmp_path))
    assert generator.image_path(0) == str(tmp_path / "tall.png")


def test_classes_are_found(data_set):
    generator = CSVGenerator(data_set[0], "-")
    assert (generator.classes, generator.found_classes) == ({"cat": 0, "dog": 1}, True)
    assert [generator.load_annotations(0)["labels"].tolist()] == [[0, 1]]
    assert not CSVGenerator(*data_set).found_classes


def test_classes_that_are_not_known_are_left_out(data_set):
    with pytest.warns(UserWarning, match="left out 1 boxes of classes .* 1 to find: cat"):
        generator = CSVGenerator(data_set[0], "-", known_classes={"dog": 0})
    assert (generator.classes, generator.found_classes) == ({"dog": 0}, False)
    assert generator.image_data == {"wide, é.png": [(0, 0, 5.5, 9, 0)], "tall.png": []}
    with pytest.raises(ValueError, match=r"ann\.csv: expected boxes, to find the classes"):
        CSVGenerator(write(Path(data_set[0]), "tall.png,,,,,\n"), "-")


def test_sizes_may_be_declared(data_set):
    text = "filename,width,height,class,xmin,ymin,xmax,ymax\ntall.png,10,21,dog,1,2,3,4\n"
    annotations = write(Path(data_set[0]), text + '"wide, é.png",,,cat,1,2,3,4\n')
    generator = CSVGenerator(annotations, data_set[1])
    assert [generator.declared_size(i) for i in range(2)] == [(10, 21), None]
    generator = CSVGenerator(annotations, data_set[1], image_list=["tall.png"])
    assert generator.image_data == {"tall.png": [(1, 2, 3, 4, 0)]}
    assert generator.declared_size(0) == (10, 21)


CLASSES = {"dog": 0, "cat": 4}
TEXT = 'b.jpg,1,2,3.5,4,cat\r\n\r\n"a,1.jpg",,,,,\nb.jpg, 5 ,6,7,1e1,dog,more\nc.jpg,0,0,1,1,cat\n'
IMAGES = {
    "b.jpg": [(1, 2, 3.5, 4, 4), (5, 6, 7, 10, 0)],
    "a,1.jpg": [],
    "c.jpg": [(0, 0, 1, 1, 4)],
}


def test_rows_of_every_spelling_are_read(tmp_path):
    path = write(tmp_path / "a.csv", TEXT)
    names, table = read_table(path, CLASSES)
    assert names == list(IMAGES)
    assert [[tuple(row) for row in rows.tolist()] for rows in table] == list(IMAGES.values())
    assert read_annotations(path, CLASSES) == IMAGES


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("last", ["", "end"])
def test_any_line_ends(tmp_path, end, last):
    rows = [f"{i // 3}.jpg,{i},2,{i}.25,{i + 3},{'cat' if i % 2 else 'dog'}" for i in range(1, 30)]
    rows[4] = "é.jpg,,,,,"
    names, table = read_table(
        write(tmp_path / "a.csv", end.join(rows) + (end if last else "")), CLASSES
    )
    assert names[:3] == ["0.jpg", "1.jpg", "é.jpg"]
    assert table[2].shape == (0, 5)
    assert table[1].tolist() == [[3, 2, 3.25, 6, 4], [4, 2, 4.25, 7, 0]]
    assert len(table.rows) == 28


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected at least one row, got none"),
        ("\n", "expected at least one row, got none"),
        (" ,,,,,\n", "expected at least one row, got none"),
        ("a.jpg,1,2,3\n", "line 1: format should be 'img_file,x1,y1,x2,y2,class_name'"),
        ("a.jpg,1,2,3,4,dog\nb.jpg,1,2,3,4,cow\n", "line 2: unknown class name: 'cow'"),
        ("a.jpg,1,2,3,4,\n", "line 1: unknown class name: ''"),
        ("a.jpg,,,,,dog\n", "line 1: malformed x1: could not convert"),
        ("a.jpg,3,2,3,4,dog\n", r"line 1: x2 \(3\) must be higher than x1 \(3\)"),
        ("a.jpg,1,4.5,3,4,dog\n", r"line 1: y2 \(4\) must be higher than y1 \(4.5\)"),
        ("a.jpg,1,2,nan,4,dog\n", "line 1: malformed x2: expected a finite number, got 'nan'"),
        ("a.jpg,1,2,inf,4,dog\n", "line 1: malformed x2: expected a finite number, got 'inf'"),
        ("a.jpg,1,2,x,4,dog\n", "line 1: malformed x2: could not convert"),
        (",1,2,3,4,dog\n", "line 1: expected the path of an image, got none"),
        ("a.jpg,1,2\n3,4,dog\n", "line 1: format should be"),
        ('a.jpg,"1,2",2,3,4,dog\n', "line 1: malformed x1: could not convert"),
        ('a.jpg,1,2,3,4,dog\n"b.jpg,1,2,3,4,dog\nc.jpg,1,2,3,4,dog\n', "line 2: a quote is"),
        ('a.jpg,1,2,3,4,"do\ng"\n', "line 1: a quote is not closed"),
    ],
)
def test_what_is_wrong_with_a_row_is_named(tmp_path, text, message):
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(ValueError, match=f"^invalid CSV annotations file: {path}: {message}"):
        read_annotations(path, CLASSES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "\nBild,links,oben,rechts,unten,Klasse\na.jpg,1,2,3,4,dog\n",
            "line 2: the header has no column for path, xmin, ymin, xmax, ymax, class, got Bild, ",
        ),
        (
            "a.jpg,1,2,3,4, dog\n",
            "line 1: unknown class name: ' dog' (classes: {'dog': 0, 'cat': 4}): there is a class "
            "'dog': blanks count",
        ),
        ("a.jpg|1|2|3|4|dog\n", "'img_file,,,,,': the fields are separated by '|', not ','"),
        ('"a.jpg,1,2,3,4,dog"\n', "'img_file,,,,,': the line is in quotes: remove them"),
        ("a.jpg,dog,1,2,3,4\n", "float: 'dog': the class is in column 2, not 6"),
    ],
)
def test_the_likely_cause_is_named(tmp_path, text, message):
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(ValueError) as error:
        read_annotations(path, CLASSES)
    assert message in str(error.value)
    assert len(str(error.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name,id\ndog,0\n",
            "line 1: this looks like a header: remove the line; format should be 'class_name,class",
        ),
        ("dog;0\n", "'class_name,class_id': the fields are separated by ';', not ','"),
        ("0,dog\n", "'dog': the name comes first, then the id"),
    ],
)
def test_the_likely_cause_in_classes_is_named(tmp_path, text, message):
    path = write(tmp_path / "c.csv", text)
    with pytest.raises(ValueError) as error:
        read_classes(path)
    assert message in str(error.value)


def test_a_row_of_white_space_is_blank(tmp_path):
    path = write(tmp_path / "a.csv", "a.jpg,1,2,3,4,dog\n  ,,,,,\n")
    assert read_annotations(path, CLASSES) == {"a.jpg": [(1, 2, 3, 4, 0)]}


def test_the_generator_has_the_dictionary_of_old(tmp_path):
    annotations = write(tmp_path / "a.csv", "a.jpg,1,2,3,4,dog\na.jpg,5,6,7,8,dog\n")
    (tmp_path / "a.jpg").touch()
    generator = CSVGenerator(annotations, write(tmp_path / "c.csv", "dog,0\n"))
    assert generator.image_names == ["a.jpg"]
    assert generator.image_data == {"a.jpg": [(1, 2, 3, 4, 0), (5, 6, 7, 8, 0)]}
    generator.load_annotations(0)["bboxes"][:] = 0
    assert generator.load_annotations(0)["bboxes"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def rows_of(text):
    return csv.reader(io.StringIO(text))


def test_the_reader_of_classes_of_old():
    assert _read_classes(rows_of("")) == {}
    assert list(_read_classes(rows_of("b,1\na,0\n")).items()) == [("b", 1), ("a", 0)]
    for text, message in (
        ("a\n", "line 1: format should be 'class_name,class_id'"),
        ("a,0\n\n", "line 2: format should be 'class_name,class_id'"),
        ("a,x\n", "line 1: malformed class ID: invalid literal for int"),
        ("a,0\na,1\n", "line 2: duplicate class name: 'a'"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            _read_classes(rows_of(text))


def test_the_reader_of_annotations_of_old(tmp_path):
    assert _read_annotations(rows_of(""), {}) == {}
    with _open_for_csv(write(tmp_path / "a.csv", "a.jpg,1,2,3,4,dog\nb.jpg,,,,,\n")) as file:
        found = _read_annotations(csv.reader(file, delimiter=","), CLASSES)
    box = {"x1": 1, "x2": 3, "y1": 2, "y2": 4, "class": "dog"}
    assert found == {"a.jpg": [box], "b.jpg": []}
    for text, message in (
        ("a.jpg,1\n", "line 1: format should be 'img_file,x1,y1,x2,y2,class_name' or"),
        ("a.jpg,1.5,2,3,4,dog\n", "line 1: malformed x1: invalid literal for int"),
        ("a.jpg,3,2,3,4,dog\n", r"line 1: x2 \(3\) must be higher than x1 \(3\)"),
        ("a.jpg,1,4,3,4,dog\n", r"line 1: y2 \(4\) must be higher than y1 \(4\)"),
        ("a.jpg,1,2,3,4,cow\n", "line 1: unknown class name: 'cow'"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            _read_annotations(rows_of(text), CLASSES)


def test_the_star_import_brings_what_it_did_in_1_0_0():
    names = {}
    exec("from keras_retinanet.preprocessing.csv_generator import *", names)
    old = "CSVGenerator Generator Image OrderedDict csv np os raise_from read_image_bgr sys"
    assert set(old.split()) <= set(names)
    assert not any(name.startswith("_") for name in names if name != "__builtins__")
    with pytest.raises(KeyError) as error:
        names["raise_from"](KeyError("a"), ValueError("b"))
    assert isinstance(error.value.__cause__, ValueError)
