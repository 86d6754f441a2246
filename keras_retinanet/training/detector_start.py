"""Start a new model from a trained detector: all of it is kept but what its classes need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from keras_retinanet import models
from keras_retinanet.images import IN_NETWORK
from keras_retinanet.models.device_normalisation import normalise_on_device
from keras_retinanet.models.new_classes import LAST_LAYER, with_classes
from keras_retinanet.models.retinanet import extract_training_model
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.messages import shorten
from keras_retinanet.training.plan import TrainingPlan

# Classes that a line names at most.
_MAX_NAMED = 10

Log = Callable[[str], None]


def load_detector(plan: TrainingPlan, log: Log) -> models.RetinaNet | None:
    """Return the published detector to start from; None if the plan does not name one.

    Raises:
        OSError: if there is no such file.
        ValueError: if it cannot be fetched, is damaged, or is another network.
    """
    if not plan.starts_from_detector():
        return None
    assert plan.weights is not None
    log("Loading model, this may take a second...")
    model = models.load_model(plan.weights)
    return model if models.is_training_model(model) else extract_training_model(model)


def adapt_detector(
    plan: TrainingPlan, start: models.RetinaNet, training: Generator, log: Log
) -> models.RetinaNet:
    """Return the detector of `weights` with the classes of a data set; say what is kept."""
    names = training.class_names()
    model, kept = with_classes(start, names)
    assert model.info is not None
    everything = (
        f"Starting from {plan.weights} ({model.info.backbone}), with its box coder, anchors, "
        "resizing and padding"
    )
    log(everything + _describe_classes([name for name in names if name], kept, model is start))
    if plan.normalise_on_device and model.info.normalisation != IN_NETWORK:
        model = normalise_on_device(model)
    return model


def match_classes(
    model: models.RetinaNet, report: models.WeightsReport, training: Generator, log: Log
) -> models.RetinaNet:
    """Return a model with the classes of a data set, once it has the weights of a snapshot.

    Where a class has the name of one of the snapshot's, its part of the last classification layer
    is kept; say so if they differ.

    Args:
        model: a training model with the classes of the snapshot.
        report: what was read into it.
        training: the data set.
        log: gets the line.
    """
    assert model.info is not None
    if f"{LAST_LAYER}/kernel" not in report.matched:  # with other anchors, it has another shape
        models.set_info(model, replace(model.info, class_names=None))
    names = training.class_names()
    changed, kept = with_classes(model, names)
    if changed is not model:
        text = _describe_classes([name for name in names if name], kept, False)
        log(f"Starting with other classes{text}")
    return changed


def _describe_classes(names: Sequence[str], kept: Sequence[str], all_kept: bool) -> str:
    """Return what the last classification layer has from the detector, as the end of a line."""
    if all_kept:
        return f", and its {len(names)} classes"
    new = [name for name in names if name not in set(kept)]
    texts = []
    if kept:
        texts.append(f"kept for {_listed(kept)}")
    if new:
        texts.append(f"new for {_listed(new)}")
    return f"; the last classification layer is {', '.join(texts)}"


def _listed(names: Sequence[str]) -> str:
    """Return the first names as text, and how many more there are."""
    more = len(names) - _MAX_NAMED
    text = ", ".join(shorten(name, 40) for name in names[:_MAX_NAMED])
    return f"{text} and {more} more" if more > 0 else text
