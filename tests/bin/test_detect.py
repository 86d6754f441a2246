"""`retinanet-detect`, from files to files."""

import json
import os
import subprocess
import sys
import time

import cv2
import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.bin import detect
from keras_retinanet.images import read_image_bgr
from keras_retinanet.models.info import ModelInfo
from keras_retinanet.system import devices

BOX = (30, 20, 90, 60)


class BrightSpot:
    """Stands for an inference model: finds the bright rectangle of each image, as label 1."""

    info = ModelInfo(
        "mobilenet_v2",
        2,
        ("dark", "bright [x]"),
        normalisation="tf_rgb",
        image_min_side=200,
        image_max_side=300,
    )

    def __init__(self):
        self.batches = []

    def predict_on_batch(self, batch):
        self.batches.append(batch.shape)
        boxes = np.full((len(batch), 3, 4), -1.0, np.float32)
        for found, image in zip(boxes, batch, strict=True):
            x, y, width, height = cv2.boundingRect((image[..., 0] > 0.5).astype(np.uint8))
            found[:2] = x, y, x + width, y + height
        scores = np.tile(np.float32([0.4, 0.9, -1]), (len(batch), 1))
        labels = np.tile([0, 1, -1], (len(batch), 1))
        return boxes, scores, labels


@pytest.fixture
def model(monkeypatch):
    found = BrightSpot()
    monkeypatch.setattr(models, "load_model", lambda path, **_: found, raising=False)
    return found


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, size in [("b.png", (100, 120)), ("a.jpg", (100, 120)), ("c.png", (150, 100))]:
        image = np.full((*size, 3), 10, np.uint8)
        image[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 250
        cv2.imwrite(str(photos / name), image)
    (photos / "notes.txt").write_text("not an image")
    (tmp_path / "model.keras").write_bytes(b"x")
    return photos


def run(folder, *arguments):
    """Run the command; return its exit code and what it wrote to found.json, or None."""
    report = folder.parent / "found.json"
    code = 0
    try:
        detect.main([str(folder.parent / "model.keras"), *arguments, "--json", str(report)])
    except SystemExit as stop:
        code = stop.code
    return code, json.loads(report.read_text()) if report.exists() else None


def test_folder_gives_boxes_in_pixels_of_the_photos(folder, model, capsys):
    code, report = run(folder, str(folder))
    assert code == 0
    assert [entry["file"] for entry in report] == [
        str(folder / name) for name in ("a.jpg", "b.png", "c.png")
    ]
    assert [(entry["width"], entry["height"]) for entry in report] == [
        (120, 100),
        (120, 100),
        (100, 150),
    ]
    for entry in report:
        assert list(entry) == ["file", "width", "height", "detections"]
        (found,) = entry["detections"]
        assert list(found) == ["box", "score", "label", "name"]
        np.testing.assert_allclose(found["box"], BOX, atol=1.0)
        assert found["score"] == pytest.approx(0.9)
        assert (found["label"], found["name"]) == (1, "bright [x]")
    assert {batch[1:] for batch in model.batches} == {(200, 240, 3), (300, 200, 3)}
    output = capsys.readouterr()
    row = next(line for line in output.out.splitlines() if "bright [x]" in line)
    assert [word for word in row.replace("│", " ").split()[2:]] == ["3", "3", "0.900", "0.900"]
    assert "Detecting" in output.err


def test_threshold_and_batches(folder, model):
    code, report = run(folder, str(folder), "--score-threshold", "0.3", "--batch-size", "2")
    assert code == 0
    assert [[d["label"] for d in entry["detections"]] for entry in report] == [[1, 0]] * 3
    assert sorted(batch[0] for batch in model.batches) == [1, 2]


def test_nothing_found_is_said(folder, model, capsys):
    code, report = run(folder, str(folder), "--score-threshold", "0.95")
    assert code == 0
    assert [entry["detections"] for entry in report] == [[], [], []]
    assert "nothing" in capsys.readouterr().out


def test_copies_show_the_box_and_leave_the_photos_alone(folder, model, tmp_path):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, _ = run(folder, str(folder), "--output", str(tmp_path / "new" / "drawn"))
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "new" / "drawn").iterdir()) == [
        "a.jpg",
        "b.png",
        "c.png",
    ]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    original = read_image_bgr(folder / "b.png")
    copy = read_image_bgr(tmp_path / "new" / "drawn" / "b.png")
    assert copy.shape == original.shape
    changed = np.argwhere((copy != original).any(axis=2))
    assert (copy[BOX[3]] != original[BOX[3]]).any(axis=1)[BOX[0] + 2 : BOX[2] - 2].all()
    assert changed[:, 1].min() >= BOX[0] - 3
    assert changed[:, 0].max() <= BOX[3] + 3


def test_output_into_the_photos_folder_is_refused(folder, model, capsys):
    code, report = run(folder, str(folder), "--output", str(folder))
    assert (code, report) == (2, None)
    assert "would replace an image" in capsys.readouterr().err
    assert not model.batches


