"""A model and a data set in, detections and numbers out."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keras_retinanet import drawing
from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import Detector, Prepared, select
from keras_retinanet.evaluation import metrics
from keras_retinanet.system.prefetch import prefetch

__all__ = ["Detections", "Detector", "detect_dataset", "evaluate", "evaluate_coco"]


def evaluate(
    generator: object,
    model: object,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.05,
    max_detections: int = 100,
    save_path: str | None = None,
    *,
    batch_size: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[dict[int, tuple[float, int]], float]:
    """Measure the average precision of each class, as the Pascal VOC challenge does.

    Args:
        generator: the data set, a `Generator`.
        model: training or inference model, or a `Detector`.
        iou_threshold: least overlap of a true positive.
        score_threshold: detections up to this score are left out.
        max_detections: most detections of an image, of all classes together.
        save_path: folder for pictures with ground truth and detections, `0.png`, `1.png`, ...
        batch_size: most images in a batch; None for the data set's.
        progress: called with the number of images just done.

    Returns:
        label -> (average precision, number of ground truth boxes), and seconds for an image.
    """
    batch_size = batch_size or getattr(generator, "batch_size", 1)
    detections, seconds = detect_dataset(
        generator, model, score_threshold, max_detections, batch_size, progress
    )
    if save_path is not None:
        save_pictures(generator, detections, save_path, score_threshold)
    return pascal_numbers(generator, detections, iou_threshold), seconds


def evaluate_coco(
    generator: object,
    model: object,
    threshold: float = 0.05,
    *,
    batch_size: int | None = None,
    progress: Callable[[int], None] | None = None,
    verbose: int = 1,
) -> np.ndarray:
    """Measure and print the twelve COCO numbers; no files are written.

    Args:
        generator: any data set, not just a COCO one; crowds are known of COCO ones only.
        model: training or inference model, or a `Detector`.
        threshold: detections up to this score are left out.
        batch_size: most images in a batch; None for the data set's.
        progress: called with the number of images just done.
        verbose: 1 to print the table, as this function always did; 0 for silence.

    Returns:
        (12,) in the order of `metrics.COCO_KEYS`; zeros when there are no detections.
    """
    batch_size = batch_size or getattr(generator, "batch_size", 1)
    detections, _ = detect_dataset(
        generator, model, threshold, batch_size=batch_size, progress=progress
    )
    summary = coco_numbers(generator, detections)
    if verbose:
        print(metrics.format_coco(summary))
    return np.array(list(summary.values()))


def pascal_numbers(
    generator: object, detections: Sequence[Detections], iou_threshold: float = 0.5
) -> dict[int, tuple[float, int]]:
    """Return label -> (average precision, number of boxes) from the detections of each image."""
    truth = [generator.load_annotations(index) for index in range(generator.size())]
    labels = class_names(generator)
    return metrics.pascal_average_precisions(truth, detections, labels, iou_threshold)


def coco_numbers(generator: object, detections: Sequence[Detections]) -> dict[str, float]:
    """Return `metrics.COCO_KEYS` -> number from the detections of each image."""
    names = class_names(generator)
    if hasattr(generator, "coco"):
        truth, ids = generator.coco.dataset, list(generator.image_ids)
        categories = {label: generator.label_to_coco_label(label) for label in names}
    else:
        annotations = [generator.load_annotations(index) for index in range(generator.size())]
        truth, ids = metrics.coco_ground_truth(annotations, None, names), range(generator.size())
        categories = {label: label for label in names}
    return metrics.coco_summary(truth, metrics.coco_results(ids, detections, categories), ids)


def save_pictures(
    generator: object, detections: Sequence[Detections], folder: str, score_threshold: float
) -> None:
    """Write each image with ground truth in green and detections in their colours, as PNG.

    An image that cannot be read has none: `detect_dataset` has named it, or raised.

    Raises:
        OSError: if a picture cannot be written.
    """
    os.makedirs(folder, exist_ok=True)
    for index, found in enumerate(detections):
        path = os.path.join(folder, f"{index}.png")
        try:
            image = generator.load_image(index).copy()
        except (OSError, ValueError):
            continue
        names = generator.label_to_name
        drawing.draw_annotations(image, generator.load_annotations(index), label_to_name=names)
        drawing.draw_detections(
            image,
            found.boxes,
            found.scores,
            found.labels,
            label_to_name=names,
            score_threshold=score_threshold,
        )
        if not cv2.imwrite(path, image):
            raise OSError(f"{path}: cannot be written")


@contextlib.contextmanager
def progress_bar(
    title: str, total: int, transient: bool = False, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr; give a function that moves it on by a number of steps.

    Where stderr is no terminal, a plain line is written twice a minute and at the end.

    Args:
        title: what is going on.
        total: number of steps.
        transient: whether the bar vanishes at the end.
        shown: False for no bar at all.
    """
    console = Console(stderr=True)
    if not shown:
        yield lambda steps: None
    elif not console.is_terminal:
        yield _plain_progress(title, total, console, ends=not transient)
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=transient) as bar:
            task = bar.add_task(title, total=total)
            yield lambda steps: bar.advance(task, steps)


