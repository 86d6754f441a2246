"""Which output of a model is which class of a data set.

Usually they have the same classes in the same order, and an output's number is the label. A model
trained elsewhere may have them in another order, have others, or outputs without a name: then names
decide.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import keras
import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import Detector, InferenceModel
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.messages import shorten
from keras_retinanet.zoo.class_names import canonical

Model: TypeAlias = keras.Model | InferenceModel | Detector
Names = Sequence[str | None]


def pair(
    model_names: Names | None,
    num_outputs: int,
    dataset_names: Names,
    *,
    labels_are_given: bool = True,
) -> np.ndarray | None:
    """Return the label in a data set of each output of a model.

    They are paired by number if the model's names are not known, or are the data set's in the same
    order. So they are if there are as many, and no name stands at different numbers in both: then
    classes were likely renamed. Otherwise they are paired by name. Names are compared as
    `canonical` returns them. If several match, an equal spelling is preferred, then the lowest
    number; the other ones have no partner.

    Args:
        model_names: the name of each output, None for one without a name. None if no names are
            known.
        num_outputs: number of outputs.
        dataset_names: the name of each label of the data set, None for a label not in use.
        labels_are_given: whether somebody numbered the data set's classes. Otherwise, as where they
            were found in the annotations, they are paired by number only with unknown names.

    Returns:
        (num_outputs,) labels, -1 for an output without a partner; None if each output's number is
        the label.

    Raises:
        ValueError: if the numbers of classes differ and the model's names are not known, or if
            classes to pair by name have none in common.
    """
    same_number = num_outputs == len(dataset_names)
    if model_names is None:
        if not same_number:
            raise ValueError(
                f"{_both(model_names, num_outputs, dataset_names)}: the model's names are needed "
                "to pair its classes with others"
            )
        return None
    if have_equal_names(model_names, dataset_names):
        in_use = np.array([name is not None for name in model_names], bool)
        return None if in_use.all() else np.where(in_use, np.arange(num_outputs), -1)
    if same_number and labels_are_given and not _moved(model_names, dataset_names):
        return None
    labels = _pair_names(model_names, dataset_names)
    if (labels < 0).all():
        raise ValueError(
            f"{_both(model_names, num_outputs, dataset_names)}: no class is in both, so there is "
            "nothing to measure"
        )
    return labels


def have_equal_names(model_names: Names, dataset_names: Names) -> bool:
    """Return whether a model and a data set have the same classes in the same order."""
    return _keys(model_names) == _keys(dataset_names)


def counts_all_names(labels: np.ndarray | None, model_names: Names | None) -> bool:
    """Return whether every output that has a name has a partner, as `pair` returned them."""
    if labels is None or model_names is None:
        return True
    return all(name is None or label >= 0 for name, label in zip(model_names, labels, strict=True))


def relabel(found: Detections, labels: np.ndarray | None, dataset_names: Names) -> Detections:
    """Return detections with labels and names of a data set, without those of other classes.

    Args:
        found: detections whose labels are outputs of a model.
        labels: what `pair` returned.
        dataset_names: as for `pair`.
    """
    found = replace(found, class_names=dataset_names)
    if labels is None:
        return found
    is_output = found.labels < len(labels)
    paired = np.where(is_output, labels[np.where(is_output, found.labels, 0)], -1)
    kept = paired >= 0
    return replace(found, boxes=found.boxes[kept], scores=found.scores[kept], labels=paired[kept])


def describe(
    labels: np.ndarray | None, model_names: Names | None, dataset_names: Names
) -> str | None:
    """Return in words how classes were paired by name, and which of them do not count.

    Args:
        labels: what `pair` returned.
        model_names: as for `pair`.
        dataset_names: as for `pair`.

    Returns:
        The text on one line; None if they were paired by number.
    """
    if labels is None or model_names is None or have_equal_names(model_names, dataset_names):
        return None
    partners = {*labels.tolist()}
    known, missed = (
        [
            name
            for label, name in enumerate(dataset_names)
            if name is not None and (label in partners) is has_partner
        ]
        for has_partner in (True, False)
    )
    share = f"{len(known)} of the data set's {len(known) + len(missed)}"
    texts = [
        f"classes are paired by name: {share if missed else f'all {len(known)} of the data set'} "
        f"({list_names(known)})"
    ]
    if missed:
        verb, whose = ("is", "its") if len(missed) == 1 else ("are", "their")
        texts.append(
            f"{list_names(missed, 20)} {verb} not known to the model: {whose} boxes count as "
            "missed (AP 0)"
        )
    alone = [name for name, label in zip(model_names, labels, strict=True) if label < 0]
    nameless = alone.count(None)
    if others := len(alone) - nameless:
        what = "class of the model does" if others == 1 else "classes of the model do"
        texts.append(f"{others} other {what} not count")
    if nameless:
        what = "output without a name does" if nameless == 1 else "outputs without a name do"
        texts.append(f"{nameless} {what} not count")
    return "; ".join(texts)


def class_labels(model: Model, generator: Generator) -> np.ndarray | None:
    """Return the label in a data set of each output of a model, -1 for none; see `pair`.

    Returns:
        (outputs,) labels; None if each output's number is the label, as for a model without info.

    Raises:
        ValueError: if the classes of model and data set cannot be paired.
    """
    info: ModelInfo | None = getattr(model, "info", None)
    if info is None:
        return None
    return pair(
        info.class_names,
        info.num_classes,
        _label_names(generator),
        labels_are_given=not getattr(generator, "found_classes", False),
    )


def check_classes(model: Model, generator: Generator) -> None:
    """Raise ValueError if the classes of a model and a data set cannot be paired."""
    class_labels(model, generator)


def warn_of_other_names(model: Model, generator: Generator) -> None:
    """Warn if classes are paired by number, but a model is known to have other names for them.

    Where they are paired by name, `detect_dataset` says so.
    """
    info: ModelInfo | None = getattr(model, "info", None)
    if info is None or info.class_names is None or class_labels(model, generator) is not None:
        return
    names = _label_names(generator)
    if not have_equal_names(info.class_names, names):
        warnings.warn(
            f"the model's classes are {shorten(list(info.class_names))}, the data set's "
            f"{shorten(names)}: they are paired by number",
            stacklevel=2,
        )


def warn_of_pairs(model: Model, generator: Generator, labels: np.ndarray | None) -> None:
    """Warn if classes are paired by name, and say how."""
    if labels is not None and (info := getattr(model, "info", None)) is not None:
        text = describe(labels, info.class_names, _label_names(generator))
        if text is not None:
            warnings.warn(text, stacklevel=3)


def _label_names(generator: Generator) -> list[str | None]:
    """Return the name of each label from 0, None for one not in use."""
    names = class_names(generator)
    return [names.get(label) for label in range(generator.num_classes())]


def class_names(generator: Generator) -> dict[int, str]:
    """Return label -> name of the classes of a data set; its labels may have gaps."""
    labels = filter(generator.has_label, range(generator.num_classes()))
    return {label: generator.label_to_name(label) for label in labels}


def list_names(names: Iterable[str | None], limit: int = 5) -> str:
    """Return names as text on one line: "cat, dog, and 7 more"; those that are None are left out.

    Args:
        names: the names.
        limit: maximum number of names to write.
    """
    texts = [shorten(name, 40) for name in names if name is not None]
    more = len(texts) - limit
    return ", ".join(texts[:limit]) + (f", and {more} more" if more > 0 else "")


def _both(model_names: Names | None, num_outputs: int, dataset_names: Names) -> str:
    """Return the classes of a model and of a data set in words, for errors."""
    known, number = "names unknown", num_outputs
    if model_names is not None:
        known, number = list_names(model_names), sum(name is not None for name in model_names)
    more = "" if number == num_outputs else f" in {num_outputs} outputs"
    return (
        f"the model has {number} classes{more} ({known}), the data set has {len(dataset_names)} "
        f"({list_names(dataset_names)})"
    )


def _keys(names: Names) -> list[str | None]:
    """Return names as they are compared."""
    return [None if name is None else canonical(name) for name in names]


def _moved(model_names: Names, dataset_names: Names) -> bool:
    """Return whether a name of both does not stand at the same number in both."""
    keys = _keys(dataset_names)
    known = {key for key in keys if key is not None}
    return any(
        ours in known and ours != theirs
        for ours, theirs in zip(_keys(model_names), keys, strict=True)
    )


def _pair_names(model_names: Names, dataset_names: Names) -> np.ndarray:
    """Return the label of each output with that name, -1 for none."""
    labels = np.full(len(model_names), -1)
    free = {*range(len(dataset_names))}
    exact = list(model_names), list(dataset_names)
    for outputs, classes in (exact, (_keys(model_names), _keys(dataset_names))):
        places: dict[str, list[int]] = {}  # name -> labels still without a partner
        for label in sorted(free):
            if (name := classes[label]) is not None:
                places.setdefault(name, []).append(label)
        for output in np.flatnonzero(labels < 0).tolist():
            name = outputs[output]
            if name is not None and places.get(name):
                labels[output] = places[name].pop(0)
                free.remove(int(labels[output]))
    return labels