def test_bad_images_are_named_and_the_others_done(folder, model, capsys):
    (folder / "a2.png").write_bytes(b"")
    (folder / "a3.jpg").write_bytes(b"no image at all")
    code, report = run(folder, str(folder), "--batch-size", "4")
    assert code == 2
    assert len(report) == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert lines[0].startswith("error: skipped 2 of 5 images: ")
    assert str(folder / "a2.png") in lines[0]
    assert str(folder / "a3.jpg") in lines[0]


def test_only_bad_images(folder, model, capsys):
    (folder / "empty.png").write_bytes(b"")
    code, report = run(folder, str(folder / "empty.png"))
    assert (code, report) == (2, [])
    assert "skipped 1 of 1 images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("gone.jpg", "no such file or folder"),
        ("*.gif", "no file matches"),
        ("..", "a folder without files ending in .jpg"),
    ],
)
def test_source_without_images_is_named(folder, model, capsys, source, reason):
    code, report = run(folder, str(folder / "a.jpg"), str(folder / source))
    assert (code, report) == (2, None)
    error = capsys.readouterr().err
    assert f"no image found: {folder / source} ({reason}" in error
    assert len(error.splitlines()) == 1


def test_missing_model_is_named(folder, capsys):
    with pytest.raises(SystemExit) as stop:
        detect.main([str(folder / "none.keras"), str(folder)])
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"error: model not found: {folder / 'none.keras'}\n"


@pytest.mark.filterwarnings("default")
def test_sides_given_win_over_those_of_training_with_a_warning(folder, model, capsys):
    code, report = run(folder, str(folder / "b.png"), "--image-min-side", "50")
    assert code == 0
    assert model.batches == [(1, 50, 60, 3)]
    np.testing.assert_allclose(report[0]["detections"][0]["box"], BOX, atol=2.0)
    assert (
        "warning: detecting with sides 50 and 300; the model was trained with sides 200 and 300"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "arguments",
    [["--batch-size", "0"], ["--score-threshold", "1.5"], ["--image-min-side", "-3"], []],
)
def test_options_that_cannot_be_right(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        detect.parse_args(["model.keras", *(["a.jpg"] if arguments else []), *arguments])
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def write_snapshot(path, factor):
    """Write an untrained training snapshot, its last classification weights times a factor."""
    names = ("circle", "square", "star")
    keras.utils.set_random_seed(1)
    training = models.backbone("mobilenet_v2").retinanet(num_classes=3)
    details = ModelInfo(
        "mobilenet_v2",
        3,
        names,
        normalisation="tf_rgb",
        image_min_side=64,
        image_max_side=96,
    )
    models.set_info(training, details)
    last = training.get_layer("classification_submodel").get_layer("pyramid_classification")
    kernel, bias = last.get_weights()
    last.set_weights([factor * kernel, bias])
    models.save_model(training, path)
    return names


# Keras 3.15 turns variables into arrays the old way when it saves a model.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_training_snapshot_is_converted_on_the_fly(folder, tmp_path):
    names = write_snapshot(tmp_path / "model.keras", factor=100)
    code, report = run(folder, str(folder), "--score-threshold", "0.001")
    assert code == 0
    for entry in report:
        assert entry["detections"]
        assert {detection["name"] for detection in entry["detections"]} <= set(names)
        scores = {detection["score"] for detection in entry["detections"]}
        assert len(scores) > 10
        assert max(scores) < 0.05  # less than a converted model keeps unless asked


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_command_finds_what_a_call_does(folder, tmp_path):
    """The command lets oneDNN keep the weights, which a call in this process must not."""
    write_snapshot(tmp_path / "model.keras", factor=1e5)  # scores that differ from place to place
    _, expected = run(folder, str(folder), "--score-threshold", "0.001")
    assert "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS" not in os.environ
    report = tmp_path / "command.json"
    command = [sys.executable, "-m", "keras_retinanet.bin.detect", str(tmp_path / "model.keras")]
    command += [str(folder), "--score-threshold", "0.001", "--json", str(report)]
    subprocess.run(command, check=True, capture_output=True)
    for entry, there in zip(expected, json.loads(report.read_text()), strict=True):
        best, best_there = entry["detections"][:20], there["detections"][:20]
        assert len({detection["score"] for detection in best}) > 10
        for one, other in zip(best, best_there, strict=True):
            assert other["score"] == pytest.approx(one["score"], abs=1e-5)
            np.testing.assert_allclose(other["box"], one["box"], atol=1e-2)


def test_only_the_command_assumes_frozen_weights(folder, model, monkeypatch):
    calls = []
    monkeypatch.setattr(devices, "start_tensorflow", lambda **named: calls.append(named))
    monkeypatch.setattr(sys, "argv", ["x", str(folder.parent / "model.keras"), str(folder)])
    detect.main()
    detect.command()
    assert calls == [{"weights_are_frozen": False}, {"weights_are_frozen": True}]


def test_help_is_quick():
    def seconds():
        start = time.perf_counter()
        command = [sys.executable, "-m", "keras_retinanet.bin.detect", "--help"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert "--score-threshold" in text
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 1.5  # importing TensorFlow alone takes longer
