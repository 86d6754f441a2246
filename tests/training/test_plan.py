import dataclasses
import subprocess
import sys

import pytest

from keras_retinanet.augmentation.settings import RANDOM_TRANSFORM, USUAL
from keras_retinanet.config import Config
from keras_retinanet.preprocessing.data import CSVData, ShapesData
from keras_retinanet.training.plan import SHAPES_SETTINGS, SettingError, TrainingPlan

DATA = CSVData("a.csv", "classes.csv")


def test_a_plan_is_frozen_and_compares_by_value():
    plan = TrainingPlan(data=DATA, epochs=3)
    assert plan == TrainingPlan.for_data(CSVData("a.csv", "classes.csv"), epochs=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.epochs = 4


def test_shapes_have_defaults_of_their_own():
    plan = TrainingPlan.for_data(ShapesData(), epochs=2)
    for name, value in {**SHAPES_SETTINGS, "epochs": 2}.items():
        assert getattr(plan, name) == value
    assert TrainingPlan.for_data(DATA).batch_size == 1


def test_a_snapshot_knows_backbone_and_sides_itself():
    plan = TrainingPlan.for_data(ShapesData(), snapshot="a.keras")
    assert (plan.backbone, plan.image_min_side, plan.image_max_side) == (None, None, None)
    assert plan.batch_size == 4


@pytest.mark.parametrize(
    ("settings", "name", "problem"),
    [
        ({"epochs": 0}, "epochs", "expected a number above 0, got 0"),
        ({"lr": float("nan")}, "lr", "expected a number above 0, got nan"),
        ({"optimizer_clipnorm": float("inf")}, "optimizer_clipnorm", "0 for no maximum, got inf"),
        ({"lr": None}, "lr", "expected a number above 0, got None"),
        ({"momentum": 1}, "momentum", "expected a number from 0 to below 1, got 1"),
        ({"weight_decay": -0.1}, "weight_decay", "expected a number from 0 to below 1, got -0.1"),
        ({"weight_decay": 0.1}, "weight_decay", "adam has none, got 0.1: the optimizer adamw has"),
        ({"optimizer": "lion"}, "optimizer", "expected one of adam, adamw, sgd, got 'lion'"),
        ({"warmup_steps": -1}, "warmup_steps", "expected a number of at least 0, got -1"),
        ({"lr_drops": (3, 2)}, "lr_drops", r"expected steps above 0 .* order, got \(3, 2\)"),
        ({"hidden_initializer": "he"}, "hidden_initializer", "expected one of he_normal, normal"),
        ({"steps": 0}, "steps", "expected a number above 0"),
        ({"initial_epoch": -1}, "initial_epoch", "expected a number of at least 0, got -1"),
        ({"seed": -1}, "seed", "expected a number of at least 0"),
        ({"reduce_lr_factor": 1}, "reduce_lr_factor", "expected a number between 0 and 1"),
        ({"val_share": 0}, "val_share", "expected a number between 0 and 1, got 0"),
        ({"val_share": 1.0}, "val_share", "expected a number between 0 and 1, got 1.0"),
        ({"initial_epoch": 60}, "epochs", r"expected more than initial_epoch \(60\), got 50"),
        ({"image_max_side": 10}, "image_max_side", "at least image_min_side"),
        ({"batch_size": 2, "multi_gpu": 4}, "batch_size", "one image for each of the 4 GPUs"),
        ({"cache": "tape"}, "cache", "expected one of none, ram, disk, got 'tape'"),
        (
            {"lr_schedule": "steps"},
            "lr_schedule",
            "expected one of cosine, step, constant, plateau",
        ),
        ({"loss": "huber"}, "loss", "expected one of focal, focal-star, balanced-ce, ce, got 'hu"),
        ({"box_loss": "huber"}, "box_loss", "expected one of smooth-l1, l1, giou, got 'huber'"),
        ({"loss_normaliser": "none"}, "loss_normaliser", "expected one of batch, image"),
        ({"alpha": 1}, "alpha", "expected a number between 0 and 1, got 1"),
        ({"gamma": -1}, "gamma", "expected a number of at least 0, got -1"),
        ({"loss": "focal-star", "gamma": 0}, "gamma", "a number above 0 for focal-star, got 0"),
        ({"loss": "focal-star", "beta": float("nan")}, "beta", "expected a finite number, got nan"),
        ({"loss": "ce", "alpha": 0.5}, "alpha", "the loss ce has none, got 0.5"),
        ({"class_weights": {"cat": -2}}, "class_weights", "finite numbers of at least 0"),
        ({"group_method": "size"}, "group_method", "expected one of none, random, ratio"),
        ({"snapshot_format": "pb"}, "snapshot_format", "expected one of keras, h5"),
    ],
)
def test_a_wrong_value_is_named(settings, name, problem):
    with pytest.raises(SettingError, match=f"^{name}: .*{problem}") as error:
        TrainingPlan(data=DATA, **settings)
    assert error.value.name == name


def test_augmentation_is_that_of_the_plan_or_of_its_config():
    assert TrainingPlan(data=DATA).augmentation_settings() == USUAL
    config = Config(augmentation={"hue": (0.1, 0.2)})
    found = TrainingPlan(data=DATA, config=config).augmentation_settings()
    assert found == dataclasses.replace(USUAL, hue=(0.1, 0.2))
    plan = TrainingPlan(data=DATA, config=config, augmentation=RANDOM_TRANSFORM)
    assert plan.augmentation_settings() == RANDOM_TRANSFORM


def test_a_plan_needs_no_tensorflow():
    code = (
        "import sys\n"
        "from keras_retinanet.preprocessing.data import ShapesData\n"
        "from keras_retinanet.training.plan import TrainingPlan\n"
        "TrainingPlan.for_data(ShapesData())\n"
        "heavy = {'tensorflow', 'keras', 'cv2', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
