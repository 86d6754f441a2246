"""The settings of a plan that concern its losses.

Nothing here imports TensorFlow, so that the command can check its options at once.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_retinanet.system.messages import shorten
from keras_retinanet.training.settings import SettingError

# The classification losses of `losses.CLASSIFICATION_LOSSES`, and which of the settings alpha,
# gamma and beta each of them has.
LOSS_SETTINGS: dict[str, tuple[str, ...]] = {
    "focal": ("alpha", "gamma"),
    "focal-star": ("gamma", "beta"),
    "balanced-ce": ("alpha",),
    "ce": (),
}
SOME_LOSSES_HAVE = ("alpha", "gamma", "beta")


def check_loss(loss: str, settings: Mapping[str, Any]) -> None:
    """Check that a loss has the settings that are given.

    Args:
        loss: a key of `LOSS_SETTINGS`.
        settings: values of `SOME_LOSSES_HAVE` by name; None for those that are not given.

    Raises:
        SettingError: naming the setting, and the losses that have it.
    """
    for name in SOME_LOSSES_HAVE:
        if settings[name] is not None and name not in LOSS_SETTINGS[loss]:
            others = " and ".join(key for key, names in LOSS_SETTINGS.items() if name in names)
            raise SettingError(
                name, f"the loss {loss} has none, got {settings[name]}: {others} can have it"
            )
    if loss == "focal-star" and settings["gamma"] == 0:
        raise SettingError("gamma", "expected a number above 0 for focal-star, got 0")


def without_other_loss(kept: Mapping[str, Any], loss: str | None) -> dict[str, Any]:
    """Return the settings of an earlier run, without those of its loss if it gets another one.

    Args:
        kept: settings of the earlier run.
        loss: the loss that is given; None for that of the run.
    """
    if loss is None or loss == kept.get("loss", "focal"):
        return dict(kept)
    return {name: value for name, value in kept.items() if name not in SOME_LOSSES_HAVE}


def parse_class_weights(text: str) -> dict[str, float]:
    """Return the weights of classes in a text such as `cat=2,dog=0.5`.

    A name that holds a comma stands in double quotes, as in a CSV file: `"cat, black"=2`.

    Raises:
        ValueError: if the text is malformed, or names a class twice.
    """
    weights: dict[str, float] = {}
    form = "name=weight,name=weight"
    try:
        fields = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error as error:
        raise ValueError(f"expected {form}, got {shorten(text)}: {error}") from None
    for field in fields or [""]:
        name, equals, number = field.rpartition("=")
        name = name.strip()
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not (equals and name and 0 <= weight < math.inf):
            raise ValueError(
                f"expected {form} with weights of at least 0, got {shorten(repr(field))}"
            )
        if name in weights:
            raise ValueError(f"expected each class once, got {shorten(name)} twice")
        weights[name] = weight
    return weights


def check_class_weights(weights: Any) -> dict[str, float] | None:
    """Return the weights of classes as a new dictionary; None stays None.

    Raises:
        SettingError: if they are no finite numbers of at least 0, by the name of a class.
    """
    if weights is None:
        return None
    fits = isinstance(weights, Mapping) and len(weights) > 0
    if not fits or not all(_is_weight(name, weight) for name, weight in weights.items()):
        raise SettingError(
            "class_weights",
            "expected finite numbers of at least 0 by the names of classes, got "
            f"{shorten(weights)}",
        )
    return dict(weights)


def _is_weight(name: Any, weight: Any) -> bool:
    return isinstance(name, str) and isinstance(weight, (int, float)) and 0 <= weight < math.inf


def weights_in_order(
    weights: Mapping[str, float], class_names: Sequence[str | None]
) -> tuple[float, ...]:
    """Return the weight of every class: 1 unless it is among the weights.

    Args:
        weights: name of a class -> its weight.
        class_names: names of all classes by label; None for a class without.

    Raises:
        SettingError: if there is no class of a name, or all weights are 0.
    """
    unknown = [name for name in weights if name not in class_names]
    if unknown:
        known = ", ".join(name for name in class_names if name is not None)
        raise SettingError(
            "class_weights",
            f"expected names of classes, one of {shorten(known, 400)}, "
            f"got {shorten(', '.join(unknown))}",
        )
    ordered = tuple(1.0 if name is None else float(weights.get(name, 1)) for name in class_names)
    if not any(ordered):
        raise SettingError("class_weights", "expected a weight above 0 for at least one class")
    return ordered
