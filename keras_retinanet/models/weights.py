"""Weights from files into a model, matched by the names of layers and weights and by shape."""

from dataclasses import dataclass, field
from importlib import import_module

import h5py
import numpy as np

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.models.hdf5 import StoredWeights, open_hdf5, stored_weights


@dataclass(frozen=True)
class WeightsReport:
    """What happened to each tensor, as "layer/weight".

    Attributes:
        matched: read from the file into the model.
        missing: in the model, not in the file.
        mismatched: in both, of different shapes; left as it was in the model.
        unexpected: in the file, not in the model.
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return one line with the four numbers, and the names of the mismatched tensors."""
        total = len(self.matched) + len(self.missing) + len(self.mismatched)
        names = f" ({', '.join(self.mismatched)})" if self.mismatched else ""
        return (
            f"{len(self.matched)} of {total} tensors matched, {len(self.missing)} not in the file, "
            f"{len(self.mismatched)} of another shape{names}, {len(self.unexpected)} unused"
        )


def load_weights(model, path, *, skip_mismatch=True) -> WeightsReport:
    """Read into a model all weights of a file that fit it.

    Args:
        model: any model of named layers; its weights change, unless the file is refused.
        path: a snapshot of ours (.keras, .h5), one of keras-retinanet 1.0.0, `.weights.h5`, or the
            weights of a backbone alone; or an open `h5py.File`.
        skip_mismatch: whether tensors of another shape stay as they are in the model.

    Returns:
        The names of the tensors that matched, and of those that did not.

    Raises:
        OSError: if there is no such file.
        ValueError: if it holds no weights, or none that fits the model, or one of another shape
            that is not to be skipped; or if its batch normalisation is part of the convolutions.
    """
    with open_hdf5(path) as file:
        stored = stored_weights(file, submodel_layers(model))
        report, matches = pair(model, _translator(model)(stored, model))
        name = file.filename if isinstance(path, h5py.File) else path
        if not report.matched:
            raise ValueError(
                f"{name}: none of its weights fits the model {model.name!r}: {report.summary()}"
            )
        if _is_folded(report):
            raise ValueError(
                f"{name}: expected a snapshot of training, got a converted model, whose "
                "convolutions hold the batch normalisation: give the snapshot it was made from"
            )
        if report.mismatched and not skip_mismatch:
            raise ValueError(f"{name}: tensors of another shape: {', '.join(report.mismatched)}")
        assign(matches)
    return report


def _is_folded(report) -> bool:
    """Return whether kernels came from convolutions that did the normalisation's work as well."""
    statistics = [name for name in report.missing if name.endswith("/moving_mean")]
    known = any(name.endswith("/moving_mean") for name in report.matched)
    kernels = {name for name in report.matched if name.endswith("/kernel")}
    surplus = {name.rsplit("/", 1)[0] + "/kernel" for name in report.unexpected}
    return bool(statistics) and not known and bool(kernels & surplus)


def _translator(model):
    """Return the function that knows other layouts of files for the backbone of a model."""
    details = getattr(model, "info", None)
    entry = BACKBONES.get(details.backbone) if details else None
    translate = getattr(import_module(entry.module), "translate", None) if entry else None
    return translate or (lambda stored, model: stored)


def submodel_layers(model) -> dict[str, list[str]]:
    """Return the models that stand as a layer in a model, with their layers that have weights."""
    return {
        layer.name: [part.name for part in leaf_layers(layer) if part.weights]
        for layer in model.layers
        if hasattr(layer, "layers")
    }


def leaf_layers(model):
    """Yield the layers of a model and of the models inside it, in order."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaf_layers(layer)
        else:
            yield layer


def pair(model, stored: StoredWeights) -> tuple[WeightsReport, list[tuple]]:
    """Look for stored weights by the names of layers and weights, and compare shapes.

    Returns:
        A report of what will match, and what `assign` takes.
    """
    report, matches = WeightsReport(), []
    unused = dict(stored)
    for layer in leaf_layers(model):
        _pair_layer(layer, unused.pop(layer.name, []), report, matches)
    for layer_name, entries in unused.items():
        report.unexpected.extend(
            f"{layer_name}/{weight or i}" for i, (weight, _) in enumerate(entries)
        )
    return report, matches


def _pair_layer(layer, entries, report, matches):
    """Pair the weights of one layer; adds to the lists of the report, and to the matches."""
    by_name = {weight or _name_at(layer, i): data for i, (weight, data) in enumerate(entries)}
    if len(by_name) == len(layer.weights) == 1:  # it needs no name, and may have none of sense
        by_name = {layer.weights[0].name: next(iter(by_name.values()))}
    for variable in layer.weights:
        name, data = f"{layer.name}/{variable.name}", by_name.pop(variable.name, None)
        if data is None:
            report.missing.append(name)
        elif tuple(data.shape) != tuple(variable.shape):
            report.mismatched.append(name)
        else:
            report.matched.append(name)
            matches.append((variable, data, name))
    report.unexpected.extend(f"{layer.name}/{name}" for name in by_name)


def assign(matches) -> None:
    """Copy the stored weights that `pair` found, from a file that is still open."""
    for variable, data, name in matches:
        variable.assign(_values(data, name))


def _name_at(layer, i) -> str:
    return layer.weights[i].name if i < len(layer.weights) else str(i)


def _values(data, name) -> np.ndarray:
    try:
        values = data[()]
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{data.file.filename}: cannot read {name}: {error}") from error
    if values.dtype.kind != "f":
        raise ValueError(f"{data.file.filename}: {name}: expected floats, got {values.dtype}")
    return values
