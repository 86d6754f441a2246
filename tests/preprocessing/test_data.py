import json
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from keras_retinanet.preprocessing.data import (
    CocoData,
    CSVData,
    KittiData,
    OpenImagesData,
    PascalData,
    ShapesData,
    YoloData,
    _NamedSets,
)


@pytest.mark.parametrize(
    ("data", "training", "validation"),
    [
        (CocoData, "instances_train2017", "instances_val2017"),
        (PascalData, r"/train\.txt", r"val\.txt"),
        (KittiData, "train.labels", "val.labels"),
        (YoloData, r"data\.yaml", r"data\.yaml"),
        (OpenImagesData, "2018_04.class-desc", "2018_04.class-desc"),
    ],
)
def test_nothing_is_read_until_a_set_is_opened(tmp_path, data, training, validation):
    opened = data(tmp_path)
    for opener, missing in ((opened.open_training, training), (opened.open_validation, validation)):
        with pytest.raises(FileNotFoundError, match=missing):
            opener()


def test_csv_evaluates_on_what_is_given(tmp_path):
    for name in ("train.csv", "val.csv"):
        (tmp_path / name).write_text(f"{name}.png,,,,,\n")
        (tmp_path / f"{name}.png").write_bytes(b"")
    (tmp_path / "classes.csv").write_text("cat,0\n")
    train, val, classes = (str(tmp_path / f"{name}.csv") for name in ("train", "val", "classes"))
    assert CSVData(train, classes).open_validation() is None
    data = CSVData(train, classes, val)
    assert data.open_training().image_names == ["train.csv.png"]
    assert data.open_validation(batch_size=1).image_names == ["val.csv.png"]


def test_csv_may_start_elsewhere_and_find_its_classes(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    path = tmp_path / "boxes.csv"
    path.write_text("image,xmin,ymin,xmax,ymax,label\na.png,1,2,3,4,dog\na.png,1,2,3,5,cat\n")
    data = CSVData(path, "-", path, base_dir=tmp_path / "images")
    training = data.open_training()
    assert (training.classes, training.found_classes) == ({"cat": 0, "dog": 1}, True)
    with pytest.warns(UserWarning, match="left out 1 boxes of classes that .*: cat"):
        validation = data.open_validation(known_classes={"dog": 0})
    assert validation.classes == {"dog": 0}
    assert [rows.tolist() for rows in validation.annotations] == [[[1, 2, 3, 4, 0]]]


def test_yolo_may_have_one_set(tmp_path):
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "a.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 40, 3), "uint8"))
    data = YoloData(tmp_path)
    assert data.set_names() == ["train"]
    assert data.open_training().class_names() == ["cat", "dog"]
    assert data.open_validation() is None
    with pytest.raises(ValueError, match=r"no set 'val' \(sets: train\)"):
        YoloData(tmp_path, val_set="val").open_validation()
    # As Roboflow writes it, whatever is exported.
    (tmp_path / "data.yaml").write_text("train: .\nval: ../valid/images\nnames: [cat, dog]\n")
    with pytest.warns(UserWarning, match=r"data\.yaml: there is no \.\./valid/images, so no 'val'"):
        assert data.open_validation() is None
    (tmp_path / "data.yaml").write_text("train: nowhere\nval: .\nnames: [cat, dog]\n")
    with pytest.raises(FileNotFoundError, match="folder of images not found: .*nowhere"):
        data.open_training()


def test_shapes_have_disjoint_sets():
    data = ShapesData()
    training, validation = data.open_training(), data.open_validation(batch_size=2)
    assert (training.set_name, validation.set_name) == ("train", "val")
    assert (validation.size(), validation.batch_size) == (200, 2)


def write_pascal(folder, sets, **names):
    """Write images, each with an object of a name, in the lists of some sets or in one folder."""
    for stem, name in names.items():
        box = "<xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>9</ymax>"
        text = f"<object><name>{name}</name><bndbox>{box}</bndbox></object>"
        for path, content in (
            (folder / "Annotations" / f"{stem}.xml", f"<annotation>{text}</annotation>"),
            (folder / "JPEGImages" / f"{stem}.jpg", ""),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    for set_name, stems in sets.items():
        path = folder / "ImageSets" / "Main" / f"{set_name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{stem}\n" for stem in stems))
    return folder


