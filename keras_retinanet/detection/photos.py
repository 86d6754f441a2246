"""A model file and image files in, the detections of each image out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from keras_retinanet import models
from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import (
    Detector,
    Prepared,
    filter_for,
    resizing,
    with_sides,
)
from keras_retinanet.images import read_image_bgr
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
) -> Detector:
    """Return a detector of the model in a file; a training snapshot is converted.

    Args:
        path: training snapshot or converted model, .keras or .h5.
        min_side: pixels of the shorter side of images; None for that of the training.
        max_side: maximum pixels of the longer side; None for that of the training.
        score_threshold: scores above this are kept when a snapshot is converted. A converted model
            has its own threshold.

    Raises:
        OSError: if there is no such file.
        ValueError: if it holds no model of this package.
    """
    model = models.load_model(path)
    info = getattr(model, "info", None)
    resize = resizing(with_sides(info, min_side, max_side)) if info is not None else None
    return Detector(model, resize, **filter_for(score_threshold))


def detect_photos(
    detector: Detector,
    paths: Sequence[str],
    batch_size: int = 1,
    on_error: Callable[[str, Exception], None] | None = None,
) -> Iterator[Photo]:
    """Run a detector on image files.

    Args:
        detector: the detector.
        paths: the files.
        batch_size: maximum number of images in a batch; it changes speed and memory, not results.
        on_error: called with the path and the error of a file that cannot be read; the other files
            are still processed. None raises the error.

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
                image = read_image_bgr(path)
            except (OSError, ValueError) as error:
                if on_error is None:
                    raise
                on_error(path, error)
            else:
                waiting[index] = image
                yield index, detector.prepare(image)

    for indices, results, _ in detector.detect_batches(prepared(), batch_size):
        for index, detections in zip(indices, results, strict=True):
            yield Photo(paths[index], waiting.pop(index), detections)
