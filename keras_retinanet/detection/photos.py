"""A model file and image files in, the detections of each image out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import (
    Detector,
    Prepared,
    equal_sizes,
    filter_for,
    resizing,
    with_sides,
)
from keras_retinanet.detection.formats import exported_format
from keras_retinanet.detection.runners import open_exported
from keras_retinanet.images import read_image_bgr
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.system.limits import MAX_PIXELS
from keras_retinanet.system.types import StrPath


@dataclass(frozen=True)
class Photo:
    """An image file and what a model found in it.

    Attributes:
        path: the file.
        image: BGR uint8 (h, w, 3).
        detections: all that the model gives, in pixels of the image, best first.
    """

    path: str
    image: np.ndarray
    detections: Detections


def load_detector(
    path: StrPath,
    min_side: int | None = None,
    max_side: int | None = None,
    score_threshold: float = 0.05,
    max_detections: int | None = None,
) -> Detector:
    """Return a detector of the model in a file; a training snapshot is converted.

    Args:
        path: an exported model, see `detection.runners`; or what `models.load_model` takes: a
            training snapshot or a converted model, .keras or .h5; a checkpoint of another library,
            such as .pth; or the name of a published model, such as "coco".
        min_side: pixels of the shorter side of images; None for that of the training.
        max_side: maximum pixels of the longer side; None for that of the training.
        score_threshold: scores above this are kept when a snapshot is converted. A converted model
            has its own threshold, and a warning tells if that is higher.
        max_detections: maximum number of detections per image that the caller wants; None for those
            that the model keeps, 300 for a snapshot of our own. A converted model has its own
            maximum, and a warning tells if that is lower.

    Raises:
        OSError: if there is no such file.
        ValueError: if it holds no model that `models.load_model` reads.
    """
    model: Any
    if exported_format(path) is not None:
        model, is_converted = open_exported(path), True
    else:
        from keras_retinanet import models

        model = models.load_model(path)
        is_converted = not models.is_training_model(model)
    info: ModelInfo | None = getattr(model, "info", None)
    resize = resizing(with_sides(info, min_side, max_side)) if info is not None else None
    if info is not None and is_converted:
        _warn_of_limits(path, info, score_threshold, max_detections or 0)
    return Detector(model, resize, **filter_for(score_threshold, max_detections or 0, info))


def _warn_of_limits(
    path: StrPath, info: ModelInfo, score_threshold: float, max_detections: int
) -> None:
    """Warn if a converted model keeps fewer detections than the caller asks for."""
    kept = info.filter_settings
    if kept.score_threshold > score_threshold:
        warnings.warn(
            f"{path}: converted with a score threshold of {kept.score_threshold:g}, so detections "
            f"between {score_threshold:g} and that are missing; convert its training snapshot with "
            f"--score-threshold {score_threshold:g}, or detect with the snapshot",
            stacklevel=3,
        )
    if kept.max_detections < max_detections:
        warnings.warn(
            f"{path}: converted to keep at most {kept.max_detections} detections per image, fewer "
            f"than the {max_detections} asked for; convert its training snapshot with "
            f"--max-detections {max_detections}, or detect with the snapshot",
            stacklevel=3,
        )


def detect_photos(
    detector: Detector,
    paths: Sequence[str],
    batch_size: int = 1,
    on_error: Callable[[str, Exception], None] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Photo]:
    """Run a detector on image files.

    Args:
        detector: the detector.
        paths: the files.
        batch_size: maximum number of images in a batch; it changes speed and memory, not results.
        on_error: called with the path and the error of a file that cannot be read, or on which the
            network fails; the other files are still processed. None raises the error.
        max_pixels: maximum number of pixels that an image may declare.

    Yields:
        Each readable photo, in the order in which the batches are done.

    Raises:
        OSError: for a file that cannot be opened, without `on_error`.
        ValueError: for a file that is not an image, without `on_error`.
    """
    waiting: dict[int, np.ndarray] = {}  # images whose batch has not run yet

    def prepared() -> Iterator[tuple[int, Prepared]]:
        for index, path in enumerate(paths):
            try:
                image = read_image_bgr(path, max_pixels=max_pixels)
                sample = detector.prepare(image)
            # Whatever is wrong with one photo must not cost the others.
            except Exception as error:
                if on_error is None:
                    raise
                on_error(path, error)
            else:
                waiting[index] = image
                yield index, sample

    for batch in equal_sizes(prepared(), batch_size):
        groups = [batch]
        while groups:
            group = groups.pop(0)
            try:
                results, _ = detector.detect_batch([sample for _, sample in group])
            except Exception as error:
                if on_error is None:
                    raise
                if len(group) > 1:  # one image may fit into the memory where a batch does not
                    groups = [[one] for one in group]
                    continue
                ((index, _),) = group
                del waiting[index]
                on_error(paths[index], error)
            else:
                for (index, _), detections in zip(group, results, strict=True):
                    yield Photo(paths[index], waiting.pop(index), detections)
