"""Precision, recall and F1 of a class over all thresholds of the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.evaluation.errors import ImageErrors, Kind, Truth, interpolated_precision


@dataclass(frozen=True)
class ClassCurve:
    """What detections of a class are worth at each threshold.

    Attributes:
        scores: (n,) score of each detection, best first.
        true: (n,) whether each is true, at an IoU of 0.5.
        objects: number of objects.
    """

    scores: np.ndarray
    true: np.ndarray
    objects: int

    @property
    def precision(self) -> np.ndarray:
        """(n,) the share of true detections among the first 1, 2, ... n."""
        return np.cumsum(self.true) / np.arange(1, len(self.true) + 1)

    @property
    def recall(self) -> np.ndarray:
        """(n,) the share of the objects that the first 1, 2, ... n find; 0 without objects."""
        return np.cumsum(self.true) / max(1, self.objects)

    @property
    def f1(self) -> np.ndarray:
        """(n,) the harmonic mean of precision and recall, 2 TP / (detections + objects)."""
        detections = np.arange(1, len(self.true) + 1)
        return 2 * np.cumsum(self.true) / (detections + self.objects)

    @property
    def ap(self) -> float:
        """COCO's AP at an IoU of 0.5; -1 without objects."""
        return interpolated_precision(self.true, self.objects) if self.objects else -1.0

    def best_threshold(self) -> float | None:
        """Return the threshold above which F1 is highest; None if no detection is true.

        It lies halfway between the last score that it keeps and the first that it leaves out.
        """
        if not self.true.any():
            return None
        # Equal scores are kept or left out together.
        ends = np.append(np.flatnonzero(np.diff(self.scores)), len(self.scores) - 1)
        last = ends[self.f1[ends].argmax()]
        below = self.scores[last + 1] if last + 1 < len(self.scores) else 0.0
        return float(self.scores[last] + below) / 2

    def at(self, threshold: float) -> tuple[float, float, float]:
        """Return precision, recall and F1 of the detections with scores above a threshold.

        Without such detections precision is 1, since none is false.
        """
        count = int(np.count_nonzero(self.scores > threshold))
        if count == 0:
            return 1.0, 0.0, 0.0
        values = (self.precision, self.recall, self.f1)
        precision, recall, f1 = (float(value[count - 1]) for value in values)
        return precision, recall, f1


def class_curves(
    detections: Sequence[Detections],
    truth: Sequence[Truth],
    errors: Sequence[ImageErrors],
    num_classes: int,
) -> list[ClassCurve]:
    """Return the curve of each class.

    Args:
        detections: those of each image, best score first.
        truth: the objects of each image.
        errors: what `errors.find_errors` returned for each image.
        num_classes: number of classes.
    """
    scores, labels = np.zeros(0), np.zeros(0, int)
    true, objects = np.zeros(0, bool), np.zeros(0, int)
    if detections:
        counted = np.concatenate([entry.kinds for entry in errors]) != Kind.IGNORED
        scores = np.concatenate([entry.scores for entry in detections])[counted]
        labels = np.concatenate([entry.labels for entry in detections])[counted]
        true = np.concatenate([entry.kinds == Kind.TRUE for entry in errors])[counted]
        objects = np.concatenate([entry.labels[~entry.crowds] for entry in truth])
    order = np.argsort(-scores, kind="stable")
    scores, labels, true = scores[order], labels[order], true[order]
    return [
        ClassCurve(
            scores[labels == label], true[labels == label], int(np.count_nonzero(objects == label))
        )
        for label in range(num_classes)
    ]


@dataclass(frozen=True)
class Calibration:
    """Whether scores are what they say: the share of true detections among those of a score.

    Attributes:
        edges: (bins + 1,) borders of the bins of scores, from 0 to 1.
        counts: (bins,) number of detections.
        scores: (bins,) their mean score; 0 without detections.
        precision: (bins,) the share of true ones; 0 without detections.
        error: the mean difference of score and precision, weighted by the counts (the expected
            calibration error of Guo et al., 2017); 0 without detections.
    """

    edges: np.ndarray
    counts: np.ndarray
    scores: np.ndarray
    precision: np.ndarray
    error: float


def calibration(curves: Sequence[ClassCurve], bins: int = 10) -> Calibration:
    """Return the calibration of the detections of all classes, in bins of equal width."""
    scores = np.concatenate([np.zeros(0), *(curve.scores for curve in curves)])
    true = np.concatenate([np.zeros(0, bool), *(curve.true for curve in curves)])
    edges = np.linspace(0, 1, bins + 1)
    # A score on a border belongs to the bin above it, 1 to the last.
    place = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    at_least_one = np.maximum(counts, 1)
    means = np.bincount(place, scores, minlength=bins) / at_least_one
    precision = np.bincount(place, true, minlength=bins) / at_least_one
    error = float(counts @ np.abs(means - precision)) / max(1, len(scores))
    return Calibration(edges, counts, means, precision, error)
