import csv
import json

import numpy as np
import pytest

from keras_retinanet.preprocessing.coco import CocoGenerator
from keras_retinanet.preprocessing.csv_generator import CSVGenerator
from keras_retinanet.preprocessing.shapes import ShapesGenerator, export_set


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    sets = {"train": ShapesGenerator("train", size=12), "val": ShapesGenerator("val", size=30)}
    for generator in sets.values():
        export_set(generator, str(folder))
    return folder, sets


@pytest.mark.parametrize("name", ["train", "val"])
def test_exported_sets_are_read_back_equal(exported, name):
    folder, sets = exported
    coco = CocoGenerator(str(folder), f"{name}2017")
    table = CSVGenerator(str(folder / f"{name}.csv"), str(folder / "classes.csv"))
    original = sets[name]
    for copy in (coco, table):
        assert copy.size() == original.size()
        assert copy.num_classes() == original.num_classes()
        for i in range(original.size()):
            np.testing.assert_array_equal(copy.load_image(i), original.load_image(i))
            got, wanted = copy.load_annotations(i), original.load_annotations(i)
            np.testing.assert_array_equal(got["bboxes"], wanted["bboxes"])
            np.testing.assert_array_equal(got["labels"], wanted["labels"])


def test_batch_has_the_sizes_asked_for():
    generator = ShapesGenerator("train", size=8, batch_size=4, image_min_side=64, image_max_side=96)
    images, (regression, classification) = generator[0]
    assert images.shape[0] == 4
    assert min(images.shape[1:3]) == 64
    assert regression.shape[:2] == classification.shape[:2]


def test_exported_files_hold_what_the_formats_ask(exported):
    folder, sets = exported
    rows = list(csv.reader((folder / "val.csv").read_text().splitlines()))
    empty = [row for row in rows if row[1:] == [""] * 5]
    truths = [sets["val"].load_annotations(i)["labels"] for i in range(30)]
    assert len(empty) == sum(len(truth) == 0 for truth in truths) > 0
    assert all(value.isdigit() for row in rows if row not in empty for value in row[1:5])
    content = json.loads((folder / "annotations" / "instances_val2017.json").read_text())
    assert len(content["annotations"]) == sum(map(len, truths))
    ids = [annotation["id"] for annotation in content["annotations"]]
    assert len(set(ids)) == len(ids)
    assert min(ids) == 1
    for annotation in content["annotations"]:
        assert annotation["area"] == annotation["bbox"][2] * annotation["bbox"][3]
