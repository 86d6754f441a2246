"""One line for each epoch, for output that is no terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping

import keras

# Name in the logs -> how the line says it; of all others there are columns in the history.
_TEXTS = {
    "loss": "loss {:.4f}",
    "regression_loss": "regression {:.4f}",
    "classification_loss": "classification {:.4f}",
    "val_loss": "validation loss {:.4f}",
    "mAP": "mAP {:.4f}",
    "learning_rate": "learning rate {:.3g}",
    "images_per_second": "{:.1f} images/s",
    "data_wait": "{:.0%} of it waiting for data",
}


class PrintEpoch(keras.callbacks.Callback):
    """A callback that prints a line at the end of each epoch, at once.

    It comes after the callbacks that add to the logs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Print the line."""
        values = logs or {}
        parts = [text.format(values[name]) for name, text in _TEXTS.items() if name in values]
        parts.append(f"{time.monotonic() - self._began:.0f} s")
        # A file or a pipe gets what is printed only when there is a lot of it, or at the end.
        print(f"Epoch {epoch + 1}/{self.params['epochs']}: {', '.join(parts)}", flush=True)
