"""Saving the model after each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras

from keras_retinanet import models
from keras_retinanet.system.types import StrPath


class SaveSnapshots(keras.callbacks.Callback):
    """A callback that saves a model after each epoch, atomically.

    Args:
        path: file name with `{epoch:02d}` in it, counted from 1; its suffix chooses the format.
        model: the model to save; None for the model in training.

    Attributes:
        last_path: the latest snapshot; None before the first.
    """

    def __init__(self, path: StrPath, model: keras.Model | None = None) -> None:
        super().__init__()
        self.path = str(path)
        self.saved_model = model
        self.last_path: Path | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the snapshot of an epoch."""
        self.last_path = Path(self.path.format(epoch=epoch + 1))
        models.save_model(self.saved_model or self.model, self.last_path)
        print(f"\nEpoch {epoch + 1}: saved {self.last_path}")
