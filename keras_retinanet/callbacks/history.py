"""Writing what a run logs to a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import keras

from keras_retinanet.system.files import atomic_write, read_file
from keras_retinanet.system.types import StrPath

_MAX_BYTES = 2**26  # of a history file


class WriteHistory(keras.callbacks.Callback):
    """A callback that writes the logs of each epoch as a row of a CSV file, counted from 1.

    Args:
        path: the CSV file.
        initial_epoch: number of epochs done before this run; the file's rows for them are kept.
            With 0, the file is replaced.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, if it is no history.
    """

    def __init__(self, path: StrPath, initial_epoch: int = 0) -> None:
        super().__init__()
        self.path = Path(path)
        self.rows: list[dict[str, str | float]] = []
        if initial_epoch and self.path.exists():
            rows = _read_rows(self.path)
            self.rows += [row for row in rows if int(row["epoch"]) <= initial_epoch]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Add a row and write the file."""
        values = {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append({"epoch": epoch + 1, **values})
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic_write(self.path, text.getvalue())


def _read_rows(path: Path) -> list[dict[str, str | float]]:
    """Return the rows of a history file."""
    rows: list[dict[str, str | float]] = []
    try:
        text = read_file(path, _MAX_BYTES).decode()
        for row in csv.DictReader(io.StringIO(text, newline="")):
            if None in row or int(row["epoch"]) < 1:
                raise ValueError
            rows.append({**row})
    except (ValueError, KeyError, TypeError, csv.Error):
        raise ValueError(
            f"{path}: line {len(rows) + 2}: expected a row of a training history with its number "
            "in the column epoch; move the file away to begin a new one"
        ) from None
    return rows
