"""The layouts of COCO files that tools write, each as a small made example of its export."""

import json
import os
import shutil
import time

import cv2
import numpy as np
import pytest

from keras_retinanet.annotations import coco_layouts
from keras_retinanet.preprocessing.coco import CocoGenerator
from keras_retinanet.preprocessing.data import CocoData
from tests.data_sets import found_boxes

# Name -> boxes `(x1, y1, x2, y2, class)` of each set; all images are 40 x 20.
TRAIN = {"a": [(2, 3, 12, 13, "cat"), (0, 0, 40, 10, "dog")], "b": [(4, 5, 14, 15, "dog")], "c": []}
VAL = {"d": [(1, 1, 9, 9, "cat")]}
CATEGORIES = {"cat": 1, "dog": 2}


def content(images, file_name="{}.jpg", image=None, annotation=None, **sections):
    """Return a COCO dictionary.

    Args:
        images: name -> boxes.
        file_name: `file_name`, with `{}` for the name.
        image: further keys of images, annotation: of annotations.
        sections: further keys, or others.
    """
    names = list(images)
    annotations = [
        {
            "image_id": names.index(name) + 1,
            "category_id": CATEGORIES[label],
            "segmentation": [],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
            **(annotation or {}),
        }
        for name, boxes in images.items()
        for x1, y1, x2, y2, label in boxes
    ]
    return {
        "info": {"description": '{"images": [{', "year": 2024},
        "licenses": [{"id": 0, "name": "", "url": ""}],
        "categories": [{"id": i, "name": n, "supercategory": ""} for n, i in CATEGORIES.items()],
        "images": [
            {"id": i, "file_name": file_name.format(n), "width": 40, "height": 20, **(image or {})}
            for i, n in enumerate(names, 1)
        ],
        "annotations": [{"id": i, **entry} for i, entry in enumerate(annotations, 1)],
        **sections,
    }


def write_json(path, dataset):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dataset))


