import copy
import json

import numpy as np
import pytest

from keras_retinanet.annotations import json_parts
from keras_retinanet.annotations.coco_table import CocoTable, read_coco_fast
from keras_retinanet.preprocessing.coco import load_table

DATASET = {
    "annotations": [
        {"id": 5, "image_id": 9, "category_id": 3, "bbox": [1, 2.5, 3, 4], "area": 12},
        {"id": 4, "image_id": 7, "category_id": 1, "bbox": [0, 0, 2, 2], "area": 4},
        {"id": 6, "image_id": 9, "category_id": 1, "bbox": [5, 6, 0, 8], "area": 0},
    ],
    "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat", "supercategory": "x"}],
    "images": [
        {"id": 7, "file_name": "a.jpg", "width": 40, "height": 20},
        {"id": 8, "file_name": "ä.jpg", "width": 10, "height": 20.5},
        {"id": 9, "file_name": "c.jpg", "width": 1, "height": 2},
    ],
}


def write(path, dataset):
    path.write_text(json.dumps(dataset))
    return path


def changed(section, index, **values):
    dataset = copy.deepcopy(DATASET)
    dataset[section][index].update(values)
    return dataset


def check(table, crowd=(False, False, False)):
    assert table.image_ids == [7, 8, 9]
    assert table.file_names == ["a.jpg", "ä.jpg", "c.jpg"]
    assert table.sizes.tolist() == [[40, 20], [10, 20.5], [1, 2]]
    assert table.categories == [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]
    assert table.image_indices.tolist() == [2, 0, 2]
    assert table.labels.tolist() == [1, 0, 0]
    assert table.boxes.tolist() == [[1, 2.5, 3, 4], [0, 0, 2, 2], [5, 6, 0, 8]]
    assert table.crowd.tolist() == list(crowd)


@pytest.mark.parametrize("size", [1, 100, 10**6])
def test_both_readers_give_the_same_columns(tmp_path, monkeypatch, size):
    monkeypatch.setattr(json_parts, "_PART", size)
    check(read_coco_fast(write(tmp_path / "a.json", DATASET)))
    check(CocoTable.of(DATASET))


@pytest.mark.parametrize("size", [1, 1000, 10**6])
def test_polygons_and_crowds_among_many_boxes(tmp_path, monkeypatch, size):
    monkeypatch.setattr(json_parts, "_PART", size)
    rng = np.random.default_rng(0)
    dataset, boxes = copy.deepcopy(DATASET), rng.uniform(0, 9, (200, 4)).round(2)
    dataset["annotations"] = [
        {
            "segmentation": {"counts": [1, 2], "size": [3, 4]}
            if i % 50 == 7
            else [rng.uniform(0, 9, rng.integers(6, 12)).round(2).tolist()],
            "area": 1.5,
            "iscrowd": int(i % 50 == 7),
            "image_id": 7 + i % 3,
            "bbox": box.tolist() if i % 40 else box.astype(int).tolist(),
            "category_id": 1 + 2 * (i % 2),
            "id": 900_000_000_000 + i,
        }
        for i, box in enumerate(boxes)
    ]
    table, expected = read_coco_fast(write(tmp_path / "a.json", dataset)), CocoTable.of(dataset)
    for name in ("image_indices", "labels", "boxes", "crowd"):
        np.testing.assert_array_equal(getattr(table, name), getattr(expected, name))
    assert table.crowd.sum() == 4
    assert table.image_indices[:4].tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("dataset", "crowd"),
    [
        (changed("annotations", 1, id=None), None),
        (changed("annotations", 1, area=None), None),
        (changed("annotations", 1, iscrowd=1), (False, True, False)),
        (changed("annotations", 1, image_id=7.0), None),
        (changed("annotations", 1, iscrowd=True), (False, True, False)),
        (changed("annotations", 1, id=2**60 + 1), None),
        (changed("images", 0, width=40.0), None),
    ],
)
def test_what_is_right_but_unusual_is_read(tmp_path, dataset, crowd):
    check(load_table(write(tmp_path / "a.json", dataset)), crowd or (False, False, False))


@pytest.mark.parametrize("form", [str, "0{}".format, "{}.jpg".format])
def test_ids_that_are_text(tmp_path, form):
    dataset = copy.deepcopy(DATASET)
    for entry in dataset["annotations"]:
        entry["image_id"] = form(entry["image_id"])
    for entry in dataset["images"]:
        entry["id"] = form(entry["id"])
    path = write(tmp_path / "a.json", dataset)
    if form is str:  # numbers written as text; 07 may be another image than 7
        with pytest.warns(UserWarning, match=r"6 values are .* text, the first: images\[0\]\.id$"):
            table = load_table(path)
        assert table.image_ids == [7, 8, 9]
    else:
        table = load_table(path)
        assert table.image_ids == [form(7), form(8), form(9)]
    assert table.image_indices.tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    ("section", "index", "values", "message"),
    [
        ("annotations", 2, {"id": 4}, r"annotations\[2\]: duplicate id: 4"),
        ("annotations", 2, {"image_id": 10}, r"annotations\[2\]: unknown image_id 10"),
        ("annotations", 2, {"image_id": 8.5}, r"annotations\[2\]: unknown image_id 8.5"),
        ("annotations", 2, {"image_id": 3}, r"annotations\[2\]: unknown image_id 3"),
        ("annotations", 1, {"category_id": 2}, r"annotations\[1\]: unknown category_id 2"),
        ("annotations", 1, {"bbox": [0, 0, 1, "2px"]}, r"annotations\[1\]: expected bbox with 4"),
        ("annotations", 1, {"bbox": [0, 0, 1, float("nan")]}, r"annotations\[1\]: expected bbox"),
        ("annotations", 1, {"bbox": [0, 0, 1, 10**400]}, r"annotations\[1\]: expected bbox"),
        ("annotations", 1, {"bbox": [1, 2]}, r"annotations\[1\]: expected bbox with 4 numbers"),
        ("annotations", 0, {"area": "x"}, r"annotations\[0\]: expected area with a number"),
        ("annotations", 0, {"iscrowd": []}, r"annotations\[0\]: expected iscrowd with a number"),
        ("annotations", 0, {"id": "x"}, r"annotations\[0\]: expected id with a number"),
        ("images", 1, {"id": 7}, r"images\[1\]: duplicate id: 7"),
        ("images", 1, {"width": -1}, r"images\[1\]: expected width with a number above 0"),
        ("images", 1, {"file_name": 3}, r"images\[1\]: expected file_name with text"),
        ("categories", 1, {"name": "dog"}, r"categories\[1\]: duplicate name: 'dog'"),
        ("categories", 1, {"id": 3}, r"categories\[1\]: duplicate id: 3"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, section, index, values, message):
    path = write(tmp_path / "a.json", changed(section, index, **values))
    with pytest.raises((ValueError, IndexError)):
        read_coco_fast(path)
    with pytest.raises(ValueError, match=rf"a\.json: {message}"):
        load_table(path)


def test_no_boxes(tmp_path):
    table = load_table(write(tmp_path / "a.json", {**DATASET, "annotations": []}))
    assert table.boxes.shape == (0, 4)
    assert table.image_indices.dtype.kind == table.labels.dtype.kind == "i"
    np.testing.assert_equal(table.sizes, [[40, 20], [10, 20.5], [1, 2]])
