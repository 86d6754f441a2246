"""Read weights from files into a model, matched by layer name, weight name and shape."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import NamedTuple

import h5py
import keras
import numpy as np

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.models.hdf5 import StoredWeights, open_hdf5, stored_weights
from keras_retinanet.system.types import StrPath


@dataclass(frozen=True)
class WeightsReport:
    """What happened to each tensor, as "layer/weight".

    Attributes:
        matched: read from the file into the model.
        missing: in the model, not in the file.
        mismatched: in both, with different shapes; unchanged in the model.
        unexpected: in the file, not in the model.
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return one line with the four counts, and the names of the mismatched tensors."""
        total = len(self.matched) + len(self.missing) + len(self.mismatched)
        names = f" ({', '.join(self.mismatched)})" if self.mismatched else ""
        return (
            f"{len(self.matched)} of {total} tensors matched, {len(self.missing)} not in the file, "
            f"{len(self.mismatched)} of another shape{names}, {len(self.unexpected)} unused"
        )


class WeightMatch(NamedTuple):
    """A weight of a model and the stored values for it.

    Attributes:
        variable: the weight.
        data: its values, in a file that is open.
        name: "layer/weight".
    """

    variable: keras.Variable
    data: h5py.Dataset
    name: str


def load_weights(
    model: keras.Model, path: StrPath | h5py.File, *, skip_mismatch: bool = True
) -> WeightsReport:
    """Read all weights of a file that match a model into it.

    Args:
        model: any model with named layers; its weights change, unless the file is refused.
        path: a snapshot of ours (.keras, .h5), one of keras-retinanet 1.0.0, `.weights.h5`, or the
            weights of a backbone alone; or an open `h5py.File`.
        skip_mismatch: whether to leave tensors of another shape unchanged, instead of raising.

    Returns:
        The names of the tensors that matched, and of those that did not.

    Raises:
        OSError: if there is no such file.
        ValueError: if the file holds no weights, or none that matches; if a shape differs and is
            not to be skipped; or if its batch normalisation is folded into the convolutions.
    """
    with open_hdf5(path) as file:
        stored = stored_weights(file, submodel_layers(model))
        report, matches = match_weights(model, _translator(model)(stored, model))
        if not report.matched:
            raise ValueError(
                f"none of its weights fits the model {model.name!r}: {report.summary()}"
            )
        if _is_folded(report):
            raise ValueError(
                "expected a training snapshot, got a converted model, whose convolutions "
                "contain the batch normalisation: use the snapshot it was made from"
            )
        if report.mismatched and not skip_mismatch:
            raise ValueError(f"tensors of another shape: {', '.join(report.mismatched)}")
        assign_weights(matches)
    return report


def _is_folded(report: WeightsReport) -> bool:
    """Return whether the file's batch normalisation is folded into its convolutions.

    Then it has none of the statistics, and biases for kernels that have none in the model.
    """
    statistics = [name for name in report.missing if name.endswith("/moving_mean")]
    known = any(name.endswith("/moving_mean") for name in report.matched)
    kernels = {name for name in report.matched if name.endswith("/kernel")}
    with_surplus = {name.rsplit("/", 1)[0] + "/kernel" for name in report.unexpected}
    return bool(statistics) and not known and bool(kernels & with_surplus)


def _translator(model: keras.Model) -> Callable[[StoredWeights, keras.Model], StoredWeights]:
    """Return the function that reads other file layouts of a model's backbone."""
    info = getattr(model, "info", None)
    entry = BACKBONES.get(info.backbone) if info else None
    translate = getattr(import_module(entry.module), "translate", None) if entry else None
    return translate or (lambda stored, model: stored)


def submodel_layers(model: keras.Model) -> dict[str, list[str]]:
    """Return, for each model used as a layer of a model, its name -> its layers with weights."""
    return {
        layer.name: [part.name for part in leaf_layers(layer) if part.weights]
        for layer in model.layers
        if hasattr(layer, "layers")
    }


def leaf_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of a model and of the models inside it, in order."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaf_layers(layer)
        else:
            yield layer


def match_weights(
    model: keras.Model, stored: StoredWeights
) -> tuple[WeightsReport, list[WeightMatch]]:
    """Match a model's weights with stored ones by layer name, weight name and shape.

    Returns:
        A report of what matches and what does not, and the matches for `assign_weights`.
    """
    report, matches = WeightsReport(), []
    unused = dict(stored)
    for layer in leaf_layers(model):
        matches += _match_layer(layer, unused.pop(layer.name, []), report)
    for layer_name, entries in unused.items():
        report.unexpected.extend(
            f"{layer_name}/{weight or i}" for i, (weight, _) in enumerate(entries)
        )
    return report, matches


def _match_layer(
    layer: keras.layers.Layer,
    entries: list[tuple[str | None, h5py.Dataset]],
    report: WeightsReport,
) -> list[WeightMatch]:
    """Return the matches of one layer, and add all its weights to the lists of the report."""
    by_name = {weight or _name_at(layer, i): data for i, (weight, data) in enumerate(entries)}
    if len(by_name) == len(layer.weights) == 1:  # a single weight may have any name
        by_name = {layer.weights[0].name: next(iter(by_name.values()))}
    matches = []
    for variable in layer.weights:
        name, data = f"{layer.name}/{variable.name}", by_name.pop(variable.name, None)
        if data is None:
            report.missing.append(name)
        elif tuple(data.shape) != tuple(variable.shape):
            report.mismatched.append(name)
        else:
            report.matched.append(name)
            matches.append(WeightMatch(variable, data, name))
    report.unexpected.extend(f"{layer.name}/{name}" for name in by_name)
    return matches


def assign_weights(matches: list[WeightMatch]) -> None:
    """Copy the stored values of matches into the model; their file must still be open.

    Raises:
        ValueError: if values cannot be read or are not floats.
    """
    for variable, data, name in matches:
        variable.assign(_values(data, name))


def _name_at(layer: keras.layers.Layer, i: int) -> str:
    return layer.weights[i].name if i < len(layer.weights) else str(i)


def _values(data: h5py.Dataset, name: str) -> np.ndarray:
    try:
        values = data[()]
    except (OSError, RuntimeError) as error:
        raise ValueError(f"cannot read {name}: {error}") from error
    if values.dtype.kind != "f":
        raise ValueError(f"{name}: expected floats, got {values.dtype}")
    return values
