import numpy as np
import pytest

from keras_retinanet.augmentation.settings import FLIP_ONLY
from keras_retinanet.bin import train_options
from keras_retinanet.preprocessing.data import CocoData, CSVData, ShapesData
from keras_retinanet.system.machine import cores
from keras_retinanet.training.plan import TrainingPlan


def plan(*arguments):
    return train_options.make_plan(train_options.parse_args(list(arguments)))


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


def test_without_options_the_plan_is_that_of_the_data():
    photos = {"backbone": "resnet50", "image_min_side": 800, "image_max_side": 1333}
    expected = TrainingPlan.for_data(CocoData("folder"), augmentation=FLIP_ONLY, **photos)
    assert plan("coco", "folder") == expected
    assert plan("shapes") == TrainingPlan.for_data(ShapesData(), augmentation=FLIP_ONLY)
    data = CSVData("a.csv", "b.csv", "c.csv")
    assert plan("csv", "a.csv", "b.csv", "--val-annotations", "c.csv").data == data


def test_what_is_given_is_in_the_plan():
    found = plan(
        *("csv", "a", "b", "--no-weights", "--epochs", "7", "--steps", "9", "--cache", "ram"),
        *("--image-min-side", "64", "--image-max-side", "96", "--tensorboard-freq", "5"),
    )
    assert (found.imagenet_weights, found.epochs, found.steps) == (False, 7, 9)
    assert (found.image_min_side, found.image_max_side) == (64, 96)
    assert (found.cache, found.tensorboard_freq) == ("ram", 5)


def test_a_snapshot_keeps_what_is_not_given():
    found = plan("csv", "a", "b", "--snapshot", "s.keras")
    assert (found.backbone, found.image_min_side, found.image_max_side) == (None, None, None)
    found = plan("shapes", "--snapshot", "s.keras", "--image-min-side", "99")
    assert (found.backbone, found.image_min_side, found.image_max_side) == (None, 99, None)


def test_flags_of_augmentation_take_precedence_over_the_config(tmp_path):
    config = tmp_path / "config.ini"
    config.write_text("[augmentation]\nscale_range = 0.5 0.5\nbrightness = 0.5 0.5\n")
    found = plan("csv", "a", "b", "--config", str(config), "--brightness", "0", "0").augmentation
    assert found.scale_range == (0.5, 0.5)
    assert found.brightness == (0, 0)
    assert found.flip_x_chance == 0.5


def test_errors_name_the_flag():
    with pytest.raises(ValueError, match="^--lr: expected a number above 0, got nan"):
        train_options.parse_args(["csv", "a", "b", "--lr", str(np.nan)])
