import cv2
import numpy as np
import pytest

from keras_retinanet.preprocessing.csv_generator import CSVGenerator, read_annotations, read_classes


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
        ("dog\n", "line 1: format should be 'class_name,class_id'"),
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
