"""The curves of a training run."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from keras_retinanet.system.files import replacing
from keras_retinanet.system.types import StrPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Columns of a history file that hold precisions; those that end in "loss" hold losses.
_PRECISIONS = ("mAP", "AP", "AP50", "AP75")


def read_history(path: StrPath) -> dict[str, list[float]]:
    """Return the columns of a history file as lists of numbers; NaN where a cell is empty."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {}
    for name in rows[0] if rows else ():
        columns[name] = [_number(row[name]) for row in rows]
    return columns


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def plot_history(history_path: StrPath, picture_path: StrPath) -> None:
    """Plot losses, precisions and learning rate of a history file over its epochs, as a PNG.

    A file without a learning rate, of an earlier version, has no plot of it.

    Raises:
        OSError: if there is no history file, or the picture cannot be written.
    """
    from matplotlib.figure import Figure  # half a second that other reports do not need

    columns = read_history(history_path)
    epochs = columns.pop("epoch", [])
    losses = {name: values for name, values in columns.items() if name.endswith("loss")}
    precisions = {name: values for name, values in columns.items() if name in _PRECISIONS}
    rates = {name: values for name, values in columns.items() if name == "learning_rate"}
    count = 3 if rates else 2
    figure = Figure(figsize=(5 * count, 4), layout="constrained")
    plots = figure.subplots(1, count)
    _plot(plots[0], "loss", epochs, losses)
    _plot(plots[1], "precision", epochs, precisions)
    plots[1].set_ylim(0, 1)
    if rates:
        _plot(plots[2], "learning rate", epochs, rates)
        plots[2].set_ylim(0)
    with replacing(picture_path) as temporary:
        figure.savefig(temporary, dpi=100)


def _plot(axes: Axes, title: str, epochs: list[float], curves: dict[str, list[float]]) -> None:
    from matplotlib.ticker import MaxNLocator

    for name, values in curves.items():
        axes.plot(epochs, values, marker="o", markersize=3, label=name)
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.grid(alpha=0.3)
    if curves:
        axes.legend()
