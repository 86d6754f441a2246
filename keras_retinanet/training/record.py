"""What snapshots and states know of the run that wrote them: how far it had come, its settings.

Nothing here imports TensorFlow, so that the command can check its options at once.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any

import h5py

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.system.files import only_regular
from keras_retinanet.system.limits import MAX_MODEL_CONFIG_BYTES
from keras_retinanet.system.types import StrPath
from keras_retinanet.zoo import table
from keras_retinanet.zoo.checkpoints import is_checkpoint_name

# The state of a run, in its output folder, and the one before it.
STATE, PREVIOUS_STATE = "state.zip", "state-previous.zip"
# The members of a state's archive.
RECORD, MODEL, VARIABLES = "run.json", "model.keras", "variables.bin"


@dataclass(frozen=True)
class RunRecord:
    """How far a run had come when it wrote a snapshot or a state.

    Attributes:
        epoch: number of epochs done.
        settings: name -> value of the settings of its `TrainingPlan` that a continued run keeps:
            numbers, text, lists, dictionaries and None.
        counters: class of a callback -> its counters, such as the epochs without progress.
        step: in a state, how many steps of the next epoch are done.
        learning_rate: the rate at that moment; None if unknown.
        is_done: in a state, whether the run has ended as planned.
        data: in a state, what tells the data set of the run from others.
        snapshots: in a state, the name of each snapshot that the run has written and keeps, the
            latest last -> the CRC-32 of the file.
        variables: in a state, `[name, shape, dtype]` of each variable beside the model's weights,
            in the order of their values.
    """

    epoch: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    counters: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    step: int = 0
    learning_rate: float | None = None
    is_done: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    snapshots: Mapping[str, int] = field(default_factory=dict)
    variables: Sequence[Sequence[Any]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> RunRecord | None:
        """Return the record that `to_dict` described; None if it is none.

        Records of earlier versions have the first three values only.
        """
        if not isinstance(values, Mapping):
            return None
        found = {name: values[name] for name in _TYPES if name in values}
        if not {"epoch", "settings", "counters"} <= set(found):
            return None
        if not all(isinstance(value, _TYPES[name]) for name, value in found.items()):
            return None
        return cls(**{**found, "variables": tuple(found.get("variables", ()))})

    @classmethod
    def read(cls, path: StrPath) -> RunRecord | None:
        """Return the record in a snapshot, which is not loaded.

        None if it holds none, as one of keras-retinanet 1.0.0, or cannot be read: loading the model
        says why.
        """
        return cls.from_dict(_model_info(path).get("run"))

    @classmethod
    def of_state(cls, folder: StrPath) -> RunRecord | None:
        """Return the record in the state in a folder, of the one before if it cannot be read.

        The rest of the file is not read, so it may be damaged.
        """
        records = (cls.of_state_file(Path(folder, name)) for name in (STATE, PREVIOUS_STATE))
        return next((record for record in records if record is not None), None)

    @classmethod
    def of_state_file(cls, path: StrPath) -> RunRecord | None:
        """Return the record in a state; None if it cannot be read."""
        try:
            return cls.from_dict(json.loads(_member(path, RECORD)))
        except (OSError, ValueError, LookupError, RecursionError, zipfile.BadZipFile):
            return None


# What a record in a file may hold: JSON has lists for tuples.
_TYPES: Mapping[str, Any] = MappingProxyType(
    {
        **{"epoch": int, "settings": dict, "counters": dict, "step": int},
        **{"learning_rate": (int, float, NoneType), "is_done": bool, "data": dict},
        **{"snapshots": dict, "variables": (list, tuple)},
    }
)


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


def class_names_of(path: StrPath) -> tuple[str | None, ...] | None:
    """Return the class names of the model in a snapshot, which is not loaded; None if unknown."""
    names = _model_info(path).get("class_names")
    if not isinstance(names, list) or not any(names):
        return None
    return tuple(names) if all(isinstance(name, (str, NoneType)) for name in names) else None


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
    return _member(path, "config.json")


def _member(path: StrPath, name: str) -> bytes:
    """Return the JSON text in a member of an archive."""
    with open(path, "rb", opener=only_regular) as file, zipfile.ZipFile(file) as archive:
        if archive.getinfo(name).file_size > MAX_MODEL_CONFIG_BYTES:
            raise ValueError(f"{path}: {name} is too large")
        return archive.read(name)
