"""Callbacks of every training run: snapshots, history, and a stop where the loss is lost."""

import csv
import io
import math
from pathlib import Path

import keras

from keras_retinanet import models
from keras_retinanet.system.files import atomic_write


class SaveSnapshots(keras.callbacks.Callback):
    """Save a model after each epoch, whole or not at all."""

    def __init__(self, path, model=None):
        """Keep where to save.

        Args:
            path: file name with `{epoch:02d}` in it, counted from 1; the suffix is the format.
            model: what to save; None means the model in training.
        """
        super().__init__()
        self.path = str(path)
        self.saved_model = model
        self.last_path: Path | None = None

    def on_epoch_end(self, epoch, logs=None):
        """Save the snapshot of an epoch."""
        self.last_path = Path(self.path.format(epoch=epoch + 1))
        models.save_model(self.saved_model or self.model, self.last_path)
        print(f"\nEpoch {epoch + 1}: saved {self.last_path}")


class StopOnNaN(keras.callbacks.Callback):
    """Stop with an error at the first batch whose loss is no number."""

    def on_train_batch_end(self, batch, logs=None):
        """Check the loss so far.

        Raises:
            ValueError: if it is NaN or infinite.
        """
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(float(loss)):
            raise ValueError(
                f"the loss became {float(loss)} at step {batch + 1} of this epoch; earlier "
                "snapshots are untouched: lower --lr, or look for broken boxes in the data"
            )


class WriteHistory(keras.callbacks.Callback):
    """Write what was logged in each epoch to a CSV file, one row an epoch, counted from 1."""

    def __init__(self, path, initial_epoch=0):
        """Start a new file, or keep the rows of the epochs that are done.

        Args:
            path: the CSV file.
            initial_epoch: number of epochs done before this run.
        """
        super().__init__()
        self.path = Path(path)
        self.rows = []
        if initial_epoch and self.path.exists():
            with open(self.path, newline="") as file:
                rows = list(csv.DictReader(file))
            self.rows = [row for row in rows if int(row["epoch"]) <= initial_epoch]

    def on_epoch_end(self, epoch, logs=None):
        """Add a row and write the file."""
        values = {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append({"epoch": epoch + 1, **values})
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic_write(self.path, text.getvalue())
