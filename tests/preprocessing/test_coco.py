import json

import cv2
import numpy as np
import pytest

from keras_retinanet.preprocessing.coco import CocoGenerator

GOOD = {
    "images": [
        {"id": 7, "file_name": "a.png", "width": 40, "height": 20},
        {"id": 3, "file_name": "b.png", "width": 10, "height": 20},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
    "annotations": [
        {"image_id": 7, "category_id": 18, "bbox": [1, 2, 10, 5]},
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 20, 20], "iscrowd": 1},
        {"image_id": 7, "category_id": 1, "bbox": [5, 5, 0.5, 9]},
        {"image_id": 7, "category_id": 1, "bbox": [5, 6, 7, 8]},
    ],
}


def write(folder, dataset):
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "images" / "val2017").mkdir(parents=True, exist_ok=True)
    text = dataset if isinstance(dataset, str) else json.dumps(dataset)
    (folder / "annotations" / "instances_val2017.json").write_text(text)
    for name, width in (("a.png", 40), ("b.png", 10)):
        path = folder / "images" / "val2017" / name
        cv2.imwrite(str(path), np.zeros((20, width, 3), "uint8"))
    return str(folder)


def test_labels_follow_category_ids_and_crowds_and_slivers_are_dropped(tmp_path):
    with pytest.warns(UserWarning, match="left out 1 boxes thinner than a pixel, .*: image 7"):
        generator = CocoGenerator(write(tmp_path, GOOD), "val2017")
    assert generator.class_names() == ["person", "dog"]
    assert generator.image_ids == [7, 3]
    found = generator.load_annotations(0)
    assert found["labels"].tolist() == [1, 0]
    assert found["bboxes"].tolist() == [[1, 2, 11, 7], [5, 6, 12, 14]]
    assert generator.load_annotations(1)["bboxes"].shape == (0, 4)
    assert [generator.dropped_boxes(i) for i in (0, 1)] == [1, 0]
    assert generator.image_aspect_ratio(0) == 2
    assert generator.load_image(1).shape == (20, 10, 3)


@pytest.mark.filterwarnings("ignore:left out 1 boxes thinner")
def test_images_are_grouped_by_the_annotated_sizes_or_as_a_subclass_says(tmp_path, monkeypatch):
    class Reversed(CocoGenerator):
        def image_aspect_ratio(self, image_index):
            return 1 / super().image_aspect_ratio(image_index)

    monkeypatch.delattr("keras_retinanet.preprocessing.labelled.read_sizes")
    folder = write(tmp_path, GOOD)
    for kind, groups in ((CocoGenerator, [[1], [0]]), (Reversed, [[0], [1]])):
        assert kind(folder, "val2017", shuffle_groups=False).groups == groups


@pytest.mark.filterwarnings("ignore:left out 1 boxes thinner")
def test_labels_names_and_ids_map_both_ways(tmp_path):
    generator = CocoGenerator(write(tmp_path, GOOD), "val2017")
    assert generator.num_classes() == 2
    for label, ident, name in ((0, 1, "person"), (1, 18, "dog")):
        assert generator.label_to_coco_label(label) == ident
        assert generator.coco_label_to_label(ident) == label
        assert generator.coco_label_to_name(ident) == name
        assert generator.name_to_label(name) == label
        assert generator.has_label(label) and generator.has_name(name)


def without(section, key):
    entries = [{k: v for k, v in entry.items() if k != key} for entry in GOOD[section]]
    return {**GOOD, section: entries}


def with_annotation(**changes):
    return {**GOOD, "annotations": [{**GOOD["annotations"][0], **changes}]}


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "expected an object"),
        ({k: v for k, v in GOOD.items() if k != "categories"}, "expected the key 'categories'"),
        (without("images", "file_name"), r"images\[0\]: expected the keys \['file_name'\]"),
        (without("annotations", "bbox"), r"annotations\[0\]: expected the keys \['bbox'\]"),
        (with_annotation(category_id=99), r"annotations\[0\]: unknown category_id 99"),
        (with_annotation(image_id=99), r"annotations\[0\]: unknown image_id 99"),
        (with_annotation(bbox=[1, 2, 3]), r"annotations\[0\]: expected bbox with 4 numbers"),
        (with_annotation(bbox=[1, 2, 3, None]), r"annotations\[0\]: expected bbox with 4 numbers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, dataset, message):
    with pytest.raises(ValueError, match=r"instances_val2017\.json: " + message):
        CocoGenerator(write(tmp_path, dataset), "val2017")


@pytest.mark.filterwarnings("ignore:left out 1 boxes thinner")
def test_missing_files_are_named(tmp_path):
    folder = write(tmp_path, GOOD)
    (tmp_path / "images" / "val2017" / "b.png").unlink()
    with pytest.raises(ValueError, match=r"1 of \d image files not found, .*b\.png"):
        CocoGenerator(folder, "val2017")
    with pytest.raises(FileNotFoundError, match="instances_train2017"):
        CocoGenerator(folder, "train2017")
