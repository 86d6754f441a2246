"""What `retinanet-detect` writes."""

import json

import cv2
import numpy as np

from keras_retinanet import drawing
from keras_retinanet.detection.detections import Detections
from keras_retinanet.reports import detections
from keras_retinanet.reports.detections import ImageDetections

FOUND = Detections(
    np.array([[1.23456, 2, 30, 40], [5, 6, 7, 8], [9, 9, 20, 20]]),
    np.array([0.75, 0.5, 0.25]),
    np.array([1, 4, 0]),
)
IMAGE = np.full((50, 60, 3), 100, "uint8")


def described(threshold=0.5):
    return detections.describe("a.png", IMAGE, FOUND, ("cat", "dog"), threshold)


def test_plain_numbers_and_names():
    assert described() == ImageDetections(
        "a.png",
        60,
        50,
        [
            {"box": [1.235, 2, 30, 40], "score": 0.75, "label": 1, "name": "dog"},
            {"box": [5, 6, 7, 8], "score": 0.5, "label": 4, "name": None},
        ],
    )
    unnamed = detections.describe("a.png", IMAGE, FOUND, None, 0)
    assert [item["name"] for item in unnamed.detections] == [None] * 3


def test_a_copy_has_boxes_and_the_image_stays(tmp_path):
    before = IMAGE.copy()
    detections.write_copy(IMAGE, described(), tmp_path / "new" / "a.png")
    np.testing.assert_array_equal(IMAGE, before)
    copy = cv2.imread(str(tmp_path / "new" / "a.png"))
    assert copy[40, 20].tolist() == drawing.label_color(1)


def test_json(tmp_path):
    detections.write_json([described(0.7), described(1)], tmp_path / "found.json")
    entry = {"file": "a.png", "width": 60, "height": 50}
    first = {"box": [1.235, 2, 30, 40], "score": 0.75, "label": 1, "name": "dog"}
    assert json.loads((tmp_path / "found.json").read_text()) == [
        {**entry, "detections": [first]},
        {**entry, "detections": []},
    ]


def rows(text):
    return [line.replace("│", " ").split() for line in text.splitlines()]


def test_table(capsys):
    detections.print_table([described(), described()], 0.5)
    out = capsys.readouterr().out
    assert "Found on 2 images with a score of at least 0.5" in " ".join(out.split())
    assert ["dog", "2", "1", "0.750", "0.750"] in rows(out)
    assert ["label", "4", "2", "1", "0.500", "0.500"] in rows(out)
    detections.print_table([described(1)], 1)
    assert ["nothing", "0", "0", "-", "-"] in rows(capsys.readouterr().out)
