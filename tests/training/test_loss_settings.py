import inspect

import pytest

from keras_retinanet import losses
from keras_retinanet.training import loss_settings
from keras_retinanet.training.settings import CHOICES, SettingError

NONE = {"alpha": None, "gamma": None, "beta": None}


def test_the_table_is_that_of_the_losses():
    shared = {"cutoff", "class_weights", "normaliser"}
    found = {
        name: tuple(key for key in inspect.signature(make).parameters if key not in shared)
        for name, make in losses.CLASSIFICATION_LOSSES.items()
    }
    assert found == loss_settings.LOSS_SETTINGS
    assert CHOICES["loss"] == tuple(found)
    assert CHOICES["loss_normaliser"] == losses.NORMALISERS
    assert {name for names in found.values() for name in names} == set(NONE)


@pytest.mark.parametrize(
    ("loss", "name", "others"),
    [
        ("ce", "gamma", "focal and focal-star"),
        ("ce", "alpha", "focal and balanced-ce"),
        ("balanced-ce", "gamma", "focal and focal-star"),
        ("focal", "beta", "focal-star"),
        ("focal-star", "alpha", "focal and balanced-ce"),
    ],
)
def test_a_value_that_the_loss_does_not_have_is_refused(loss, name, others):
    loss_settings.check_loss(loss, NONE)
    with pytest.raises(
        SettingError, match=f"^{name}: the loss {loss} has none, got 0.5: {others} "
    ):
        loss_settings.check_loss(loss, {**NONE, name: 0.5})


def test_values_that_the_loss_has_are_taken():
    for loss, names in loss_settings.LOSS_SETTINGS.items():
        loss_settings.check_loss(loss, {**NONE, **dict.fromkeys(names, 0.5)})
    loss_settings.check_loss("focal", {**NONE, "gamma": 0})
    with pytest.raises(SettingError, match="^gamma: expected a number above 0 for focal-star"):
        loss_settings.check_loss("focal-star", {**NONE, "gamma": 0})


def test_another_loss_does_not_keep_the_settings_of_the_first():
    kept = {"loss": "focal", "alpha": 0.5, "gamma": 3, "class_weights": {"a": 2}, "lr": 1}
    assert loss_settings.without_other_loss(kept, None) == kept
    assert loss_settings.without_other_loss(kept, "focal") == kept
    found = loss_settings.without_other_loss(kept, "ce")
    assert found == {"loss": "focal", "class_weights": {"a": 2}, "lr": 1}
    # Snapshots that are older than the setting were trained with the focal loss.
    assert loss_settings.without_other_loss({"gamma": 3}, "focal") == {"gamma": 3}


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("cat=2", {"cat": 2}),
        ("cat=2,dog=0.5", {"cat": 2, "dog": 0.5}),
        ("traffic light = 1e1 , a=b=0", {"traffic light": 10, "a=b": 0}),
        ('"cat, black"=3, dog=1', {"cat, black": 3, "dog": 1}),
        ("Katze=2,犬=3", {"Katze": 2, "犬": 3}),
    ],
)
def test_class_weights_are_read(text, weights):
    assert loss_settings.parse_class_weights(text) == weights


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected name=weight,name=weight with weights of at least 0, got ''"),
        ("cat", "got 'cat'"),
        ("cat=2,", "got ''"),
        ("=2", "got '=2'"),
        ("cat=two", "got 'cat=two'"),
        ("cat=2,dog=-1", "got 'dog=-1'"),
        ("cat=nan", "got 'cat=nan'"),
        ("cat=inf", "got 'cat=inf'"),
        ("cat=1,cat=2", "expected each class once, got cat twice"),
        ("cat=1\ndog=2", "expected name=weight,name=weight, got cat=1 dog=2: new-line"),
        ("x" * 10_000, r"got 'x+ \.\.\. x+'"),
    ],
)
def test_malformed_class_weights_are_named(text, problem):
    with pytest.raises(ValueError, match=problem) as error:
        loss_settings.parse_class_weights(text)
    assert len(str(error.value)) < 300


def test_class_weights_of_a_plan_are_checked():
    assert loss_settings.check_class_weights(None) is None
    given = {"cat": 2, "dog": 0.5}
    found = loss_settings.check_class_weights(given)
    assert found == given
    assert found is not given
    for wrong in ({}, [], "cat=2", 3, {"cat": "2"}, {"cat": -1}, {"cat": float("nan")}, {1: 2}):
        with pytest.raises(SettingError, match="^class_weights: expected finite numbers of at"):
            loss_settings.check_class_weights(wrong)


def test_class_weights_stand_in_the_order_of_the_labels():
    names = ("cat", None, "dog", "cow")
    assert loss_settings.weights_in_order({"dog": 3, "cat": 0}, names) == (0, 1, 3, 1)
    with pytest.raises(
        SettingError, match="^class_weights: expected names of .* cat, dog, cow, got bird, cats$"
    ):
        loss_settings.weights_in_order({"bird": 1, "cat": 2, "cats": 1}, names)
    with pytest.raises(SettingError, match="^class_weights: expected a weight above 0"):
        loss_settings.weights_in_order({"cat": 0}, ("cat",))
