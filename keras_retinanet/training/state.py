"""The state of a run: one file from which it goes on as if it had not been interrupted.

It is an archive of three members, without compression, with a checksum over all of it at its end:

    run.json        a `RunRecord`: settings, epochs and steps done, counters, rate, the data
    model.keras     a snapshot: the network, its weights, and what it knows of itself
    variables.bin   the values of what a snapshot lacks, one after the other: the optimizer's
                    variables, the states of random layers, and the means of the losses

What the batches hold follows from the seed, the epoch and the step, so nothing of it is stored.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import warnings
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_retinanet import models
from keras_retinanet.callbacks.snapshots import without_optimizer
from keras_retinanet.models.checksum import add_checksum, check_checksum
from keras_retinanet.models.precision import in_float32
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.files import only_regular, replacing
from keras_retinanet.system.types import StrPath
from keras_retinanet.system.workers import this_worker
from keras_retinanet.training.record import (
    MODEL,
    PREVIOUS_STATE,
    RECORD,
    STATE,
    VARIABLES,
    RunRecord,
)

_BLOCK_BYTES = 2**24


@dataclass(frozen=True)
class State:
    """A state that was found intact.

    Attributes:
        path: the file.
        record: how far the run had come.
    """

    path: Path
    record: RunRecord

    def load_model(self) -> models.RetinaNet:
        """Return the training model, not compiled.

        Raises:
            OSError: if the file cannot be read, or no temporary file written beside it.
            ValueError: if it holds no model.
        """
        # Beside the state, where there is room, by a name that `remove_leftovers` knows. Workers in
        # containers may have the same process id.
        temporary = self.path.with_name(
            f".{self.path.stem}-{os.getpid()}-f{this_worker().index:07x}.keras"
        )
        try:
            with (
                zipfile.ZipFile(self.path) as archive,
                archive.open(MODEL) as stored,
                open(temporary, "wb") as file,
            ):
                shutil.copyfileobj(stored, file, _BLOCK_BYTES)
            return models.load_model(temporary)
        finally:
            temporary.unlink(missing_ok=True)

    def restore(self, model: models.RetinaNet) -> None:
        """Give a compiled model the state of its optimizer, and of its random layers.

        Raises:
            ValueError: naming the file, if the optimizer or the network is another one.
        """
        self._assign(model, metrics=False)

    def restore_metrics(self, model: models.RetinaNet) -> None:
        """Give a compiled model the means of the losses over the steps of the epoch.

        Raises:
            ValueError: naming the file, if the losses are others.
        """
        self._assign(model, metrics=True)

    def _assign(self, model: models.RetinaNet, *, metrics: bool) -> None:
        variables = state_variables(model)
        expected = [list(_describe(name, variable)) for name, variable in variables]
        stored = [list(entry) for entry in self.record.variables]
        if stored != expected:
            raise ValueError(
                f"{self.path}: expected {len(expected)} variables of the optimizer and the losses "
                f"that the settings ask for, got {len(stored)} others: it was written by another "
                "version; continue a snapshot instead (--snapshot)"
            )
        with zipfile.ZipFile(self.path) as archive, archive.open(VARIABLES) as file:
            for name, variable in variables:
                now = np.asarray(variable)
                data = file.read(now.nbytes)
                if len(data) != now.nbytes:
                    raise ValueError(f"{self.path}: {name}: expected {now.size} numbers")
                if name.startswith(_METRICS) == metrics:
                    variable.assign(np.frombuffer(data, now.dtype).reshape(now.shape))


_METRICS = "metrics/"


def state_variables(model: models.RetinaNet) -> list[tuple[str, keras.Variable]]:
    """Return what a snapshot of a compiled model lacks: name and variable.

    The names do not depend on what else the process has built.
    """
    found = [(f"optimizer/{_tail(variable)}", variable) for variable in model.optimizer.variables]
    of_snapshot = {id(variable) for variable in model.weights}
    found += [
        ("random", variable) for variable in model.variables if id(variable) not in of_snapshot
    ]
    return found + [(f"{_METRICS}{_tail(v)}", v) for v in model.metrics_variables]


def _tail(variable: keras.Variable) -> str:
    """Return the path of a variable without that of its owner, which Keras numbers."""
    return variable.path.split("/", 1)[-1]


def _describe(name: str, variable: keras.Variable) -> tuple[str, list[int], str]:
    return name, list(variable.shape), str(variable.dtype)


class StateWriter:
    """Writes the states of a run.

    Args:
        folder: where to write.
        continues: whether the run goes on from a state in the folder. Otherwise that and the one
            before it are another run's, and the first state replaces both.
    """

    def __init__(self, folder: StrPath, *, continues: bool) -> None:
        self.folder = Path(folder)
        self._keeps_previous = continues

    def write(self, model: models.RetinaNet, record: RunRecord) -> None:
        """Write a state atomically; the one that was there becomes the one before.

        Args:
            model: the compiled model.
            record: how far the run has come; its `variables` are filled in.

        Raises:
            OSError: if it cannot be written.
        """
        variables = state_variables(model)
        record = replace(record, variables=[_describe(*each) for each in variables])
        path, previous = self.folder / STATE, self.folder / PREVIOUS_STATE
        with replacing(path) as temporary:
            _write_archive(temporary, model, record, variables)
            add_checksum(temporary)
            if self._keeps_previous and path.exists():
                os.replace(path, previous)
        if not self._keeps_previous:
            previous.unlink(missing_ok=True)
        self._keeps_previous = True


def _write_archive(
    path: Path,
    model: models.RetinaNet,
    record: RunRecord,
    variables: list[tuple[str, keras.Variable]],
) -> None:
    snapshot = path.with_name(f"{path.stem}.keras")  # a name of a temporary file, too
    try:
        with without_optimizer(model), in_float32(model):
            model.save(str(snapshot))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(RECORD, json.dumps(record.to_dict()))
            archive.write(snapshot, MODEL)
            snapshot.unlink()  # at most a whole state lies beside the other two
            with archive.open(VARIABLES, "w", force_zip64=True) as file:
                for _, variable in variables:
                    file.write(np.ascontiguousarray(variable).tobytes())
    finally:
        snapshot.unlink(missing_ok=True)


def find_state(folder: StrPath) -> State | None:
    """Return the state in a folder, or the one before it if it is damaged; None if there is none.

    A damaged one is named in a warning, and gives way to the one before it.

    Raises:
        OSError: if a file cannot be read.
        ValueError: naming the files, if there are some, but all are damaged.
    """
    path, previous = Path(folder, STATE), Path(folder, PREVIOUS_STATE)
    damaged = []
    for candidate in (path, previous):
        if not candidate.exists():
            continue
        try:
            record = _checked_record(candidate)
        except ValueError as error:
            damaged.append(str(error))
            continue
        if damaged:
            warnings.warn(f"{damaged[0]}: going on from the state before it", stacklevel=2)
        if candidate == previous:
            os.replace(previous, path)
        return State(path, record)
    if damaged:
        raise ValueError(
            f"{'; '.join(damaged)}: move them away to begin a new run, or continue a snapshot "
            "(--snapshot)"
        )
    return None


def _checked_record(path: Path) -> RunRecord:
    """Return the record in a state whose checksum is right.

    Raises:
        ValueError: naming the file, if it is damaged, or no state.
    """
    with open(path, "rb", opener=only_regular) as file:
        try:
            check_checksum(file, required=True)
        except ValueError:
            raise ValueError(f"{path}: damaged or no state of a run: wrong checksum") from None
        try:
            with zipfile.ZipFile(file) as archive:
                names = sorted(archive.namelist())
                stored = all(entry.compress_type == 0 for entry in archive.infolist())
        except zipfile.BadZipFile:
            names, stored = [], False
    record = None
    if stored and names == sorted((RECORD, MODEL, VARIABLES)):
        record = RunRecord.of_state_file(path)
    if record is None:
        raise ValueError(f"{path}: no state of a run")
    return record


def describe_data(generator: Generator) -> dict[str, Any]:
    """Return what tells a data set from others: its images and classes, and the checksum of these.

    The folder in which the images lie does not matter.
    """
    checksum = 0
    with contextlib.suppress(NotImplementedError):  # a data set may have no names of images
        for index in range(generator.size()):
            name = os.path.basename(generator.image_path(index))
            checksum = zlib.crc32(f"{name}\n".encode(), checksum)
    names = [name or "" for name in generator.class_names()]
    return {
        "images": generator.size(),
        "classes": len(names),
        "checksum": f"{zlib.crc32(json.dumps(names).encode(), checksum):08x}",
    }