def write_images(folder, names, pattern="{}.jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / pattern.format(name)), np.full((20, 40, 3), 7, "uint8"))


def coco(folder):
    for name, images in (("train2017", TRAIN), ("val2017", VAL)):
        write_json(folder / "annotations" / f"instances_{name}.json", content(images))
        write_json(folder / "annotations" / f"captions_{name}.json", content(images))
        write_images(folder / "images" / name, images)


def coco_sets_beside_annotations(folder):
    coco(folder)
    for name in ("train2017", "val2017"):
        (folder / "images" / name).rename(folder / name)
    (folder / "images").rmdir()


def coco_all_images_in_one_folder(folder):
    for name, images in (("train", TRAIN), ("val", VAL)):
        write_json(folder / "annotations" / f"instances_{name}.json", content(images))
        write_images(folder / "images", images)


def cvat(folder):
    dataset = content(TRAIN, annotation={"attributes": {"occluded": False}})
    write_json(folder / "annotations" / "instances_default.json", dataset)
    write_images(folder / "images" / "default", TRAIN)


def cvat_images_without_folder(folder):
    write_json(folder / "annotations" / "instances_default.json", content(TRAIN))
    write_images(folder / "images", TRAIN)


def cvat_subsets(folder):
    for name, images in (("Train", TRAIN), ("Validation", VAL)):
        write_json(folder / "annotations" / f"instances_{name}.json", content(images))
        write_images(folder / "images" / name, images)


def roboflow(folder):
    # The first category is the supercategory, which repeats a name here.
    categories = [{"id": 0, "name": "dog", "supercategory": "none"}, *content({})["categories"]]
    for name, images in (("train", TRAIN), ("valid", VAL), ("test", VAL)):
        pattern = "{}_jpg.rf.0123456789abcdef.jpg"
        dataset = content(images, pattern, {"extra": {"name": "x.jpg"}}, categories=categories)
        write_json(folder / name / "_annotations.coco.json", dataset)
        write_images(folder / name, images, pattern)


def fiftyone(folder):
    write_json(folder / "labels.json", content(TRAIN))
    write_images(folder / "data", TRAIN)


def fiftyone_splits(folder):
    for name, images in (("train", TRAIN), ("validation", VAL)):
        write_json(folder / name / "labels.json", content(images))
        write_images(folder / name / "data", images)


def label_studio(folder, file_name="images/0a1b2c3d-{}.jpg", pattern="0a1b2c3d-{}.jpg"):
    annotation = {"ignore": 0, "iscrowd": 0}
    write_json(folder / "result.json", content(TRAIN, file_name, annotation=annotation))
    write_images(folder / "images", TRAIN, pattern)


def label_studio_on_windows(folder):
    label_studio(folder, "images\\0a1b2c3d-{}.jpg")


def label_studio_with_a_path_from_elsewhere(folder):
    label_studio(folder, "..\\..\\label-studio\\media\\upload\\1\\0a1b2c3d-{}.jpg")


def label_studio_with_images_of_ones_own(folder):
    label_studio(folder, "/data/upload/1/0a1b2c3d-{}.jpg", "{}.jpg")


def coco_annotator(folder):
    image = {"dataset_id": 1, "path": "/datasets/x/a.jpg", "annotated": True, "deleted": False}
    annotation = {"iscrowd": False, "isbbox": True, "color": "#fff", "keypoints": []}
    write_json(folder / "dataset-1.json", content(TRAIN, "{}.jpg", image, annotation))
    write_images(folder, TRAIN)


def makesense(folder):
    name = "labels_my-project_2024-01-01-10-00-00.json"
    write_json(folder / name, content(TRAIN, licenses=[]))
    write_images(folder, TRAIN)


def supervisely(folder):
    for name, images in (("train", TRAIN), ("val", VAL)):
        write_json(folder / name / "annotations" / "instances.json", content(images))
        write_images(folder / name / "images", images)


def via(folder):
    dataset = content(TRAIN)
    for entry in dataset["annotations"]:
        entry["image_id"] = str(entry["image_id"])
    write_json(folder / "via_project_coco.json", dataset)
    write_images(folder, TRAIN)


def labelme2coco(folder):
    write_json(folder / "annotations.json", content(TRAIN, "JPEGImages/{}.jpg"))
    write_images(folder / "JPEGImages", TRAIN)


def names_of_sets(folder):
    for name, images in (("train", TRAIN), ("val", VAL)):
        write_json(folder / f"{name}_annotations.json", content(images))
        write_images(folder / name, images)


def absolute_names(folder):
    write_json(folder / "a.json", content(TRAIN, f"{folder}/elsewhere/{{}}.jpg"))
    write_images(folder / "elsewhere", TRAIN)


def names_of_another_machine(folder):
    write_json(folder / "a.json", content(TRAIN, "C:\\Users\\me\\set\\one\\{}.jpg"))
    write_images(folder / "images" / "one", TRAIN)


# Function that writes the export -> the sets there are.
EXPORTS = {
    coco: ["train2017", "val2017"],
    coco_sets_beside_annotations: ["train2017", "val2017"],
    coco_all_images_in_one_folder: ["train", "val"],
    cvat: ["default"],
    cvat_images_without_folder: ["default"],
    cvat_subsets: ["Train", "Validation"],
    roboflow: ["test", "train", "valid"],
    fiftyone: ["labels"],
    fiftyone_splits: ["train", "validation"],
    label_studio: ["result"],
    label_studio_on_windows: ["result"],
    label_studio_with_a_path_from_elsewhere: ["result"],
    label_studio_with_images_of_ones_own: ["result"],
    coco_annotator: ["dataset-1"],
    makesense: ["my-project_2024-01-01-10-00-00"],
    supervisely: ["train", "val"],
    via: ["via_project"],
    labelme2coco: ["annotations"],
    names_of_sets: ["train", "val"],
    absolute_names: ["a"],
    names_of_another_machine: ["a"],
}


def boxes_of(generator):
    """Return image name -> boxes, where a tool may have put something before or after the name."""
    return {
        name.removeprefix("0a1b2c3d-").split("_")[0]: boxes
        for name, boxes in found_boxes(generator).items()
    }


@pytest.mark.filterwarnings("ignore:.*(images are found by|numbers written as|repeat a name)")
@pytest.mark.parametrize("write", EXPORTS)
def test_what_tools_export_is_read_as_it_is(tmp_path, write):
    write(tmp_path)
    assert coco_layouts.recognises(tmp_path)
    assert sorted(coco_layouts.find_sets(tmp_path)) == EXPORTS[write]
    data = CocoData(str(tmp_path))
    training, validation = data.open_training(), data.open_validation()
    assert boxes_of(training) == TRAIN
    assert training.class_names() == ["cat", "dog"]
    assert (validation is not None) == (len(EXPORTS[write]) > 1)
    if validation is not None:
        assert boxes_of(validation) == VAL
        assert validation.classes == training.classes
    # The file alone is a data set too.
    file = coco_layouts.find_sets(tmp_path)[training.set_name]
    data = CocoData(file)
    assert coco_layouts.recognises(file)
    assert boxes_of(data.open_training()) == TRAIN
    assert data.open_validation() is None
    # What evaluation goes by says the same.
    dataset = training.coco.dataset
    assert {entry["id"] for entry in dataset["images"]} == set(training.image_ids)
    assert [entry["name"] for entry in dataset["categories"]] == training.class_names()
    assert len(dataset["annotations"]) == sum(map(len, TRAIN.values()))
    ids = {name: ident for name, ident in zip(boxes_of(training), training.image_ids, strict=True)}
    assert {
        (entry["image_id"], *entry["bbox"][:2], entry["category_id"])
        for entry in dataset["annotations"]
    } == {
        (ids[name], *box[:2], training.label_to_coco_label(training.name_to_label(box[4])))
        for name, boxes in TRAIN.items()
        for box in boxes
    }


def test_a_set_of_roboflow_alone(tmp_path):
    roboflow(tmp_path)
    with pytest.warns(UserWarning, match=r"left out 1 categories .* repeat a name: 'dog' \(0\)$"):
        generator = CocoData(tmp_path / "valid").open_training()
    assert boxes_of(generator) == VAL
    assert list(coco_layouts.find_sets(tmp_path / "valid")) == ["valid"]


def test_images_in_a_folder_that_is_named(tmp_path):
    write_json(tmp_path / "a.json", content(TRAIN))
    write_images(tmp_path / "far" / "away", TRAIN)
    for folder in ("far/away", "far/away/"):
        generator = CocoGenerator(tmp_path / "a.json", "a", images_dir=str(tmp_path / folder))
        assert boxes_of(generator) == TRAIN
    # The folder above those of the sets, for two sets.
    coco(tmp_path)
    (tmp_path / "images").rename(tmp_path / "pictures")
    data = CocoData(str(tmp_path), images=str(tmp_path / "pictures"))
    assert boxes_of(data.open_training()) == TRAIN
    assert boxes_of(data.open_validation()) == VAL


def test_where_images_were_looked_for_is_said(tmp_path):
    write_json(tmp_path / "a.json", content(TRAIN, "x/{}.jpg"))
    with pytest.raises(
        ValueError, match=r"a\.json: no image such as 'x/a\.jpg' .* --images"
    ) as error:
        CocoGenerator(tmp_path / "a.json", "a")
    assert "images" in str(error.value)
    assert len(str(error.value)) < 300 + len(str(tmp_path))
    with pytest.raises(ValueError, match="looked from its folder in .*: is --images right"):
        CocoGenerator(tmp_path / "a.json", "a", images_dir=tmp_path / "there")
    # A report on the data set counts them.
    assert CocoGenerator(tmp_path / "a.json", "a", missing_ok=True).size() == 3


def test_the_folder_with_most_images_counts_and_absent_ones_are_named(tmp_path):
    write_json(tmp_path / "a.json", content(TRAIN))
    write_images(tmp_path, "a")
    write_images(tmp_path / "images", "ab")
    with pytest.raises(ValueError, match=r"1 of 3 image files not found, the first: .*images/c"):
        CocoGenerator(tmp_path / "a.json", "a")


def test_names_that_lose_what_tells_them_apart_are_refused(tmp_path):
    write_json(tmp_path / "a.json", content({"x/a": [], "y/a": []}))
    write_images(tmp_path, "a")
    with pytest.raises(ValueError, match=r"'x/a\.jpg' and 'y/a\.jpg' are the same") as error:
        CocoGenerator(tmp_path / "a.json", "a")
    assert len(str(error.value)) < 300 + 2 * len(str(tmp_path))


def test_how_images_are_found_is_said_where_folders_are_left_out(tmp_path):
    names_of_another_machine(tmp_path)
    with pytest.warns(UserWarning, match="images are found by the last 2 parts of file_name$"):
        CocoGenerator(tmp_path / "a.json", "a")


@pytest.mark.parametrize("named", ["valid", "valid/_annotations.coco.json", "{}/test/../valid"])
@pytest.mark.filterwarnings("ignore:.*repeat a name")
def test_another_set_or_file_to_evaluate_on(tmp_path, monkeypatch, named):
    roboflow(tmp_path)
    monkeypatch.chdir(tmp_path)
    file = named.format(tmp_path) + (
        "" if named == "valid" or named.endswith("json") else "/_annotations.coco.json"
    )
    assert boxes_of(CocoData(tmp_path, val_set=file).open_validation()) == VAL
    if named != "valid":
        data = CocoData("train/_annotations.coco.json", val_set=file)
        assert boxes_of(data.open_training()) == TRAIN
        assert boxes_of(data.open_validation()) == VAL


def test_a_file_to_evaluate_on_beside_the_one_to_train_on(tmp_path):
    names_of_sets(tmp_path)
    for name in ("val", "val_annotations.json"):
        data = CocoData(tmp_path / "train_annotations.json", val_set=name)
        assert boxes_of(data.open_validation()) == VAL
    data = CocoData(tmp_path / "train_annotations.json", val_set="test")
    with pytest.raises(FileNotFoundError, match="no set 'test' beside it; .* sets train, val$"):
        data.open_validation()


def test_the_only_set_is_trained_on_whatever_its_name(tmp_path):
    coco(tmp_path)
    (tmp_path / "annotations" / "instances_train2017.json").unlink()
    data = CocoData(tmp_path)
    assert boxes_of(data.open_training()) == VAL
    assert data.open_validation() is None
    assert boxes_of(CocoData(tmp_path, val_set="val2017").open_validation()) == VAL


def test_the_sets_there_are_are_named(tmp_path):
    roboflow(tmp_path)
    with pytest.raises(FileNotFoundError, match="there are the sets test, train, valid$"):
        CocoGenerator(tmp_path, "val2017")
    (tmp_path / "train").rename(tmp_path / "one")
    with pytest.raises(ValueError, match="sets: one, test, valid"):
        CocoData(tmp_path).open_training()
    with pytest.raises(FileNotFoundError, match="there is no file in COCO form"):
        CocoGenerator(tmp_path / "nowhere", "val2017")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '[{"images": [{}]}]',
        '{"images": {}}',
        '{"shapes": [{"images": [{"id": 1}]}], "imagePath": "a.jpg", "imageData": "aaaa"}',
        '{"_via_settings": {"ui": {"categories": [{}]}}, "_via_img_metadata": {}}',
        '{"categories": ["a", "b"], "items": []}',
        '{"categories": [{"id": 0, "name": "cat"}]}',  # Label Studio's, beside YOLO files
        '{"info": "\\"images\\": [{"}',
        "\0" * 100,
    ],
)
def test_other_json_is_not_taken_for_coco(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert not coco_layouts.recognises(tmp_path / "a.json")
    assert not coco_layouts.recognises(tmp_path)
    assert coco_layouts.find_sets(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        '\ufeff \n{"images": []}',
        '{"info": {"a": [1, {"b": "]}"}]}, "annotations" : [ {"id": 1}]}',
        '{"licenses": [{"x": "\\\\"}], "images": [\n{}',
    ],
)
def test_the_beginning_of_a_file_is_enough(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert coco_layouts.recognises(tmp_path)


def test_folders_without_coco_are_told_quickly(tmp_path):
    for index in range(3000):
        (tmp_path / f"{index}.json").write_text('{"shapes": []}' + " " * 5000)
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    start = time.perf_counter()
    assert not coco_layouts.recognises(tmp_path)
    assert time.perf_counter() - start < 1
    assert not coco_layouts.recognises(tmp_path / "nowhere")
    assert not coco_layouts.recognises(tmp_path / "pipe.json")


def test_folders_whose_names_are_patterns(tmp_path):
    folder = tmp_path / "a[1]*"
    folder.mkdir()
    cvat(folder)
    assert boxes_of(CocoData(folder).open_training()) == TRAIN


def test_a_file_in_the_current_folder(tmp_path, monkeypatch):
    fiftyone(tmp_path)
    monkeypatch.chdir(tmp_path)
    for path in ("labels.json", ".", "./labels.json"):
        assert boxes_of(CocoData(path).open_training()) == TRAIN
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(ValueError, match="no image such as"):
        CocoData("labels.json").open_training()