@pytest.mark.parametrize(
    ("sets", "training", "validation", "evaluated"),
    [
        (["train", "val", "trainval", "test"], "train", "val", "test"),
        (["train", "val"], "train", "val", "val"),
        (["train", "valid", "test"], "train", "valid", "test"),
        (["Train", "Validation"], "Train", "Validation", "Validation"),
        # What is held back for the end is not for each epoch.
        (["train", "test"], "train", None, "test"),
        (["trainval", "test"], "trainval", None, "test"),
        # Some of the images that are trained on.
        (["trainval", "val"], "trainval", None, "val"),
        (["default"], "default", None, "default"),
        ([], "train", None, "train"),
    ],
)
def test_the_usual_sets_of_pascal(tmp_path, sets, training, validation, evaluated):
    write_pascal(tmp_path, {name: ["a", "b"] for name in sets}, a="cat", b="dog")
    data = PascalData(tmp_path)
    assert data.open_training().set_name == training
    found = data.open_validation()
    assert (found and found.set_name) == validation
    data = PascalData(tmp_path, is_evaluated=True)
    if evaluated == "test":
        assert data.open_validation().set_name == evaluated
    else:
        with pytest.warns(UserWarning, match=f"no set 'test', so this is the set '{evaluated}'"):
            assert data.open_validation().set_name == evaluated


def test_sets_of_pascal_that_are_not_there(tmp_path):
    write_pascal(tmp_path, {"left": ["a"], "right": ["b"]}, a="cat", b="dog")
    with pytest.raises(ValueError, match=r"the set 'train' or .* \(sets: left, right\)"):
        PascalData(tmp_path).open_training()
    assert PascalData(tmp_path, "left").open_validation() is None
    with pytest.raises(ValueError, match=r"--pascal-set names another \(sets: left, right\)"):
        PascalData(tmp_path, is_evaluated=True).open_validation()
    for data in (PascalData(tmp_path, "left", "val"), PascalData(tmp_path, val_set="val")):
        with pytest.raises(FileNotFoundError, match=r"val\.txt: no such set"):
            data.open_validation()
    assert PascalData(tmp_path, "right").open_training().image_names == ["b"]


def test_classes_of_pascal_that_only_the_validation_set_has(tmp_path):
    write_pascal(tmp_path, {"train": "a", "val": "bc"}, a="ant", b="bee", c="ant")
    data = PascalData(tmp_path)
    training = data.open_training()
    assert (training.classes, training.found_classes) == ({"ant": 0}, True)
    with pytest.warns(UserWarning, match="left out 1 objects of the set 'val' .*: bee$"):
        validation = data.open_validation(known_classes=training.classes)
    assert validation.classes == {"ant": 0}
    assert [len(validation.load_annotations(i)["labels"]) for i in range(2)] == [0, 1]
    # In training they would be background.
    with pytest.raises(ValueError, match="'ant' not found in classes"):
        data.open_training(known_classes={"bee": 0})
    (tmp_path / "classes.csv").write_text("bee,0\nant,1\n")
    data = PascalData(tmp_path, classes=tmp_path / "classes.csv")
    assert data.open_validation(known_classes={"ant": 0}).classes == {"bee": 0, "ant": 1}


@dataclass(frozen=True)
class Named(_NamedSets):
    """Data whose sets are names alone; opening one returns the name, or says that it is missing."""

    name = "named"
    path: str
    there: tuple[str, ...]
    train_set: str | None = None
    val_set: str | None = None

    def set_names(self):
        return list(self.there)

    def open_set(self, set_name, *, known_classes=None, **arguments):
        return f"{set_name} {known_classes} {arguments}"


@pytest.mark.parametrize(
    ("there", "named", "training", "validation"),
    [
        (["train", "val", "test"], {}, "train", "val"),
        (["train", "valid"], {}, "train", "valid"),
        (["a", "train"], {}, "train", None),
        (["train", "validation"], {"val_set": "train"}, "train", "train"),
        (["a", "b", "val"], {"train_set": "b"}, "b", "val"),
        (["val", "other"], {"train_set": "val"}, "val", None),
        (["all"], {}, "all", None),
        # Opening them says what is missing.
        ([], {}, "train", "val"),
        ([], {"train_set": "a", "val_set": "b"}, "a", "b"),
    ],
)
def test_sets_that_nobody_named_are_the_usual_ones(there, named, training, validation):
    data = Named("here", tuple(there), **named)
    assert data.open_training(known_classes={"a": 0}, batch_size=2) == (
        f"{training} {{'a': 0}} {{'batch_size': 2}}"
    )
    assert data.training_source() == f"the set '{training}'"
    opened = data.open_validation()
    assert opened == (validation and f"{validation} None {{}}")


