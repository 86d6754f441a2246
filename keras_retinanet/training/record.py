"""What a snapshot knows of the run that wrote it: how far it had come, and its settings.

Nothing here imports TensorFlow, so that the command can check its options at once.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import h5py

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.system.files import only_regular
from keras_retinanet.system.limits import MAX_MODEL_CONFIG_BYTES
from keras_retinanet.system.types import StrPath
from keras_retinanet.zoo import table
from keras_retinanet.zoo.checkpoints import is_checkpoint_name


@dataclass(frozen=True)
class RunRecord:
    """How far a run had come when it wrote a snapshot.

    Attributes:
        epoch: number of epochs done.
        settings: name -> value of the settings of its `TrainingPlan` that a continued run keeps:
            numbers, text, lists, dictionaries and None.
        counters: class of a callback -> its counters, such as the epochs without progress.
    """

    epoch: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    counters: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> RunRecord | None:
        """Return the record that `to_dict` described; None if it is none."""
        if not isinstance(values, Mapping):
            return None
        epoch, settings, counters = (values.get(k) for k in ("epoch", "settings", "counters"))
        if isinstance(epoch, int) and isinstance(settings, dict) and isinstance(counters, dict):
            return cls(epoch, settings, counters)
        return None

    @classmethod
    def read(cls, path: StrPath) -> RunRecord | None:
        """Return the record in a snapshot, which is not loaded.

        None if it holds none, as one of keras-retinanet 1.0.0, or cannot be read: loading the model
        says why.
        """
        return cls.from_dict(_model_info(path).get("run"))


def is_whole_detector(path: StrPath) -> bool:
    """Return whether training starts from all of the model in a file.

    This is so for a published detector, by its name or file, and for a snapshot that came from
    one: `--backbone` cannot build its network. Of other files the weights are read by layer.
    """
    name = os.fspath(path)
    if is_checkpoint_name(name) or (table.is_name(name) and not os.path.exists(name)):
        return True
    backbone = _model_info(path).get("backbone")
    return backbone is not None and backbone not in BACKBONES


def _model_info(path: StrPath) -> Mapping[str, Any]:
    """Return the info of the model in a file, which is not loaded; empty if there is none."""
    try:
        info = json.loads(_model_config(path))["config"]["details"]
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, zipfile.BadZipFile):
        return {}
    return info if isinstance(info, Mapping) else {}


def _model_config(path: StrPath) -> str | bytes:
    """Return the JSON text of the model's configuration in a .keras or .h5 file."""
    with open(path, "rb", opener=only_regular) as file:
        if not zipfile.is_zipfile(file):
            with h5py.File(file, "r") as weights:
                return weights.attrs["model_config"]
        with zipfile.ZipFile(file) as archive:
            if archive.getinfo("config.json").file_size > MAX_MODEL_CONFIG_BYTES:
                raise ValueError(f"{path}: the configuration is too large")
            return archive.read("config.json")
