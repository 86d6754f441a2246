"""Saving the model after each epoch, without its optimizer, and removing older snapshots."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_retinanet import models
from keras_retinanet.models.checksum import file_checksum
from keras_retinanet.models.precision import in_float32
from keras_retinanet.system.files import replacing
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath


@contextlib.contextmanager
def without_optimizer(model: keras.Model) -> Iterator[None]:
    """Let Keras save a model as if it were not compiled.

    The optimizer's state, which may be twice the size of the weights, belongs to the state of the
    run.
    """
    if not model.compiled:
        yield
        return
    optimizer = model.optimizer
    del model.optimizer  # a model that is not compiled has no such attribute
    model.compiled = False
    try:
        yield
    finally:
        model.optimizer, model.compiled = optimizer, True


class SaveSnapshots(keras.callbacks.Callback):
    """A callback that saves a model after each epoch, atomically, without its optimizer.

    The snapshot with the greatest `mAP` in the logs stays as `best.keras` (or `best.h5`) beside the
    others. Only files that this callback has written, and that are as it wrote them, are removed or
    replaced by a better one.

    Args:
        path: file name with `{epoch:02d}` in it, counted from 1; its suffix chooses the format.
        model: the model to save; None for the model in training.
        describe_run: number of epochs done -> what the snapshot tells about the run, for
            `ModelInfo.run`; None to leave that as it is.
        keep: number of snapshots that stay, the last ones, beside the best; 0 for all.
        written: the attribute of this name when an earlier part of the run ended.
        verbose: 1 to print what is saved and removed.

    Attributes:
        last_path: the latest snapshot; None before the first.
        best: the greatest mAP so far; None before the first.
        best_epoch: the epoch that had it, counted from 1; None before the first.
        written: name of each file that the run has written and keeps, the latest last -> its
            CRC-32.
    """

    def __init__(
        self,
        path: StrPath,
        model: keras.Model | None = None,
        describe_run: Callable[[int], Mapping[str, Any]] | None = None,
        *,
        keep: int = 0,
        written: Mapping[str, int] | None = None,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        self.path = str(path)
        self.saved_model = model
        self.describe_run = describe_run
        self.keep = keep
        self.verbose = verbose
        self.last_path: Path | None = None
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.written = dict(written or {})

    @property
    def best_path(self) -> Path:
        """The file of the best snapshot."""
        path = Path(self.path)
        return path.with_name(f"best{path.suffix}")

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Forget the best mAP of an earlier part of the run if its snapshot is gone."""
        if not self.best_path.exists():
            self.best = self.best_epoch = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the snapshot of an epoch, and remove the one that is too many."""
        mean_ap = (logs or {}).get("mAP", math.nan)
        # -1 stands for an mAP without ground truth; NaN fails every comparison.
        is_best = mean_ap >= 0 and (self.best is None or mean_ap > self.best)
        if is_best:  # before the snapshot is described
            self.best, self.best_epoch = float(mean_ap), epoch + 1
        path = self.last_path = Path(self.path.format(epoch=epoch + 1))
        model = self.saved_model or self.model
        if self.describe_run is not None:
            run = self.describe_run(epoch + 1)
            models.set_info(model, replace(model.info, run=run))
        with without_optimizer(model), in_float32(model):
            models.save_model(model, path)
        self.written.pop(path.name, None)  # to come last
        self.written[path.name] = file_checksum(path)
        text = f"saved {path}"
        if is_best:
            self._save_best(path)
            text += f", the best so far: {self.best_path.name}"
        removed = self._remove_old()
        if removed:
            text += f"; removed {shorten(', '.join(removed))}"
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: {text}")

    def _save_best(self, path: Path) -> None:
        """Let the best snapshot be that in a file, which stays."""
        best = self.best_path
        if best.exists() and not self._is_own(best):  # of another run, or changed by somebody
            aside = (best.with_stem(f"best-{number}") for number in itertools.count(1))
            best.rename(next(name for name in aside if not name.exists()))
        with replacing(best) as temporary:
            try:
                temporary.unlink()
                os.link(path, temporary)  # takes no room while both are there
            except OSError:  # the file system has no links
                shutil.copyfile(path, temporary)
        self.written[best.name] = self.written[path.name]

    def _remove_old(self) -> list[str]:
        """Remove the snapshots that are too many; return their names."""
        best = [name for name in self.written if Path(name).stem == "best"]
        others = [name for name in self.written if name not in best]
        # The run may have had another format before.
        surplus = [name for name in best if name != self.best_path.name] if len(best) > 1 else []
        surplus += others[: -self.keep] if self.keep else []
        removed = []
        for name in surplus:
            path = self.best_path.with_name(name)
            if self._is_own(path):
                path.unlink()
                removed.append(name)
            del self.written[name]
        return removed

    def _is_own(self, path: Path) -> bool:
        """Return whether a file is there, written by this run, and not changed since."""
        with contextlib.suppress(OSError, ValueError):
            return file_checksum(path) == self.written.get(path.name)
        return False
