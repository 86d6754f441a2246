"""Whether an exported network finds what the model finds that it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from keras_retinanet.detection.detections import Detections


@dataclass(frozen=True)
class Tolerance:
    """How far apart two detections of a label may be that count as the same.

    Attributes:
        score: greatest difference of scores.
        pixels: greatest difference of a coordinate.
        of_side: of the longer side of a box, for boxes where this is more than `pixels`.
        unmatched: share of the detections that may be found by one network only. Of two boxes that
            overlap by just the threshold, rounding decides whether one suppresses the other.
    """

    score: float
    pixels: float
    of_side: float
    unmatched: float


TOLERANCES: Mapping[str, Tolerance] = MappingProxyType(
    {
        "float32": Tolerance(1e-4, 0.05, 0.0, 0.01),
        "float16": Tolerance(0.02, 1.0, 0.02, 0.05),
        "bfloat16": Tolerance(0.1, 2.0, 0.1, 0.1),
        "int8": Tolerance(0.2, 3.0, 0.15, 0.2),
    }
)


@dataclass(frozen=True)
class Difference:
    """What two networks find differently.

    Attributes:
        compared: number of detections of both that are far enough above the score threshold.
        unmatched: how many of them have no counterpart within the tolerance.
        score: greatest difference of scores of counterparts.
        box: greatest difference of a coordinate, in pixels.
    """

    compared: int = 0
    unmatched: int = 0
    score: float = 0.0
    box: float = 0.0

    def is_within(self, tolerance: Tolerance) -> bool:
        """Return whether few enough detections have no counterpart."""
        return self.unmatched <= tolerance.unmatched * self.compared


def compare(
    expected: Sequence[Detections],
    found: Sequence[Detections],
    tolerance: Tolerance,
    score_threshold: float,
) -> Difference:
    """Return what two networks find differently on some images.

    A detection needs a counterpart only if its score is more than the tolerance above the
    threshold, or above the last of as many detections as a network returns.

    Args:
        expected: the detections of each image by the model.
        found: those by the export.
        tolerance: how far they may be apart.
        score_threshold: the one that both networks have.
    """
    compared, unmatched, score, box = 0, 0, 0.0, 0.0
    for ours, theirs in zip(expected, found, strict=True):
        cut = max(_cut(one, score_threshold) for one in (ours, theirs)) + tolerance.score
        pairs = _pairs(ours, theirs, tolerance)
        for k, one in enumerate((ours, theirs)):
            matched = np.isin(np.arange(len(one)), [pair[k] for pair in pairs])
            compared += int((one.scores > cut).sum())
            unmatched += int(((one.scores > cut) & ~matched).sum())
        for i, k in pairs:
            score = max(score, abs(float(ours.scores[i]) - float(theirs.scores[k])))
            box = max(box, float(np.abs(ours.boxes[i] - theirs.boxes[k]).max()))
    return Difference(compared, unmatched, score, box)


def _cut(one: Detections, score_threshold: float) -> float:
    """Return the score from which a network returns all that it finds."""
    return float(one.scores[-1]) if one.capped else score_threshold


def _pairs(ours: Detections, theirs: Detections, tolerance: Tolerance) -> list[tuple[int, int]]:
    """Return the positions of counterparts, each detection in one pair at most, nearest first."""
    if not len(ours) or not len(theirs):
        return []
    scores = np.abs(ours.scores[:, None] - theirs.scores[None]) / tolerance.score
    sides = (ours.boxes[:, 2:] - ours.boxes[:, :2]).max(axis=1)
    allowed = np.maximum(tolerance.pixels, tolerance.of_side * sides)[:, None]
    boxes = np.abs(ours.boxes[:, None] - theirs.boxes[None]).max(axis=-1) / allowed
    apart = np.where(ours.labels[:, None] == theirs.labels[None], np.maximum(scores, boxes), np.inf)
    pairs: list[tuple[int, int]] = []
    while apart.min() <= 1:
        i, k = np.unravel_index(apart.argmin(), apart.shape)
        pairs.append((int(i), int(k)))
        apart[i], apart[:, k] = np.inf, np.inf
    return pairs
