"""Saving the model after each epoch, without its optimizer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_retinanet import models
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

    Args:
        path: file name with `{epoch:02d}` in it, counted from 1; its suffix chooses the format.
        model: the model to save; None for the model in training.
        describe_run: number of epochs done -> what the snapshot tells about the run, for
            `ModelInfo.run`; None to leave that as it is.

    Attributes:
        last_path: the latest snapshot; None before the first.
    """

    def __init__(
        self,
        path: StrPath,
        model: keras.Model | None = None,
        describe_run: Callable[[int], Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.path = str(path)
        self.saved_model = model
        self.describe_run = describe_run
        self.last_path: Path | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the snapshot of an epoch."""
        self.last_path = Path(self.path.format(epoch=epoch + 1))
        model = self.saved_model or self.model
        if self.describe_run is not None:
            run = self.describe_run(epoch + 1)
            models.set_info(model, replace(model.info, run=run))
        with without_optimizer(model):
            models.save_model(model, self.last_path)
        print(f"\nEpoch {epoch + 1}: saved {self.last_path}")
