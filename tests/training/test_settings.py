import pytest

from keras_retinanet.models.heads import HIDDEN_INITIALIZER, HIDDEN_INITIALIZERS
from keras_retinanet.training.plan import SETTING_NAMES
from keras_retinanet.training.settings import (
    CHOICES,
    RANGES,
    SettingError,
    SettingWarning,
    check_drops,
    check_number,
)


@pytest.mark.parametrize("kind", [SettingError, SettingWarning])
def test_what_is_wrong_is_named(kind):
    error = kind("lr", "too high")
    assert str(error) == "lr: too high"
    assert (error.name, error.problem) == ("lr", "too high")


def test_every_name_is_a_setting():
    names = [name for _, group in RANGES.values() for name in group]
    assert len(names) == len(set(names))
    assert {*names, *CHOICES} <= set(SETTING_NAMES)


def test_the_initialisers_are_those_of_the_heads():
    # The command does not import TensorFlow to know them.
    assert CHOICES["hidden_initializer"] == tuple(HIDDEN_INITIALIZERS)
    assert CHOICES["hidden_initializer"][0] == HIDDEN_INITIALIZER


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("lr", (1e-9, 3), (0, -1, float("nan"), float("inf"), "x", [], None)),
        ("warmup_steps", (0, 3), (-1, float("inf"), None)),
        ("optimizer_clipnorm", (0, 0.5), (-1, float("inf"))),
        ("momentum", (0, 0.99), (1, -0.1)),
        ("reduce_lr_factor", (0.1,), (0, 1)),
    ],
)
def test_ranges_end_where_they_should(name, right, wrong):
    for value in right:
        check_number(name, value, optional=False)
    for value in wrong:
        with pytest.raises(SettingError, match=f"^{name}: expected a number.*, got"):
            check_number(name, value, optional=False)
    check_number(name, None, optional=True)


def test_drops_are_ascending_steps():
    assert check_drops(None) is None
    assert check_drops([60, 80]) == (60, 80)
    for wrong in ([], [0], [80, 60], [60, 60], [6.5], [True], "x", {}, -1, ["6"]):
        with pytest.raises(SettingError, match="^lr_drops: expected steps above 0 in ascending"):
            check_drops(wrong)
