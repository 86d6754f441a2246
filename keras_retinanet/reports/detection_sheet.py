"""A sheet of images of a data set, each with its ground truth and with what a model found."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from keras_retinanet import drawing
from keras_retinanet.detection.detections import Detections
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.types import StrPath

_MIN_SIDE, _MAX_SIDE = 320, 800  # pixels of the longest side of an image on the sheet


def write_detection_sheet(
    generator: Generator,
    detections: Sequence[Detections],
    path: StrPath,
    count: int = 12,
    score_threshold: float = 0.5,
) -> None:
    """Write pairs of pictures, an image's ground truth and its detections, as one PNG.

    Images are scaled to 320 to 800 pixels. The cells of an image that cannot be read stay black.

    Args:
        generator: the data set.
        detections: the detections of each of its images.
        path: the PNG file.
        count: number of images, evenly spread over the data set.
        score_threshold: scores of detections on the sheet must be above this.

    Raises:
        OSError: if the file cannot be written.
    """
    chosen = np.unique(np.linspace(0, generator.size() - 1, count).astype(int)).tolist()
    panels = []
    for index in chosen:
        try:
            original = generator.load_image(index)
        except (OSError, ValueError):  # the evaluation has already named it
            panels += [np.zeros((_MIN_SIDE, _MIN_SIDE, 3), "uint8")] * 2
        else:
            panels += draw_pair(generator, index, original, detections[index], score_threshold)
    drawing.write_picture(path, drawing.contact_sheet(panels, columns=4))


def draw_pair(
    generator: Generator,
    index: int,
    original: np.ndarray,
    detections: Detections,
    score_threshold: float = 0.5,
    max_side: int = _MAX_SIDE,
) -> list[np.ndarray]:
    """Return two pictures of an image: with its ground truth, and with its detections.

    Args:
        generator: the data set.
        index: of the image in it.
        original: the image, BGR uint8.
        detections: those in the image.
        score_threshold: scores of detections in the picture must be above this.
        max_side: maximum pixels of the longer side of a picture, at least 320.
    """
    image = _scaled(original, max_side)
    scale = image.shape[1] / original.shape[1]
    annotations = generator.load_annotations(index)
    truth, found = image.copy(), image.copy()
    boxes = {**annotations, "bboxes": annotations["bboxes"] * scale}
    drawing.draw_annotations(truth, boxes, label_to_name=generator.label_to_name)
    drawing.draw_detections(
        found,
        detections.boxes * scale,
        detections.scores,
        detections.labels,
        label_to_name=generator.label_to_name,
        score_threshold=score_threshold,
    )
    return [truth, found]


def _scaled(image: np.ndarray, max_side: int) -> np.ndarray:
    """Return an image with a longest side of `_MIN_SIDE` to `max_side`, so that captions fit."""
    longest = max(image.shape[:2])
    factor = np.clip(longest, _MIN_SIDE, max_side) / longest
    size = [max(1, round(side * factor)) for side in (image.shape[1], image.shape[0])]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
