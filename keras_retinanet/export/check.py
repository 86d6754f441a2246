"""Whether an exported network finds what the model finds that it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.geometry.boxes import iou


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

    def __str__(self) -> str:
        """Return how far apart detections may be, for a message."""
        sides = f" or {100 * self.of_side:g} % of a side" if self.of_side else ""
        return f"{self.score:g} of its score and {self.pixels:g} pixels{sides} of its box"


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
        found: number of detections of both networks that are far enough above the score threshold.
        compared: how many of them the other network has to find too: it returns a limited number of
            detections, the best ones.
        unmatched: how many of them have no counterpart within the tolerance.
        score: greatest difference of the scores of counterparts.
        box: greatest difference of their coordinates, in pixels.
        farthest: the same two of those without counterpart and the detection of the same label in
            the other network that overlaps it most; zeros if there is none.
    """

    found: int = 0
    compared: int = 0
    unmatched: int = 0
    score: float = 0.0
    box: float = 0.0
    farthest: tuple[float, float] = (0.0, 0.0)

    def __str__(self) -> str:
        """Return a sentence with the differences."""
        text = (
            f"{self.compared} detections of both; scores differ by at most {self.score:.6f}, "
            f"boxes by {self.box:.3f} pixels"
        )
        if self.unmatched:
            text += (
                f"; {self.unmatched} of them have no counterpart, the nearest differ by at most "
                f"{self.farthest[0]:.6f} and {self.farthest[1]:.3f} pixels"
            )
        return text

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
    threshold, or above the last detection of the other network if that returns as many as it can.

    Args:
        expected: the detections of each image by the model.
        found: those by the export.
        tolerance: how far they may be apart.
        score_threshold: the one that both networks have.
    """
    above, compared, unmatched, score, box = 0, 0, 0, 0.0, 0.0
    farthest = np.zeros(2)
    for ours, theirs in zip(expected, found, strict=True):
        pairs = _pairs(ours, theirs, tolerance)
        for k, (one, other) in enumerate([(ours, theirs), (theirs, ours)]):
            is_compared = one.scores > _cut(other, score_threshold) + tolerance.score
            matched = np.isin(np.arange(len(one)), [pair[k] for pair in pairs])
            above += int((one.scores > score_threshold + tolerance.score).sum())
            compared += int(is_compared.sum())
            unmatched += int((is_compared & ~matched).sum())
            for lonely in np.flatnonzero(is_compared & ~matched):
                farthest = np.maximum(farthest, _apart(one, int(lonely), other))
        for i, k in pairs:
            score = max(score, abs(float(ours.scores[i]) - float(theirs.scores[k])))
            box = max(box, float(np.abs(ours.boxes[i] - theirs.boxes[k]).max()))
    apart = float(farthest[0]), float(farthest[1])
    return Difference(above, compared, unmatched, score, box, apart)


def _apart(one: Detections, i: int, other: Detections) -> tuple[float, float]:
    """Return how far detection `i` is from the one that overlaps it most, in score and pixels."""
    overlaps = iou(one.boxes[[i]], other.boxes)[0] * (other.labels == one.labels[i])
    if not len(overlaps) or overlaps.max() == 0:
        return 0.0, 0.0
    k = int(overlaps.argmax())
    apart = np.abs(one.boxes[i] - other.boxes[k]).max()
    return abs(float(one.scores[i] - other.scores[k])), float(apart)


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
