"""What `retinanet-detect` writes."""

import io
import json
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from keras_retinanet import drawing
from keras_retinanet.detection.detections import Detections
from keras_retinanet.reports import detections
from keras_retinanet.reports.detections import ImageDetections
from keras_retinanet.system.files import atomic_write

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


ENTRY = {"file": "a.png", "width": 60, "height": 50}
FIRST = {"box": [1.235, 2, 30, 40], "score": 0.75, "label": 1, "name": "dog"}


def test_json_is_in_the_order_of_the_images(tmp_path):
    path = tmp_path / "found.json"
    report = detections.JsonFile(path, ["x.png", "a.png", "b.png"])
    report.write()
    assert path.read_text() == "[]\n"
    report.add(replace(described(1), path="b.png"))
    report.add(described(0.7))
    report.write()
    expected = [{**ENTRY, "detections": [FIRST]}, {**ENTRY, "file": "b.png", "detections": []}]
    assert json.loads(path.read_text()) == expected
    assert path.read_text() == json.dumps(json.loads(path.read_text()), indent=1) + "\n"


def test_json_is_complete_at_any_time_and_not_written_for_each_image(tmp_path, monkeypatch):
    path, writes, now = tmp_path / "found.json", [], 0.0

    def write(*arguments):
        nonlocal now
        now += 3  # a slow disk
        writes.append(now)
        atomic_write(*arguments)

    monkeypatch.setattr(detections.time, "monotonic", lambda: now)
    monkeypatch.setattr(detections, "atomic_write", write)
    report = detections.JsonFile(path, [f"{i}.png" for i in range(1000)])
    for i in range(1000):
        now += 1
        report.add(replace(described(), path=f"{i}.png"))
        assert len(json.loads(path.read_text())) <= i + 1
        if i == 0:
            assert len(json.loads(path.read_text())) == 1
    assert 14 < len(writes) < 18  # a write of 3 s is followed by 60 s without
    report.write()
    assert len(json.loads(path.read_text())) == 1000


def test_a_json_file_that_cannot_be_written_is_told_at_the_end(tmp_path):
    (tmp_path / "file").write_text("")
    report = detections.JsonFile(tmp_path / "file" / "found.json", ["a.png"])
    report.add(described())
    with pytest.raises(OSError, match="file"):
        report.write()


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


def test_a_closed_pipe_is_an_error_for_the_command_to_handle(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        detections.print_table([described()], 0.5)
