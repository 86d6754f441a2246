"""A small example of what each tool exports: where its parts are, and what they hold."""

import json
import os

import cv2
import numpy as np
import pytest

from keras_retinanet.annotations.yolo_layouts import find_layout, find_yaml, is_yolo, read_names
from keras_retinanet.preprocessing.yolo import YoloGenerator

NAMES = "raccoon\ndog\n"
NOTES = json.dumps({"categories": [{"id": 1, "name": "dog"}, {"id": 0, "name": "raccoon"}]})
YAML = "nc: 2\nnames: ['raccoon', 'dog']\n"
OBJ_DATA = "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
# The images of the two sets: in each label file as many boxes as its name has letters.
IMAGES = {"train": ["aa", "b"], "val": ["ccc"]}
# Files that the tool writes, the folders of images and of labels of each set, and perhaps the path
# to name. `{train}` stands for the names of the images, one in a line, with what is before.
LAYOUTS = {
    "Roboflow": (
        {"data.yaml": f"train: ../train/images\nval: ../valid/images\n{YAML}"},
        {"train": ("train/images", "train/labels"), "val": ("valid/images", "valid/labels")},
    ),
    "Roboflow, Darknet": (
        {"train/_darknet.labels": NAMES, "valid/_darknet.labels": NAMES, "README.roboflow.txt": ""},
        {"train": ("train", "train"), "val": ("valid", "valid")},
    ),
    "Ultralytics": (
        {"coco8.yaml": f"path: .\ntrain: images/train\nval: images/val\ntest:\n{YAML}"},
        {"train": ("images/train", "labels/train"), "val": ("images/val", "labels/val")},
    ),
    "valid in place of val": (
        {"data.yml": f"train: train\nvalid: valid\n{YAML}"},
        {"train": ("train", "train"), "val": ("valid", "valid")},
    ),
    "names and folders": (
        {"data.yaml": YAML},
        {"train": ("images/train", "labels/train"), "val": ("images/val", "labels/val")},
    ),
    "CVAT, YOLO 1.1": (
        {
            "obj.data": f"{OBJ_DATA}backup = backup/\n",
            "obj.names": NAMES,
            "train.txt": ("train", "data/obj_train_data/"),
            "valid.txt": ("val", "data/obj_valid_data/"),
        },
        {
            "train": ("obj_train_data", "obj_train_data"),
            "val": ("obj_valid_data", "obj_valid_data"),
        },
    ),
    "CVAT without lists": (
        {"obj.names": NAMES},
        {
            "train": ("obj_Train_data", "obj_Train_data"),
            "val": ("obj_Validation_data", "obj_Validation_data"),
        },
    ),
    "CVAT, Ultralytics": (
        {
            "data.yaml": "path: .\ntrain: train.txt\nval: val.txt\nnames: {0: raccoon, 1: dog}\n",
            "train.txt": ("train", "data/images/train/"),
            "val.txt": ("val", "data/images/val/"),
        },
        {"train": ("images/train", "labels/train"), "val": ("images/val", "labels/val")},
    ),
    "Darknet": (
        {
            "cfg/obj.data": OBJ_DATA,
            "data/obj.names": NAMES,
            "data/train.txt": ("train", "data/obj/"),
            "data/valid.txt": ("val", "data/obj/"),
        },
        {"train": ("data/obj", "data/obj"), "val": ("data/obj", "data/obj")},
        "cfg/obj.data",
    ),
    "Label Studio": ({"classes.txt": NAMES, "notes.json": NOTES}, {"train": ("images", "labels")}),
    "Label Studio, notes": ({"notes.json": NOTES}, {"train": ("images", "labels")}),
    "LabelImg": ({"classes.txt": NAMES}, {"train": (".", ".")}),
    "LabelImg, two folders": ({"labels/classes.txt": NAMES}, {"train": ("images", "labels")}),
    "FiftyOne, YOLOv4": (
        {"obj.names": NAMES, "images.txt": ("train", "data/")},
        {"train": ("data", "data")},
    ),
    "folders and classes": (
        {"classes.txt": NAMES, "hyp.yaml": "lr0: 0.1\n"},
        {"train": ("train/images", "train/labels"), "val": ("val/images", "val/labels")},
    ),
}


def write(folder, files):
    for name, text in files.items():
        if isinstance(text, tuple):
            text = "".join(f"{text[1]}{image}.png\n" for image in IMAGES[text[0]])
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def make(folder, layout):
    files, sets, *path = LAYOUTS[layout]
    write(folder, files)
    for name, (images, labels) in sets.items():
        for image in IMAGES[name]:
            line = f"{len(image) % 2} 0.5 0.5 0.5 0.2\n"
            write(folder, {f"{labels}/{image}.txt": line * len(image)})
            (folder / images).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / images / f"{image}.png"), np.zeros((20, 40, 3), "uint8"))
    return str(folder.joinpath(*path)), sets


