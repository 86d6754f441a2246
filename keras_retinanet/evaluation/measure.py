"""A model and a data set in, detections and numbers out."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from keras_retinanet import drawing
from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import Detector, filter_for
from keras_retinanet.evaluation import class_pairs, metrics
from keras_retinanet.evaluation.class_pairs import (
    Model,
    check_classes,
    class_labels,
    class_names,
    warn_of_other_names,
)
from keras_retinanet.evaluation.sharing import of_all_workers, own_images
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.prefetch import prefetch
from keras_retinanet.system.types import StrPath

__all__ = [
    "Detections",
    "Detector",
    "check_classes",
    "detect_dataset",
    "evaluate",
    "evaluate_coco",
    "warn_of_other_names",
]

Progress = Callable[[int], None]
Loaded = TypeVar("Loaded")

# Detections per image that count, where nobody says otherwise: that of COCO, and of
# keras-retinanet 1.0.0.
DEFAULT_LIMIT = 100
# How many times as many detections a model keeps if it knows classes that do not count: these take
# places among its best ones.
_MORE_DETECTIONS = 10


def evaluate(
    generator: Generator,
    model: Model,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.05,
    max_detections: int = 100,
    save_path: StrPath | None = None,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> tuple[dict[int, tuple[float, int]], float]:
    """Measure the average precision of each class, as in the Pascal VOC challenge.

    Args:
        generator: the data set.
        model: training or inference model, or a `Detector`.
        iou_threshold: minimum IoU of a true positive.
        score_threshold: detections with scores up to this are left out.
        max_detections: maximum number of detections per image, of all classes together.
        save_path: folder for pictures with ground truth and detections, `0.png`, `1.png`, ...;
            None for none.
        batch_size: maximum number of images in a batch; None for that of the data set.
        progress: called with the number of images just done.

    Returns:
        label -> (average precision, number of ground truth boxes), and seconds per image.
    """
    warn_if_crowded(generator, max_detections)
    detections, seconds = detect_dataset(
        generator,
        as_detector(model, generator, **filter_for(score_threshold, max_detections)),
        score_threshold,
        max_detections,
        _batch_size(generator, batch_size),
        progress,
    )
    if save_path is not None:
        save_pictures(generator, detections, save_path, score_threshold)
    return pascal_numbers(generator, detections, iou_threshold), seconds


def evaluate_coco(
    generator: Generator,
    model: Model,
    threshold: float = 0.05,
    *,
    batch_size: int | None = None,
    max_detections: int = 100,
    progress: Progress | None = None,
    verbose: int = 1,
) -> np.ndarray:
    """Measure and print the twelve COCO numbers; no files are written.

    Args:
        generator: any data set, not just a COCO one; only COCO ones have crowds.
        model: training or inference model, or a `Detector`.
        threshold: detections with scores up to this are left out.
        batch_size: maximum number of images in a batch; None for that of the data set.
        max_detections: maximum number of detections of a class in an image; at least 100.
        progress: called with the number of images just done.
        verbose: 1 to print the table, 0 to print nothing.

    Returns:
        (12,) in the order of `metrics.COCO_KEYS`; zeros if there are no detections.
    """
    warn_if_crowded(generator, max(DEFAULT_LIMIT, max_detections))
    detections, _ = detect_dataset(
        generator,
        as_detector(model, generator, **filter_for(threshold, max_detections)),
        threshold,
        batch_size=_batch_size(generator, batch_size),
        progress=progress,
    )
    summary = coco_numbers(generator, detections, max_detections)
    if verbose:
        print(metrics.format_coco(summary, max_detections))
    return np.array(list(summary.values()))


def _batch_size(generator: Generator, batch_size: int | None) -> int:
    if batch_size:
        return batch_size
    # keras-retinanet 1.0.0 did not use the batch size of a data set, so an old one may have none.
    return getattr(generator, "batch_size", 1)


def pascal_numbers(
    generator: Generator, detections: Sequence[Detections], iou_threshold: float = 0.5
) -> dict[int, tuple[float, int]]:
    """Return label -> (average precision, number of boxes) from the detections of each image."""
    truth = [generator.load_annotations(index) for index in range(generator.size())]
    labels = class_names(generator)
    return metrics.pascal_average_precisions(truth, detections, labels, iou_threshold)


def coco_numbers(
    generator: Generator, detections: Sequence[Detections], max_detections: int = 100
) -> dict[str, float]:
    """Return `metrics.COCO_KEYS` -> number, the first part of `coco_evaluation`."""
    return coco_evaluation(generator, detections, max_detections)[0]


def coco_evaluation(
    generator: Generator, detections: Sequence[Detections], max_detections: int = 100
) -> tuple[dict[str, float], dict[int, float]]:
    """Return `metrics.COCO_KEYS` -> number, and label -> AP, from the detections of each image.

    A data set in COCO form is measured with its own annotations, crowds included. A class without
    ground truth has no AP.

    Args:
        generator: the data set.
        detections: the detections of each image.
        max_detections: maximum number of detections of a class in an image; at least 100.
    """
    names = class_names(generator)
    if hasattr(generator, "coco"):
        truth, ids = _with_numbers(generator.coco.dataset, list(generator.image_ids))
        categories = {label: generator.label_to_coco_label(label) for label in names}
    else:
        ids = list(range(generator.size()))
        annotations = [generator.load_annotations(index) for index in ids]
        truth = metrics.coco_ground_truth(annotations, None, names)
        categories = {label: label for label in names}
    results = metrics.coco_results(ids, detections, categories)
    summary, by_category = metrics.coco_evaluation(truth, results, ids, max_detections)
    precisions = {
        label: by_category[number] for label, number in categories.items() if number in by_category
    }
    return summary, precisions


def _with_numbers(truth: dict[str, Any], image_ids: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return a COCO dictionary and image ids with numbers for ids that are text.

    The evaluator takes only numbers.
    """
    if not any(isinstance(image["id"], str) for image in truth["images"]):
        return truth, image_ids
    numbers = {image["id"]: number for number, image in enumerate(truth["images"], 1)}
    renamed = {
        "images": [{**image, "id": numbers[image["id"]]} for image in truth["images"]],
        "annotations": [
            {**entry, "image_id": numbers[entry["image_id"]]} for entry in truth["annotations"]
        ],
    }
    return {**truth, **renamed}, [numbers[ident] for ident in image_ids]


