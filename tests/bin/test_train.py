"""The train command, end to end, on a backbone small enough for tests."""

import csv

import cv2
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.bin import train, train_options
from keras_retinanet.system.machine import cores
from tests import tiny

SIZES = [(64, 80), (72, 64), (64, 64), (80, 64)]


@pytest.fixture(autouse=True)
def tiny_backbone(monkeypatch):
    """The backbone "tiny" in the table."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)


@pytest.fixture
def data_set(tmp_path):
    """Arguments that name a CSV data set of four images with a bright square each."""
    rows = []
    for i, (height, width) in enumerate(SIZES):
        image = np.full((height, width, 3), 40, "uint8")
        image[16:48, 12:52] = 220
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
        rows.append(f"{i}.png,12,16,52,48,square")
    (tmp_path / "ann.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "cls.csv").write_text("square,0\n")
    return ["csv", str(tmp_path / "ann.csv"), str(tmp_path / "cls.csv")]


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


def test_trains_evaluates_resumes_and_writes_everything(data_set, tmp_path, capsys):
    out = tmp_path / "out"
    held_out = ("--val-annotations", data_set[1])
    train.main(options(data_set, tmp_path, *held_out, "--epochs", "2", "--batch-size", "2"))
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("tiny_csv_01.keras", "tiny_csv_02.keras"),
        *("history.csv", "curves.png", "detections.png"),
    }
    details = models.load_model(str(out / "tiny_csv_02.keras")).info
    assert details.backbone == "tiny"
    assert details.class_names == ("square",)
    assert (details.image_min_side, details.image_max_side) == (64, 96)
    assert details.normalisation == "tf_rgb"
    printed = capsys.readouterr().out
    assert "4 instances of class square with average precision" in printed
    assert "Average Precision  (AP) @[ IoU=0.50:0.95" in printed

    snapshot = ("--snapshot", str(out / "tiny_csv_02.keras"), "--initial-epoch", "2")
    resumed = [*data_set, *snapshot, "--epochs", "3", "--snapshot-path", str(out)]
    logs = ("--tensorboard-dir", str(tmp_path / "logs"))
    train.main([*resumed, "--no-evaluation", "--batch-size", "2", *logs])
    assert list((tmp_path / "logs").rglob("events.*"))
    again = models.load_model(str(out / "tiny_csv_03.keras"), compile=True)
    # Three epochs of two steps: the optimiser went on counting.
    assert int(again.optimizer.iterations) == 6
    assert again.info == details
    with open(out / "history.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def test_augmentation_comes_from_flags_and_config(data_set, tmp_path):
    config = tmp_path / "config.ini"
    config.write_text("[augmentation]\nscale_range = 0.5 0.5\nbrightness = 0.5 0.5\n")
    more = ("--config", str(config), "--random-crop", "1", "--flip-x-chance", "0")
    parsed = train_options.parse_args(options(data_set, tmp_path, *more, "--brightness", "0", "0"))
    training, _ = train.open_data(parsed, None)
    assert training.random_crop.chance == 1
    assert training.visual_effect_generator is None
    assert training.sample(2, 0)[0].shape == (32, 32, 3)
    parsed.val_annotations = data_set[1]
    validation = train.open_data(parsed, None)[1]
    np.testing.assert_array_equal(validation.sample(2, 0)[0], validation.sample(2, 1)[0])
    assert validation.sample(2, 0)[0].shape == (64, 64, 3)


def test_images_stay_bytes_where_the_network_normalises(data_set, tmp_path, capsys):
    arguments = options(data_set, tmp_path, "--val-annotations", data_set[1], "--epochs", "1")
    train.main([*arguments, "--normalise-on-device"])
    snapshot = str(tmp_path / "out" / "tiny_csv_01.keras")
    assert models.load_model(snapshot).info.normalisation == "network"
    resumed = [*data_set, "--snapshot", snapshot]
    for more in ([*arguments, "--normalise-on-device"], resumed):
        parsed = train_options.parse_args(more)
        training, _ = train.open_data(parsed, train.load_snapshot(parsed))
        assert training[0][0].dtype == np.uint8
    models.save_model(models.backbone("tiny").retinanet(num_classes=1), snapshot)
    line = failure(capsys, [*data_set, "--snapshot", snapshot, "--normalise-on-device"])
    assert "takes normalised images; use --weights" in line


def test_buckets_and_caches_reach_the_generators(data_set, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    more = ("--pad-to-buckets", "--cache", "disk", "--val-annotations", data_set[1])
    training, validation = train.open_data(
        train_options.parse_args(options(data_set, tmp_path, *more)), None
    )
    # Photos, 4:3, have sides of 64 and 85, which is rounded up.
    for generator in (training, validation):
        shapes = {generator[i][0].shape[1:3] for i in range(4)}
        assert shapes == {(64, 64), (64, 96), (96, 64)}
    # What is evaluated is read but once an epoch.
    assert len(list((tmp_path / "home").rglob("*.npy"))) == 4
    (tmp_path / "home" / "decoded_images").rename(tmp_path / "gone")
    validation.load_image_group(range(4))
    assert not list((tmp_path / "home").rglob("*.npy"))


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
        (["--batch-size", "5"], "--batch-size 5: expected at most 4, the number of images"),
        (["--epochs", "0"], "--epochs: expected a number above 0"),
        (["--steps", "0"], "--steps: expected a number above 0, got 0"),
        (["--lr", "nan"], "--lr: expected a number above 0, got nan"),
        (["--optimizer-clipnorm", "inf"], "--optimizer-clipnorm: expected a number above 0"),
        (["--initial-epoch", "-1"], "--initial-epoch: expected a number of at least 0, got -1"),
        (["--seed", "-1"], "--seed: expected a number of at least 0"),
        (["--reduce-lr-factor", "1"], "--reduce-lr-factor: expected a number between 0 and 1"),
        (["--initial-epoch", "60"], "expected more than --initial-epoch 60"),
        (["--image-max-side", "10"], "--image-max-side: expected at least --image-min-side"),
        (["--multi-gpu", "2"], "add --multi-gpu-force"),
        (["--backbone", "resnet5"], "did you mean 'resnet50'"),
        (["--weights", "nowhere.h5"], "nowhere.h5"),
        (["--snapshot", "nowhere.h5"], "nowhere.h5"),
        (["--config", "nowhere.ini"], "nowhere.ini"),
        (["--rotation", "5", "10"], "--rotation: expected two numbers, the least first, in"),
        (["--scale-range", "1", "2", "--no-resize"], "--scale-range: has no meaning with"),
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


def test_options_stand_before_or_after_the_data_set():
    before = train_options.parse_args(["--steps", "7", "--lr", "0.5", "csv", "a", "b"])
    after = train_options.parse_args(["csv", "a", "b", "--lr", "0.5", "--steps", "7"])
    assert vars(before) == vars(after)
    assert before.steps == 7
    both = train_options.parse_args(["--steps", "7", "csv", "a", "b", "--steps", "8"])
    assert both.steps == 8


def test_defaults_are_the_old_ones_but_for_those_that_changed():
    found = vars(train_options.parse_args(["coco", "folder"]))
    old = {
        **{"backbone": "resnet50", "batch_size": 1, "epochs": 50, "initial_epoch": 0},
        **{"optimizer_clipnorm": 0.001, "snapshot_path": "./snapshots", "snapshot": None},
        **{"weights": None, "imagenet_weights": True, "gpu": None, "multi_gpu": 0},
        **{"multi_gpu_force": False, "tensorboard_dir": "", "tensorboard_freq": "epoch"},
        **{"snapshots": True, "evaluation": True, "freeze_backbone": False},
        **{"random_transform": False, "image_min_side": 800, "image_max_side": 1333},
        **{"no_resize": False, "config": None, "weighted_average": False},
        **{"compute_val_loss": False, "group_method": "ratio", "multiprocessing": False},
        **{"max_queue_size": 10},
    }
    assert {name: found[name] for name in old} == old
    changed = {"steps": None, "lr": 1e-4, "lr_schedule": "cosine", "snapshot_format": "keras"}
    changed |= {"workers": cores(), "cache": "none", "pad_to_buckets": False}
    assert {name: found[name] for name in changed} == changed
    assert train_options.parse_args(["shapes"]).workers == cores()


def test_old_flags_of_the_plateau_still_mean_it():
    found = train_options.parse_args(["csv", "a", "b", "--reduce-lr-patience", "5"])
    assert found.lr_schedule == "plateau"
    with pytest.warns(UserWarning, match="threads make the batches"):
        train_options.parse_args(["csv", "a", "b", "--multiprocessing"])