@pytest.mark.filterwarnings("ignore:.* listed again")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_each_tool_exports_is_read(tmp_path, layout):
    path, sets = make(tmp_path, layout)
    assert is_yolo(path)
    for name in sets:
        generator = YoloGenerator(path, name)
        assert generator.class_names() == ["raccoon", "dog"]
        stems = [os.path.splitext(os.path.basename(image))[0] for image in generator.paths]
        assert sorted(stems) == IMAGES[name]
        for index, stem in enumerate(stems):
            expected = [[10, 8, 30, 12, len(stem) % 2]] * len(stem)
            np.testing.assert_allclose(generator.annotations[index], expected)
    if "val" not in sets:
        with pytest.raises(ValueError, match=r"expected the set 'val', got \['train'\]"):
            YoloGenerator(path, "val")


def test_one_yaml_file_is_expected(tmp_path):
    make(tmp_path, "Ultralytics")
    assert find_yaml(tmp_path) == str(tmp_path / "coco8.yaml")
    write(tmp_path, {"other.yaml": f"train: images/train\n{YAML}"})
    assert is_yolo(tmp_path)
    with pytest.raises(ValueError, match=r"got coco8\.yaml, other\.yaml: name the one to use"):
        find_yaml(tmp_path)
    write(tmp_path, {"data.yaml": "train: images/train\nnames: [dog, raccoon]\n"})
    assert find_yaml(tmp_path) == str(tmp_path / "data.yaml")
    assert find_yaml("any.yaml") == "any.yaml"


def test_label_files_are_no_lists(tmp_path):
    make(tmp_path, "LabelImg")
    write(tmp_path, {"train.txt": "0 0.5 0.5 0.5 0.2\n", "test.txt": ""})
    assert find_layout(tmp_path).sets == {"train": ""}


def test_a_folder_without_class_names_says_what_it_has(tmp_path):
    write(tmp_path, {"images/a.txt": "", "b.txt": ""})
    with pytest.raises(FileNotFoundError, match=r"data\.yaml not found, nor .*; the folder has b"):
        find_layout(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_layout(tmp_path / "nowhere" / "obj.data")


def test_class_names_that_differ_are_an_error(tmp_path):
    make(tmp_path, "Roboflow, Darknet")
    write(tmp_path, {"valid/_darknet.labels": "dog\nraccoon\n"})
    with pytest.raises(ValueError, match="expected the same class names in"):
        find_layout(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("classes.txt", "\n\n", "expected a class name in each line, got none"),
        ("classes.txt", "dog\n\ncat\n", "line 2: expected a class name, got none"),
        ("classes.txt", "dog\ncat\ndog\n", "line 3: duplicate class name: 'dog', as in line 1"),
        ("notes.json", "[]", "expected a list 'categories'"),
        ("notes.json", "{", "Expecting"),
        ("notes.json", '{"categories": [{"id": 0}]}', "categories: expected 'id' and 'name'"),
        (
            "notes.json",
            '{"categories": [{"id": 1, "name": "a"}]}',
            r"categories: expected the ids 0, 1, ..., got \[1\]",
        ),
        ("notes.json", '{"categories": []}', "expected a class name in each line, got none"),
        ("notes.json", "[" * 100_000, "expected fewer levels of nesting"),
    ],
)
def test_malformed_class_names_are_named(tmp_path, name, text, message):
    write(tmp_path, {name: text})
    with pytest.raises(ValueError, match=f"^invalid file of class names: .*{name}: {message}"):
        read_names(str(tmp_path / name))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"classes.txt": NAMES, "Annotations/a.xml": "<annotation/>"},
        {"labels.txt": NAMES, "readme.txt": "Hello, it is a data set.\n"},
        {"train/labels/a.txt": "Car 0.00 0 -1.57 10.5 2 30 12.25 1.5 1.6 4.0 1.0 1.5 2 3\n"},
        {"train/labels/a.txt": "0 0.5 0.5 0.5 0.5\n"},
        {"config.yaml": "train: 3\nlr: 0.1\n"},
        {"a.data": "x = y\n", "classes.txt": ""},
    ],
)
def test_other_folders_are_not_recognised(tmp_path, files):
    write(tmp_path, files)
    assert not is_yolo(tmp_path)
    assert not any(is_yolo(tmp_path / name) for name in files)
    assert not is_yolo(tmp_path / "nowhere")