def test_sets_that_are_not_there_are_refused_with_those_that_are():
    data = Named("here", ("b", "c"), val_set="a")
    with pytest.raises(ValueError, match=r"^here: no set 'a' \(sets: b, c\)$"):
        data.open_validation()
    with pytest.raises(ValueError, match=r"^here: expected the set 'train' to train on.*: b, c\)$"):
        data.open_training()


def write_yolo(folder):
    """Write a data set in YOLO form without a set to evaluate on."""
    for name, label in (("a", "0 .5 .5 .2 .2\n"), ("b", "1 .5 .5 .2 .2\n"), ("c", "")):
        for path in (folder / "images" / f"{name}.png", folder / "labels" / f"{name}.txt"):
            path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "images" / f"{name}.png"), np.zeros((20, 30, 3), "uint8"))
        (folder / "labels" / f"{name}.txt").write_text(label)
    (folder / "data.yaml").write_text("train: images\nnames: [cat, dog]\n")
    return YoloData(folder)


def write_coco(folder):
    """Write a data set in COCO form without a set to evaluate on."""
    for name in ("annotations", "images/train2017"):
        (folder / name).mkdir(parents=True)
    images = [
        {"id": 7 * i, "file_name": f"{name}.png", "width": 30, "height": 20 + i}
        for i, name in enumerate("abc")
    ]
    for image in images:
        path = folder / "images" / "train2017" / image["file_name"]
        cv2.imwrite(str(path), np.zeros((image["height"], 30, 3), "uint8"))
    boxes = [{"image_id": i, "category_id": 3, "bbox": [1, 1, 5 + i, 5]} for i in (0, 7)]
    content = {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 3, "name": "cat"}],
    }
    (folder / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
    return CocoData(folder)


def write_csv(folder):
    """Write a CSV data set of empty images."""
    for name in "abc":
        (folder / f"{name}.png").write_bytes(b"")
    (folder / "boxes.csv").write_text("a.png,1,1,6,6,cat\nb.png,1,1,13,6,cat\nc.png,,,,,\n")
    (folder / "classes.csv").write_text("cat,0\n")
    return CSVData(str(folder / "boxes.csv"), str(folder / "classes.csv"))


def write_voc(folder):
    write_pascal(folder, {"train": "abc"}, a="cat", b="cat", c="cat")
    return PascalData(folder)


def write_kitti(folder):
    for path in ("train/labels", "train/images"):
        (folder / path).mkdir(parents=True)
    for name in "abc":
        (folder / "train" / "images" / f"{name}.png").write_bytes(b"")
        line = "Car 0 0 0 1 1 9 9 0 0 0 0 0 0 0\n"
        (folder / "train" / "labels" / f"{name}.txt").write_text(line)
    return KittiData(folder)


@pytest.mark.parametrize("write", [write_yolo, write_coco, write_csv, write_voc, write_kitti])
def test_a_list_chooses_images_in_each_format(tmp_path, write):
    data = write(tmp_path)
    assert data.open_validation() is None
    complete = data.open_training(group_method="none")
    chosen = data.open_training(
        image_list=["c.png" if write is not write_voc else "c.jpg", complete.paths[1]]
    )
    assert chosen.paths == complete.paths[1:]
    for index in range(2):
        for get in ("load_annotations", "declared_size", "dropped_boxes", "image_aspect_ratio"):
            one, other = getattr(chosen, get)(index), getattr(complete, get)(index + 1)
            np.testing.assert_equal(one, other, err_msg=get)
    for name in ("image_ids", "image_names"):
        if hasattr(complete, name):
            assert list(getattr(chosen, name)) == list(getattr(complete, name))[1:]
    assert (chosen.classes, chosen.num_classes()) == (complete.classes, complete.num_classes())


def test_a_list_chooses_pictures_of_shapes():
    complete = ShapesData().open_validation()
    chosen = ShapesData().open_validation(image_list=["000199.png", "val/000007.png"])
    for index, number in enumerate((7, 199)):
        assert chosen.image_path(index) == complete.image_path(number)
        np.testing.assert_array_equal(chosen.load_image(index), complete.load_image(number))
        np.testing.assert_equal(chosen.load_annotations(index), complete.load_annotations(number))
