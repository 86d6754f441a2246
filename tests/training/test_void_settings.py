import pytest

from keras_retinanet.preprocessing.data import CSVData
from keras_retinanet.training.plan import TrainingPlan

DATA = CSVData("annotations.csv", "classes.csv")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"momentum": 0.5}, "momentum"),
        ({"optimizer": "adamw", "momentum": 0.5}, "momentum"),
        ({"warmup_steps": 5, "lr_schedule": "plateau"}, "warmup_steps"),
        ({"lr_drops": (5,)}, "lr_drops"),
        ({"lr_drops": (5,), "lr_schedule": "constant"}, "lr_drops"),
        ({"reduce_lr_factor": 0.5, "lr_schedule": "step"}, "reduce_lr_factor"),
        ({"reduce_lr_patience": 5, "lr_schedule": "constant"}, "reduce_lr_patience"),
    ],
)
def test_settings_of_another_optimizer_or_schedule_are_void(settings, name):
    assert set(TrainingPlan(data=DATA, **settings).void_settings(True)) == {name}


def test_batch_normalisation_trains_anyway_without_weights():
    given = {"data": DATA, "freeze_bn": False}
    assert TrainingPlan(**given).void_settings(True) == {}
    assert TrainingPlan(**given, imagenet_weights=False, weights="w.h5").void_settings(True) == {}
    void = TrainingPlan(**given, imagenet_weights=False).void_settings(True)
    why = "has no effect: without weights to start from, batch normalisation trains anyway"
    assert void == {"freeze_bn": why}


def test_settings_of_the_optimizer_and_the_schedule_are_not_void():
    step = {"lr_schedule": "step", "lr_drops": [5, 9], "warmup_steps": 3}
    sgd = {"optimizer": "sgd", "momentum": 0.5, "weight_decay": 0.1, "optimizer_clipnorm": 0}
    plan = TrainingPlan(data=DATA, **step, **sgd)
    assert plan.void_settings(True) == {}
    assert plan.lr_drops == (5, 9)
