from dataclasses import fields, replace

import pytest

from keras_retinanet.augmentation.settings import FLIP_ONLY, AugmentationSettings
from keras_retinanet.preprocessing.data import ShapesData
from keras_retinanet.training.plan import SettingError, TrainingPlan
from keras_retinanet.training.record import RunRecord
from keras_retinanet.training.same_settings import MAY_CHANGE, check_same
from tests.training.states import write_record

DATA = ShapesData()


def begun(tmp_path, **settings):
    """Write what is read of the state of a run; return a function that makes the plan of the next.

    The state is of a run that is two epochs and a step old.
    """
    plan = TrainingPlan.for_data(DATA, snapshot_path=tmp_path, **settings)
    write_record(tmp_path, RunRecord(2, plan.fixed_settings(), step=1))
    return lambda **more: TrainingPlan.for_data(DATA, snapshot_path=tmp_path, resume=True, **more)


def test_a_run_goes_on_with_its_settings(tmp_path):
    changes = AugmentationSettings(hue=(0.1, 0.2))
    settings = {"lr": 0.5, "batch_size": 2, "epochs": 9, "freeze_backbone": True, "seed": 3}
    settings |= {"lr_schedule": "step", "lr_drops": (5, 7), "weights": "w.h5", "no_resize": True}
    settings |= {"deterministic": True, "augmentation": changes, "class_weights": {"circle": 2}}
    go_on = begun(tmp_path, **settings)
    plan = go_on()
    assert {name: getattr(plan, name) for name in settings} == settings
    assert plan.initial_epoch == 0
    assert go_on(**settings) == plan  # the same command again


def test_without_a_state_a_run_begins(tmp_path):
    plan = TrainingPlan.for_data(DATA, snapshot_path=tmp_path, resume=True, lr=0.5)
    assert plan == TrainingPlan.for_data(DATA, snapshot_path=tmp_path, lr=0.5, resume=True)
    assert plan.epochs == TrainingPlan.for_data(DATA).epochs


OTHER = {
    **{"backbone": "resnet50", "seed": 7, "batch_size": 3, "lr": 0.25, "steps": 9},
    **{"image_min_side": 64, "image_max_side": 300, "no_resize": True, "optimizer": "sgd"},
    **{"freeze_backbone": True, "weights": "other.h5", "imagenet_weights": True, "loss": "ce"},
    **{"early_stopping": True, "group_method": "none", "deterministic": True, "epochs": 9},
    **{"augmentation": replace(FLIP_ONLY, hue=(0, 0.1)), "lr_schedule": "constant"},
}


def test_the_number_of_snapshots_is_that_of_the_state_unless_it_is_given(tmp_path):
    go_on = begun(tmp_path, keep=0)
    assert go_on().keep == 0  # else most of them would be removed
    assert go_on(keep=2).keep == 2


@pytest.mark.parametrize(("name", "value"), OTHER.items(), ids=OTHER)
def test_settings_that_contradict_the_state_are_refused_by_name(tmp_path, name, value):
    go_on = begun(tmp_path)
    with pytest.raises(SettingError, match="the run to go on with has .*, got ") as error:
        go_on(**{name: value})
    assert error.value.name == {"augmentation": "hue"}.get(name, name)


def test_a_recipe_is_compared_by_what_it_stands_for(tmp_path):
    go_on = begun(tmp_path, recipe="paper")
    assert go_on(recipe="paper") == go_on()
    with pytest.raises(SettingError, match="the run to go on with has"):
        go_on(recipe="long")


def test_what_changes_nothing_may_change(tmp_path):
    go_on = begun(tmp_path)
    plan = go_on(workers=1, cache="ram", save_steps=3, snapshot_format="h5", strict=True)
    assert (plan.workers, plan.cache, plan.save_steps) == (1, "ram", 3)


@pytest.mark.parametrize(
    ("settings", "may_change"),
    [
        ({"lr_schedule": "constant"}, True),
        ({"lr_schedule": "plateau"}, True),
        ({"lr_schedule": "step", "lr_drops": (4,), "warmup_steps": 2}, True),
        ({"lr_schedule": "step", "lr_drops": (4,)}, False),
        ({"lr_schedule": "step"}, False),
        ({"lr_schedule": "cosine"}, False),
    ],
)
def test_more_epochs_are_possible_where_the_rate_does_not_depend_on_them(
    tmp_path, settings, may_change
):
    go_on = begun(tmp_path, **settings)
    if may_change:
        assert go_on(epochs=40).epochs == 40
        return
    with pytest.raises(SettingError, match=f"the {settings['lr_schedule']} schedule") as error:
        go_on(epochs=40)
    assert error.value.name == "epochs"


def test_each_setting_is_compared_or_may_change():
    names = {setting.name for setting in fields(TrainingPlan)}
    assert names > MAY_CHANGE
    fixed = set(TrainingPlan.for_data(DATA).fixed_settings())
    assert names - fixed - MAY_CHANGE == {"data", "config"}


def test_settings_of_another_version_do_not_matter():
    plan = TrainingPlan.for_data(DATA)
    settings = plan.fixed_settings()
    check_same(settings, RunRecord(1, {**settings, "of_the_future": 3}))
    check_same(settings, RunRecord(1, {"lr": plan.lr}))
    with pytest.raises(SettingError, match="^lr: the run to go on with has 0.5, got 0.0015"):
        check_same(settings, RunRecord(1, {"lr": 0.5}))
