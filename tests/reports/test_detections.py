"""What `retinanet-detect` writes."""

import io
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from keras_retinanet import drawing
from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.photos import Photo
from keras_retinanet.reports import detections
from keras_retinanet.reports.detections import ImageDetections

FOUND = Detections(
    np.array([[1.23456, 2, 30, 40], [5, 6, 7, 8], [9, 9, 20, 20]]),
    np.array([0.75, 0.5, 0.25]),
    np.array([1, 4, 0]),
    class_names=("cat", "dog"),
)
IMAGE = np.full((50, 60, 3), 100, "uint8")


def described(threshold=0.5):
    photo = Photo("a.png", IMAGE, FOUND)
    return detections.describe(photo, FOUND.filter(score=threshold))


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
    unnamed = replace(FOUND, class_names=None)
    unnamed = detections.describe(Photo("a.png", IMAGE, unnamed), unnamed)
    assert [item["name"] for item in unnamed.detections] == [None] * 3


def test_a_password_is_not_recorded():
    photo = Photo("rtsp://user:secret@camera/1", IMAGE, FOUND, 5, 0.4)
    assert detections.describe(photo, FOUND).path == "rtsp://camera/1"


def test_a_copy_has_boxes(tmp_path):
    detections.write_copy(IMAGE.copy(), described(), tmp_path / "new" / "a.png")
    copy = cv2.imread(str(tmp_path / "new" / "a.png"))
    assert copy[40, 20].tolist() == drawing.label_color(1)


def rows(text):
    return [line.replace("│", " ").split() for line in text.splitlines()]


def test_a_frame_has_its_number_and_time():
    found = detections.describe(Photo("v.mp4", IMAGE, FOUND, 5, 0.4), FOUND)
    assert (found.frame, found.seconds) == (5, 0.4)


def test_classes_are_chosen_before_the_best():
    every = replace(FOUND, class_names=("cat", "dog", "cow", "hen", "pig"))
    photo = Photo("a.jpg", IMAGE, every)
    best, other = every.labels[0], next(label for label in every.labels if label != every.labels[0])
    found, maximum = detections.Selection(0.0, 1, (str(other),)).of(photo)
    assert [item["label"] for item in found.detections] == [other] != [best]
    assert maximum == (1 if (every.labels == other).sum() > 1 else None)


def test_the_maximum_that_left_others_out_is_told():
    photo = Photo("a.jpg", IMAGE, FOUND)
    assert detections.Selection(0.0, 1).of(photo)[1] == 1
    assert detections.Selection(0.0).of(photo)[1] is None
    full = Photo("a.jpg", IMAGE, replace(FOUND, capped=True))
    assert detections.Selection(0.0).of(full)[1] == len(FOUND)
    assert detections.Selection(0.99).of(full)[1] is None


def tally(*found):
    counted = detections.Tally()
    for one in found:
        counted.add(one)
    return counted


def test_table(capsys):
    tally(described(), described()).print_table(0.5)
    out = capsys.readouterr().out
    assert "Found on 2 images with a score of at least 0.5" in " ".join(out.split())
    assert ["dog", "2", "2", "0.750", "0.750"] in rows(out)
    assert ["label", "4", "2", "2", "0.500", "0.500"] in rows(out)
    tally(described(1)).print_table(1)
    assert ["nothing", "0", "0", "-", "-"] in rows(capsys.readouterr().out)


def test_means_are_of_all_detections(capsys):
    twice = [{**item, "label": 1, "name": "dog"} for item in described().detections]
    tally(described(0.7), replace(described(), detections=twice)).print_table(0.5)
    assert ["dog", "3", "2", "0.667", "0.750"] in rows(capsys.readouterr().out)


def test_a_closed_pipe_is_an_error_for_the_command_to_handle(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        tally(described()).print_table(0.5)
