"""Which settings a run takes from its state, and which may be others when it goes on.

Nothing here imports TensorFlow, so that the command can check its options at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from keras_retinanet.system.messages import shorten
from keras_retinanet.training.record import RunRecord
from keras_retinanet.training.settings import SettingError

# Settings of a plan that change nothing of what the rest of the run learns, or only where its
# output goes. All others are those of the state.
MAY_CHANGE = frozenset(
    {
        *("resume", "save_steps", "snapshot_path", "snapshot_format", "snapshots"),
        *("evaluation", "tensorboard_dir", "tensorboard_freq", "strict", "allow_empty"),
        *("max_time", "wandb", "mlflow"),
        *("max_pixels", "cache", "workers", "max_queue_size", "multi_gpu", "jit_compile"),
    }
)
# Those of the state unless they are given.
_MAY_BE_GIVEN = frozenset({"keep"})
# Compared by what they hold, see `state.describe_data`; or with the model of the state.
_COMPARED_ELSEWHERE = frozenset({"data", "config"})


def is_fixed(name: str) -> bool:
    """Return whether a setting of a plan is that of the state when a run goes on."""
    return name not in MAY_CHANGE | _COMPARED_ELSEWHERE


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON has them: lists for tuples, text for paths."""
    return json.loads(json.dumps(dict(settings), default=os.fspath))


def check_same(settings: Mapping[str, Any], record: RunRecord) -> None:
    """Check that a run that goes on has the settings of its state.

    Args:
        settings: name -> plain value of the settings that are fixed.
        record: that of the state.

    Raises:
        SettingError: naming the first setting that differs, and its value in the state.
    """
    now, then = _single(settings), _single(record.settings)
    for name, value in now.items():
        before = then.get(name, value)
        if value == before or name in _MAY_BE_GIVEN:
            continue
        if name == "epochs" and _may_take_longer(settings):
            continue
        if (name, value) == ("mixed_precision", "auto"):  # which is what the run has chosen
            continue
        hint = "leave it out to go on, or begin a new run without resume"
        if name == "epochs":
            hint = f"the {settings['lr_schedule']} schedule depends on it; {hint}"
        raise SettingError(
            name,
            f"the run to go on with has {shorten(_text(before), 60)}, got "
            f"{shorten(_text(value), 60)}: {hint}",
        )


def _single(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those of augmentation one by one, as options name them."""
    augmentation = settings.get("augmentation")
    others = {name: value for name, value in settings.items() if name != "augmentation"}
    return {**others, **(augmentation if isinstance(augmentation, dict) else {})}


def _may_take_longer(settings: Mapping[str, Any]) -> bool:
    """Return whether the learning rate does not depend on the number of epochs."""
    if settings["lr_schedule"] == "step":
        return settings["lr_drops"] is not None and settings["warmup_steps"] is not None
    return settings["lr_schedule"] in ("plateau", "constant")


def _text(value: Any) -> str:
    return "none" if value is None else str(value)
