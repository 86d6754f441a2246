"""What the values of a plan's settings may be, and the errors that name a setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from keras_retinanet.system.messages import shorten

# What suits the small pictures of `shapes`.
SHAPES_SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "backbone": "resnet18_0.5",
        "imagenet_weights": False,
        "feature_size": 64,
        "batch_size": 4,
        "epochs": 3,
        "lr": 1.5e-3,
        "image_min_side": 128,
        "image_max_side": 192,
    }
)
# Ranges of settings that are numbers.
RANGES: dict[str, tuple[Callable[[float], bool], tuple[str, ...]]] = {
    "a number above 0": (
        lambda value: 0 < value < math.inf,
        (
            *("batch_size", "epochs", "steps", "image_min_side", "image_max_side"),
            *("lr", "workers", "max_queue_size", "feature_size", "max_detections"),
            *("max_pixels", "save_steps", "accumulate", "max_time"),
        ),
    ),
    "a number of at least 0": (
        lambda value: 0 <= value < math.inf,
        (
            *("initial_epoch", "multi_gpu", "reduce_lr_patience", "seed", "warmup_steps"),
            *("gamma", "keep"),
        ),
    ),
    "a number, 0 for no maximum": (
        lambda value: 0 <= value < math.inf,
        ("optimizer_clipnorm",),
    ),
    "a number from 0 to below 1": (lambda value: 0 <= value < 1, ("momentum", "weight_decay")),
    "a number between 0 and 1": (
        lambda value: 0 < value < 1,
        ("alpha", "reduce_lr_factor", "val_share", "ema"),
    ),
    "a finite number": (math.isfinite, ("beta",)),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "loss": ("focal", "focal-star", "balanced-ce", "ce"),
    "box_loss": ("smooth-l1", "l1", "giou"),
    "loss_normaliser": ("batch", "image"),
    "optimizer": ("adam", "adamw", "sgd"),
    "lr_schedule": ("cosine", "step", "constant", "plateau"),
    "mixed_precision": ("none", "bfloat16", "float16", "auto"),
    "head_norm": ("none", "group"),
    "hidden_initializer": ("he_normal", "normal"),
    "group_method": ("none", "random", "ratio"),
    "cache": ("none", "ram", "disk"),
    "snapshot_format": ("keras", "h5"),
}


class SettingError(ValueError):
    """A setting of a plan has a wrong value.

    Attributes:
        name: the setting.
        problem: what was expected and what came.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


class SettingWarning(UserWarning):
    """A setting of a plan has no effect.

    Attributes:
        name: the setting.
        problem: why it has none.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


def check_number(name: str, value: Any, *, optional: bool) -> None:
    """Check a setting that is a number.

    Args:
        name: the setting, one in `RANGES`.
        value: its value.
        optional: whether None is allowed.

    Raises:
        SettingError: naming the setting, what was expected and what came.
    """
    for words, (holds, names) in RANGES.items():
        if name not in names or (value is None and optional):
            continue
        if not (isinstance(value, (int, float)) and holds(value)):
            raise SettingError(name, f"expected {words}, got {shorten(value)}")


def check_drops(drops: Any) -> tuple[int, ...] | None:
    """Return the steps at which the learning rate drops as a tuple; None stays None.

    Raises:
        SettingError: if they are no whole numbers above 0 in ascending order.
    """
    if drops is None:
        return None
    is_list = isinstance(drops, (list, tuple)) and all(type(drop) is int for drop in drops)
    if not is_list or not drops or drops[0] < 1 or list(drops) != sorted(set(drops)):
        raise SettingError(
            "lr_drops", f"expected steps above 0 in ascending order, got {shorten(drops)}"
        )
    return tuple(drops)
