import json
import os
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pycocotools import coco

from keras_retinanet.preprocessing.csv_generator import FIND_CLASSES, CSVGenerator
from keras_retinanet.reports import records
from keras_retinanet.reports.detections import ImageDetections
from keras_retinanet.zoo.class_names import COCO

FIRST = {"box": [1.235, 2, 30, 40], "score": 0.75, "label": 1, "name": "dog"}
SECOND = {"box": [5, 6, 7, 8], "score": 0.5, "label": 4, "name": None}
FOUND = ImageDetections("a.png", 60, 50, [FIRST, SECOND])
NOTHING = ImageDetections("b.png", 60, 50, [])
ENTRY = {"file": "a.png", "width": 60, "height": 50, "detections": [FIRST, SECOND]}
EMPTY = {"file": "b.png", "width": 60, "height": 50, "detections": []}


class FullDisk:
    """A file with room for a few bytes more."""

    def __init__(self, file):
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        return self.file.write(data[:20])


def test_a_json_list_is_complete_after_each_image(tmp_path):
    path = tmp_path / "new" / "found.json"
    file = records.json_file(path)
    assert path.read_text() == "[]\n"
    expected = []
    for found, entry in ((FOUND, ENTRY), (NOTHING, EMPTY), (FOUND, ENTRY)):
        file.add(found)
        expected.append(entry)
        assert path.read_text() == json.dumps(expected, indent=1) + "\n"
    file.close()


def test_json_lines_and_frames_of_videos(tmp_path):
    path = tmp_path / "found.JSONL"
    file = records.json_file(path)
    file.add(FOUND)
    file.add(replace(NOTHING, path="v.mp4", frame=12, seconds=0.48))
    file.close()
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == ENTRY
    assert second == {**EMPTY, "file": "v.mp4", "frame": 12, "time": 0.48}


@pytest.mark.parametrize("name", ["found.json", "found.jsonl", "found.csv"])
def test_all_of_an_image_is_written_in_one_call(tmp_path, name):
    file = (records.csv_file if name.endswith(".csv") else records.json_file)(tmp_path / name)
    writes = []

    class Counting(FullDisk):
        def write(self, data):
            writes.append(data)
            return self.file.write(data)

    file._file = Counting(file._file)
    file.add(FOUND)
    file.close()
    assert len(writes) == 1


@pytest.mark.parametrize("name", ["found.json", "found.jsonl"])
def test_entries_follow_those_that_are_kept(tmp_path, name):
    path = tmp_path / name
    file = records.json_file(path)
    file.add(FOUND)
    before = path.read_text()
    file.add(NOTHING)
    file.close()
    both = path.read_text()
    # What follows the entry that is kept is no line end, or a longer text than the new one.
    end = len(before.removesuffix("]\n").removesuffix("\n"))
    for text in (before[:end], both, f"{both} and more"):
        path.write_text(text)
        file = records.json_file(path, end)
        assert path.read_text() == before
        file.add(NOTHING)
        file.close()
        assert path.read_text() == both


def test_a_full_disk_leaves_a_complete_list(tmp_path):
    path = tmp_path / "found.json"
    file = records.json_file(path)
    file.add(FOUND)
    before = path.read_text()
    file._file = FullDisk(file._file)
    with pytest.raises(OSError, match=r"No space left on device: .*found\.json"):
        file.add(NOTHING)
    assert path.read_text() == before
    file.close()


def test_a_csv_file_can_be_trained_on(tmp_path):
    images = [str(tmp_path / "photos" / name) for name in ("dir,a.png", "b.png")]
    (tmp_path / "photos").mkdir()
    for image in images:
        cv2.imwrite(image, np.zeros((50, 60, 3), "uint8"))
    file = records.csv_file(tmp_path / "out" / "found.csv")
    for found, image in zip((FOUND, NOTHING), images, strict=True):
        file.add(replace(found, path=os.path.relpath(image)))
    file.close()
    generator = CSVGenerator(str(tmp_path / "out" / "found.csv"), FIND_CLASSES)
    assert [os.path.normpath(generator.image_path(i)) for i in range(2)] == images
    truth = generator.load_annotations(0)
    np.testing.assert_array_equal(truth["bboxes"], [FIRST["box"], SECOND["box"]])
    assert [generator.label_to_name(label) for label in truth["labels"]] == ["dog", "label 4"]
    assert len(generator.load_annotations(1)["labels"]) == 0


def test_boxes_without_area_are_left_out_of_a_csv_file(tmp_path):
    flat = [{**FIRST, "box": box} for box in ([10, 2, 10, 40], [1, 40, 30, 40])]
    path = tmp_path / "found.csv"
    file = records.csv_file(path)
    file.add(replace(FOUND, path="/a.png", detections=[flat[0], SECOND, flat[1]]))
    file.add(replace(FOUND, path="/b.png", detections=flat))
    file.close()
    assert path.read_text() == "/a.png,5,6,7,8,label 4\n/b.png,,,,,\n"


def test_coco_results_are_what_pycocotools_reads(tmp_path):
    file = records.coco_file(tmp_path / "found.json", COCO)
    file.add(replace(FOUND, path="val/000000000139.jpg", detections=[{**FIRST, "label": 79}]))
    file.add(NOTHING)
    file.add(FOUND)
    file.close()
    results = json.loads((tmp_path / "found.json").read_text())
    assert [(r["image_id"], r["category_id"]) for r in results] == [(139, 90), ("a", 2), ("a", 5)]
    truth = coco.COCO()
    truth.dataset = {"images": [{"id": 139}], "categories": [{"id": 90}], "annotations": []}
    truth.createIndex()
    (loaded,) = truth.loadRes(results[:1]).anns.values()
    assert loaded["bbox"] == [1.235, 2, 28.765, 38]


def test_other_classes_have_their_labels_as_ids(tmp_path):
    file = records.coco_file(tmp_path / "found.json", ("cat", "dog"))
    file.add(FOUND)
    file.close()
    ids = [result["category_id"] for result in json.loads((tmp_path / "found.json").read_text())]
    assert ids == [1, 4]
