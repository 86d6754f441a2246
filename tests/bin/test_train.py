"""The train command, end to end, on a backbone small enough for tests."""

import csv
import os
from dataclasses import replace

import pytest

from keras_retinanet import models
from keras_retinanet.bin import train
from tests import tiny


@pytest.fixture(autouse=True)
def tiny_backbone(monkeypatch):
    """The backbone "tiny" in the table."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    tiny.train_eagerly(monkeypatch)


@pytest.fixture
def data_set(tmp_path):
    """Arguments that name a CSV data set of four images with a bright square each."""
    return ["csv", *tiny.write_squares(tmp_path)]


def options(data_set, tmp_path, *more):
    return [
        *data_set,
        *("--backbone", "tiny", "--image-min-side", "64", "--image-max-side", "96"),
        *("--snapshot-path", str(tmp_path / "out"), "--no-weights", *more),
    ]


def failure(capsys, arguments):
    """The one line that a failing command prints."""
    with pytest.raises(SystemExit) as error:
        train.main(arguments)
    assert error.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.filterwarnings("default:the learning rate goes on")
@pytest.mark.filterwarnings("default:.* has no state of the optimizer that fits")
def test_trains_evaluates_resumes_and_writes_everything(data_set, tmp_path, capsys):
    out = tmp_path / "out"
    held_out = ("--val-annotations", data_set[1])
    train.main(options(data_set, tmp_path, *held_out, "--epochs", "2", "--batch-size", "2"))
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("tiny_csv_01.keras", "tiny_csv_02.keras", "best.keras"),
        *("history.csv", "class_ap.csv", "curves.png", "detections.png"),
        *("state.zip", "state-previous.zip"),
    }
    info = models.load_model(str(out / "tiny_csv_02.keras")).info
    assert info.backbone == "tiny"
    assert info.class_names == ("square",)
    assert (info.image_min_side, info.image_max_side) == (64, 96)
    assert info.normalisation == "tf_rgb"
    printed = capsys.readouterr().out
    assert "4 instances of class square with average precision" in printed
    assert "Average Precision  (AP) @[ IoU=0.50:0.95" in printed

    snapshot = ("--snapshot", str(out / "tiny_csv_02.keras"), "--initial-epoch", "2")
    resumed = [*data_set, *snapshot, "--epochs", "3", "--snapshot-path", str(out)]
    logs = ("--tensorboard-dir", str(tmp_path / "logs"))
    train.main([*resumed, "--no-evaluation", "--batch-size", "2", *logs])
    # The rate had fallen to 1 % at the end of the shorter run.
    assert "learning rate goes on at 4.98e-05 instead of 1.41e-06" in capsys.readouterr().err
    assert list((tmp_path / "logs").rglob("events.*"))
    again = models.load_model(str(out / "tiny_csv_03.keras"), compile=True)
    assert not again.compiled
    assert replace(again.info, run=None) == replace(info, run=None)
    assert (info.run["epoch"], again.info.run["epoch"]) == (2, 3)
    with open(out / "history.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


@pytest.mark.filterwarnings("default:skipped")
def test_unreadable_images_are_skipped_or_stop_the_run(data_set, tmp_path, capsys):
    (tmp_path / "2.png").write_bytes(b"")
    more = ("--epochs", "1", "--no-snapshots")
    train.main(options(data_set, tmp_path, *more))
    assert "skipped 1 of 4 images, unreadable: " in capsys.readouterr().err
    line = failure(capsys, options(data_set, tmp_path, *more, "--strict"))
    assert "2.png" in line
    assert "empty file" in line


def test_a_loss_that_is_no_number_stops_the_run(data_set, tmp_path, capsys):
    line = failure(capsys, options(data_set, tmp_path, "--lr", "1e30", "--epochs", "3"))
    assert "the loss became" in line
    assert "--lr" in line


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--batch-size", "5"], "--batch-size: expected at most 4, the number of images, got 5"),
        (["--epochs", "0"], "--epochs: expected a number above 0"),
        (["--steps", "0"], "--steps: expected a number above 0, got 0"),
        (["--lr", "nan"], "--lr: expected a number above 0, got nan"),
        (["--optimizer-clipnorm", "inf"], "--optimizer-clipnorm: expected a number, 0 for no "),
        (["--initial-epoch", "-1"], "--initial-epoch: expected a number of at least 0, got -1"),
        (["--seed", "-1"], "--seed: expected a number of at least 0"),
        (["--reduce-lr-factor", "1"], "--reduce-lr-factor: expected a number between 0 and 1"),
        (["--initial-epoch", "60"], "--epochs: expected more than initial_epoch (60), got 50"),
        (["--image-max-side", "10"], "--image-max-side: expected at least image_min_side (64)"),
        (["--multi-gpu", "2"], "--batch-size: expected at least one image for each of the 2 GPUs"),
        (["--backbone", "resnet5"], "did you mean 'resnet50'"),
        (["--weights", "nowhere.h5"], "nowhere.h5"),
        (["--snapshot", "nowhere.h5"], "nowhere.h5"),
        (["--config", "nowhere.ini"], "nowhere.ini"),
        (["--rotation", "5", "10"], "--rotation: expected two numbers, the smaller first, in"),
        (["--scale-range", "1", "2", "--no-resize"], "--scale-range: has no effect with"),
        (["--gpu", "99"], "--gpu 99: TensorFlow sees"),
        (["--gpu", "x"], "--gpu: expected a number or cpu, got 'x'"),
    ],
)
def test_bad_options_are_one_line(data_set, tmp_path, capsys, more, message):
    arguments = options(data_set, tmp_path, *more)
    if {"--weights", "--snapshot"} & set(more):
        arguments.remove("--no-weights")
    assert message in failure(capsys, arguments)


def test_a_snapshot_of_other_classes_or_none_is_refused(data_set, tmp_path, capsys):
    model = models.backbone("tiny").retinanet(num_classes=3)
    training = str(tmp_path / "three.keras")
    models.save_model(model, training)
    base = [*data_set, "--snapshot-path", str(tmp_path / "out"), "--snapshot"]
    assert "has 3 classes, the data set has 1" in failure(capsys, [*base, training])
    (tmp_path / "text.keras").write_text("no model")
    assert "text.keras" in failure(capsys, [*base, str(tmp_path / "text.keras")])


def test_weights_are_never_taken_for_frozen(monkeypatch, capsys):
    """Such an environment, as detecting makes, would train with the weights of the first step."""

    class StartedError(Exception):
        pass

    def start(**options):
        raise StartedError

    monkeypatch.setenv("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "1")
    monkeypatch.setattr("keras_retinanet.system.devices.start_tensorflow", start)
    with pytest.raises(StartedError):
        train.main(["csv", "ann.csv", "cls.csv"])
    assert "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS" not in os.environ
    assert "is not obeyed: weights change in training" in capsys.readouterr().err
