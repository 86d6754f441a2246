import os

import cv2
import numpy as np
import pytest

from keras_retinanet.preprocessing import yolo
from keras_retinanet.preprocessing.yolo import YoloGenerator, read_description, read_labels


@pytest.fixture
def folder(tmp_path):
    """Three images of 40 x 20: two boxes, an outline, and no label file."""
    for name in ("images/train", "labels/train", "images/val"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("train/b", "train/a", "train/c", "val/d"):
        image = np.full((20, 40, 3), 7, "uint8")
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), image)
    labels = tmp_path / "labels" / "train"
    (labels / "a.txt").write_text("1 0.5 0.5 0.5 0.2\n\n0 0.1 0.1 0.2 0.2\n")
    (labels / "b.txt").write_text("2 0.25 0.1 0.5 0.9 0.75 0.4\n")
    (tmp_path / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnc: 3\nnames: [cat, dog, bus]\n"
    )
    return tmp_path


def test_reads_boxes_outlines_and_images_without_labels(folder):
    generator = YoloGenerator(str(folder / "data.yaml"))
    assert [os.path.basename(generator.image_path(i)) for i in range(3)] == [
        "a.png",
        "b.png",
        "c.png",
    ]
    assert generator.class_names() == ["cat", "dog", "bus"]
    truth = generator.load_annotations(0)
    np.testing.assert_allclose(truth["bboxes"], [[10, 8, 30, 12], [0, 0, 8, 4]])
    assert truth["labels"].tolist() == [1, 0]
    outline = generator.load_annotations(1)
    np.testing.assert_allclose(outline["bboxes"], [[10, 2, 30, 18]])
    assert outline["labels"].tolist() == [2]
    assert generator.load_annotations(2)["bboxes"].shape == (0, 4)
    assert YoloGenerator(str(folder), "val").size() == 1


def write(folder, text):
    path = folder / "data.yaml"
    path.write_text(text)
    return path


def test_names_may_be_numbered_and_the_root_given(folder):
    text = "path: images\ntrain: [train, val]\nnames:\n  0: cat\n  2: bus\n  1: dog\n"
    generator = YoloGenerator(str(write(folder, text)))
    assert generator.classes == {"cat": 0, "dog": 1, "bus": 2}
    assert generator.size() == 4


def test_a_set_may_be_a_list_of_files(folder):
    (folder / "list.txt").write_text("./images/train/b.png\nimages/val/d.png\n")
    generator = YoloGenerator(str(write(folder, "train: list.txt\nnames: [cat, dog, bus]\n")))
    assert [os.path.basename(path) for path in generator.paths] == ["b.png", "d.png"]


def test_a_step_up_too_many_is_forgiven(folder):
    text = "train: ../images/train\nnames: [cat, dog, bus]\n"
    assert YoloGenerator(str(write(folder, text))).size() == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "expected YAML"),
        ("train: x\n", "expected the key 'names'"),
        ("names: [a, a]\n", "duplicate class name"),
        ("names: {x: a}\n", "expected the labels 0, 1"),
        ("names: [a]\nnc: 2\n", "nc: 2 classes, but 1 names"),
    ],
)
def test_malformed_descriptions_are_named(folder, text, message):
    path = write(folder, text)
    with pytest.raises(ValueError, match=message) as error:
        read_description(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.5", "line 1: expected 'class x y width height'"),
        ("0 0.1 0.1 0.2 0.2 0.3", "line 1: expected 'class x y width height'"),
        ("cat 0.5 0.5 0.5 0.5", "line 1: malformed class: invalid literal"),
        ("3 0.5 0.5 0.5 0.5", "line 1: unknown class 3 (classes: [0, 1])"),
        ("0 0.5 x 0.5 0.5", "line 1: malformed number: could not convert"),
        ("0 0.5 nan 0.5 0.5", "line 1: malformed number: expected a finite number"),
        ("0 10 10 20 20", "line 1: expected fractions of the image's sides, 0 to 1"),
        ("0 0.5 0.5 0 0.5", "line 1: expected a width and a height above 0"),
    ],
)
def test_malformed_labels_are_named(tmp_path, line, message):
    path = tmp_path / "a.txt"
    path.write_text(line)
    with pytest.raises(ValueError, match="^invalid YOLO label file: ") as error:
        read_labels(path, (40, 20), {0, 1})
    assert f"{path}: {message}" in str(error.value)


def test_rounding_at_the_edge_is_cut_off(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0 0.5 0.5 1.000001 1.000001")
    assert read_labels(path, (40, 20), {0}) == [(0, 0, 40, 20, 0)]


def test_label_files_lie_beside_the_last_folder_of_images():
    path = os.path.join("", "images", "set", "images", "a.b.jpg")
    assert yolo.label_path(path) == os.path.join("", "images", "set", "labels", "a.b.txt")


def test_what_is_not_there_is_named(folder):
    with pytest.raises(ValueError, match="expected the key 'test'"):
        YoloGenerator(str(folder), "test")
    path = str(write(folder, "train: nowhere\nval: labels\nnames: [cat]\n"))
    with pytest.raises(FileNotFoundError, match="folder of images not found: .*nowhere"):
        YoloGenerator(path)
    with pytest.raises(ValueError, match="expected images, found none"):
        YoloGenerator(path, "val")


def test_missing_images_of_a_list_are_named_or_left_to_reading(folder):
    (folder / "list.txt").write_text("./images/gone.png\n")
    path = str(write(folder, "train: list.txt\nnames: [cat]\n"))
    with pytest.raises(ValueError, match=r"1 of 1 image files not found, .*gone\.png"):
        YoloGenerator(path)
    generator = YoloGenerator(path, missing_ok=True)
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        generator.load_image(0)