def _plain_progress(title: str, total: int, console: Console, ends: bool) -> Callable[[int], None]:
    done, written = 0, time.monotonic()

    def advance(steps: int) -> None:
        nonlocal done, written
        done += steps
        if time.monotonic() - written > 30 or (ends and done == total):
            written = time.monotonic()
            console.print(f"{title}: {done} of {total}")

    return advance


def detect_dataset(
    generator: object,
    model: object,
    score_threshold: float = 0.05,
    max_detections: int | None = None,
    batch_size: int = 1,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Detections], float]:
    """Run a model on all images of a data set, resized and normalised as the data set says.

    An image that cannot be read raises, or, if the data set is not `strict`, counts as one without
    detections, with a warning.

    Args:
        generator: a `Generator`.
        model: a `Detector`, or whatever one is made of.
        score_threshold: keep what scores above this.
        max_detections: keep at most this many an image; None for all the model gives.
        batch_size: most images in a batch; it changes speed and memory, not results.
        progress: called with the number of images just done.

    Returns:
        The detections of each image, and the seconds the network took for an image.

    Raises:
        ValueError: if model and data set differ in their number of classes, or for a bad image.
        OSError: for an image that cannot be opened.
    """
    check_classes(model, generator)
    detector = as_detector(model, generator)
    nothing = Detections(np.zeros((0, 4), "float32"), np.zeros(0, "float32"), np.zeros(0, int))
    found, total = [nothing] * generator.size(), 0.0
    for indices, results, seconds in detector.detect_batches(
        _samples(generator, detector), batch_size
    ):
        for index, result in zip(indices, results, strict=True):
            found[index] = select(result, score_threshold, max_detections)
        total += seconds
        if progress is not None:
            progress(len(indices))
    return found, total / max(1, generator.size())


def as_detector(model: object, generator: object, **convert_options: object) -> Detector:
    """Return a detector that prepares images as a data set does; a `Detector` stays as it is."""
    if isinstance(model, Detector):
        return model
    preparation = generator.resize_image, generator.preprocess_image
    return Detector(model, *preparation, **convert_options)


def check_classes(model: object, generator: object) -> None:
    """Raise ValueError if a model is known to have another number of classes than a data set."""
    details, count = getattr(model, "info", None), generator.num_classes()
    if details is not None and details.num_classes != count:
        raise ValueError(
            f"the model has {details.num_classes} classes ({_listed(details.class_names)}), "
            f"the data set has {count} ({_listed(class_names(generator).values())})"
        )


def _listed(names: Iterable[str | None] | None) -> str:
    names = [str(name) for name in names or ["names unknown"]]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def class_names(generator: object) -> dict[int, str]:
    """Return label -> name of the classes of a data set; its labels may have gaps."""
    labels = filter(generator.has_label, range(generator.num_classes()))
    return {label: generator.label_to_name(label) for label in labels}


def _samples(generator: object, detector: Detector) -> Iterator[tuple[int, Prepared]]:
    """Read images one ahead of their use, in another thread."""

    def load(index: int) -> Prepared:
        return detector.prepare(generator.load_image(index))

    for index, reading in prefetch(load, range(generator.size()), depth=4):
        try:
            yield index, reading()
        except (OSError, ValueError) as error:
            if getattr(generator, "strict", True):
                raise
            warnings.warn(f"an image counts as without detections: {error}", stacklevel=2)
