"""Detections and annotations as nested lists, as helpers of keras-retinanet 1.0.0 returned them.

Public programs import these helpers from `utils.eval`, under their old names with an underscore.
New code uses `detect_dataset`.
"""

from __future__ import annotations

import numpy as np

from keras_retinanet.evaluation.measure import Model, detect_dataset, save_pictures
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.types import StrPath


def get_detections(
    generator: Generator,
    model: Model,
    score_threshold: float = 0.05,
    max_detections: int = 100,
    save_path: StrPath | None = None,
) -> tuple[list[list[np.ndarray]], list[float]]:
    """Run a model on all images of a data set.

    Args:
        generator: the data set.
        model: training or inference model.
        score_threshold: scores must be above this.
        max_detections: maximum number of detections per image, of all classes together.
        save_path: folder for pictures with ground truth and detections; None for none.

    Returns:
        `all_detections[image][label]`, float64 (n, 5) of x1, y1, x2, y2, score, best first; and
        for each image the seconds that the network took, which is the mean of all images.
    """
    detections, seconds = detect_dataset(generator, model, score_threshold, max_detections)
    if save_path is not None:
        save_pictures(generator, detections, save_path, score_threshold)
    by_label = [
        [
            np.column_stack([found.boxes, found.scores]).astype("float64")[found.labels == label]
            for label in range(generator.num_classes())
        ]
        for found in detections
    ]
    return by_label, [seconds] * len(detections)


def get_annotations(generator: Generator) -> list[list[np.ndarray]]:
    """Return `all_annotations[image][label]` of a data set, (n, 4) of x1, y1, x2, y2."""
    return [
        [
            annotations["bboxes"][annotations["labels"] == label].copy()
            for label in range(generator.num_classes())
        ]
        for annotations in map(generator.load_annotations, range(generator.size()))
    ]