def save_pictures(
    generator: Generator, detections: Sequence[Detections], folder: StrPath, score_threshold: float
) -> None:
    """Write each image with ground truth in green and detections in the colours of their labels.

    The files are `0.png`, `1.png`, ... An image that cannot be read is left out without a message:
    `detect_dataset` has already named it.

    Raises:
        OSError: if a picture cannot be written.
    """
    names = generator.label_to_name
    for index, found in enumerate(detections):
        try:
            image = generator.load_image(index).copy()
        except (OSError, ValueError):
            continue
        drawing.draw_annotations(image, generator.load_annotations(index), label_to_name=names)
        drawing.draw_detections(
            image,
            found.boxes,
            found.scores,
            found.labels,
            label_to_name=names,
            score_threshold=score_threshold,
        )
        drawing.write_picture(os.path.join(folder, f"{index}.png"), image)


def detect_dataset(
    generator: Generator,
    model: Model,
    score_threshold: float = 0.05,
    max_detections: int | None = None,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> tuple[list[Detections], float]:
    """Run a model on all images of a data set, resized and normalised as the data set does it.

    The labels are the data set's: where it has other classes than the model, or others by number,
    classes are paired by name, with a warning that says how (see `class_pairs.pair`). Detections of
    other classes are left out before the best ones are chosen.

    Where several workers train together, in the scope of their strategy, each has to call this. It
    runs the model on its share of the images, and returns the detections of all.

    Args:
        generator: the data set. An image that it cannot read raises an error; if the data set is
            not `strict`, there is a warning instead and the image has no detections.
        model: training or inference model, or a `Detector`.
        score_threshold: scores must be above this.
        max_detections: maximum number of detections per image; None for all that the model gives.
        batch_size: maximum number of images in a batch; it changes speed and memory, not results.
        progress: called with the number of images just done.

    Returns:
        The detections of each image, and the seconds that the network took per image.

    Raises:
        ValueError: if the classes of model and data set cannot be paired, or for a bad image.
        OSError: for an image that cannot be opened.
    """
    labels = class_labels(model, generator)
    class_pairs.warn_of_pairs(model, generator, labels)
    detector = as_detector(model, generator)
    known = class_names(generator)
    names = [known.get(label) for label in range(generator.num_classes())]
    found: dict[int, Detections] = {}
    own, total, short = own_images(generator.size()), 0.0, 0
    for indices, results, seconds in _detected(generator, detector, own, batch_size):
        for index, result in zip(indices, results, strict=True):
            above = result.above(score_threshold)
            paired = class_pairs.relabel(above, labels, names)
            found[index] = paired.best(max_detections)
            wanted = DEFAULT_LIMIT if max_detections is None else max_detections
            short += paired.capped and len(paired) < min(len(above), wanted)
        total += seconds
        if progress is not None:
            progress(len(indices))
    if short:
        warnings.warn(
            f"in {short} images the model found as many objects as it can return, some of classes "
            "that do not count, so others may be missing: a model converted with a higher "
            "max_detections returns more",
            stacklevel=2,
        )
    return of_all_workers(found, generator.size()), total / max(1, len(own))


def detection_limit(generator: Generator, given: int | None = None) -> int:
    """Return the maximum number of detections per image with which to measure on a data set.

    Args:
        generator: the data set.
        given: the number asked for; None for 100, or the number of objects in the image with the
            most objects if that is higher, since it could not be right with fewer detections.
    """
    return max(DEFAULT_LIMIT, _most_objects(generator)) if given is None else given


def warn_if_crowded(generator: Generator, max_detections: int) -> None:
    """Warn if an image of a data set has more objects than detections that count."""
    most = _most_objects(generator)
    if most > max_detections:
        warnings.warn(
            f"an image has {most} objects, but at most {max_detections} detections per image "
            "count: its objects cannot all be found (max_detections)",
            stacklevel=3,
        )


def warn_if_empty(generator: Generator) -> None:
    """Warn if a data set has no box, so that there is nothing to measure by."""
    if not generator.has_boxes():
        warnings.warn(
            f"the data set to evaluate on has no box: {generator.why_no_boxes()}", stacklevel=3
        )


def _most_objects(generator: Generator) -> int:
    """Return the maximum number of annotated objects in an image."""
    indices = range(generator.size())
    return max((len(generator.load_annotations(index)["labels"]) for index in indices), default=0)


def as_detector(model: Model, generator: Generator, **convert_options: Any) -> Detector:
    """Return a detector that prepares images as a data set does; a `Detector` is returned as it is.

    Args:
        model: training or inference model, or a `Detector`.
        generator: the data set.
        **convert_options: for `Detector`: those of `convert_model`, if the model has to be
            converted, and of tiles. If the model knows classes that the data set lacks, it keeps
            ten times as many detections.

    Raises:
        ValueError: if the classes of model and data set cannot be paired.
    """
    if isinstance(model, Detector):
        return model
    info: ModelInfo | None = getattr(model, "info", None)
    labels = class_labels(model, generator)
    if info is not None and not class_pairs.counts_all_names(labels, info.class_names):
        usual = info.filter_settings.max_detections
        count = _MORE_DETECTIONS * convert_options.get("max_detections", usual)
        convert_options = {**convert_options, "max_detections": count}
    return Detector(model, generator.resize_image, generator.preprocess_image, **convert_options)


def _detected(
    generator: Generator, detector: Detector, indices: Iterable[int], batch_size: int
) -> Iterator[tuple[list[int], list[Detections], float]]:
    """Yield what `Detector.detect_batches` does, for images of a data set; perhaps in tiles."""
    if detector.tile is None:
        samples = _loaded(generator, lambda i: detector.prepare(generator.load_image(i)), indices)
        yield from detector.detect_batches(samples, batch_size)
        return
    for index, image in _loaded(generator, generator.load_image, indices):
        start = time.perf_counter()
        found = detector.detect_large(image, batch_size)
        yield [index], [found], time.perf_counter() - start


def _loaded(
    generator: Generator, load: Callable[[int], Loaded], indices: Iterable[int]
) -> Iterator[tuple[int, Loaded]]:
    """Yield the index and what was loaded of readable images; a thread prefetches them."""
    for index, result in prefetch(load, indices, depth=4):
        try:
            yield index, result()
        except (OSError, ValueError) as error:
            if getattr(generator, "strict", True):
                raise
            warnings.warn(f"an image counts as without detections: {error}", stacklevel=2)
