"""Choosing anchor sizes that match the boxes of a data set.

The paper's anchors, 32 to 512 pixels, suit photos of 800 pixels. A box much smaller than the
smallest anchor is never a positive example: a class of such boxes is not learned, without an error.
"""

from dataclasses import dataclass

import numpy as np

from keras_retinanet.geometry.anchors import AnchorParameters, generate_anchors

# Factors on the sizes to try. None is above 1: the largest default anchor, 813 pixels, already
# spans the usual image.
SIZE_FACTORS = (1.0, 2**-0.5, 0.5, 2**-1.5, 0.25)
# Share of boxes that other sizes have to match in addition to replace the given ones.
MIN_GAIN = 0.05
# Factors whose share is lower than the best by at most this much count as equally good.
TOLERANCE = 0.01
POSITIVE_OVERLAP = 0.5


@dataclass(frozen=True)
class AnchorFit:
    """Anchor parameters and how well they match, compared with those they were derived from.

    Attributes:
        params: the chosen parameters; the given ones if no others match clearly more boxes.
        matched: share of boxes that an anchor matches, averaged over classes.
        matched_before: the same for the given parameters.
    """

    params: AnchorParameters
    matched: float
    matched_before: float


def fit_anchors(
    boxes: np.ndarray, labels: np.ndarray, params: AnchorParameters | None = None
) -> AnchorFit:
    """Scale anchor sizes down if that matches clearly more boxes of a data set.

    Args:
        boxes: array `(n, 4)` in pixels of the resized images; `n` may be 0.
        labels: array `(n,)`.
        params: parameters to start from; None means those of the paper.
    """
    params = params or AnchorParameters.default
    if not len(boxes):
        return AnchorFit(params, 1.0, 1.0)
    candidates = [
        AnchorParameters(
            [size * factor for size in params.sizes], params.strides, params.ratios, params.scales
        )
        for factor in SIZE_FACTORS
    ]
    shares = [matched_share(boxes, labels, candidate) for candidate in candidates]
    # Of equally good sizes the first are the closest to those of the paper.
    best = next(i for i, share in enumerate(shares) if share >= max(shares) - TOLERANCE)
    if shares[best] < shares[0] + MIN_GAIN:
        best = 0
    return AnchorFit(params if best == 0 else candidates[best], shares[best], shares[0])


def matched_share(boxes: np.ndarray, labels: np.ndarray, params: AnchorParameters) -> float:
    """Return the share of boxes with an IoU of at least 0.5 with an anchor, averaged over classes.

    Args:
        boxes: array `(n, 4)`, `n` at least 1.
        labels: array `(n,)`.
        params: sizes and shapes of the anchors.
    """
    matched = best_overlaps(boxes, params) >= POSITIVE_OVERLAP
    return float(np.mean([matched[labels == label].mean() for label in np.unique(labels)]))


def best_overlaps(boxes: np.ndarray, params: AnchorParameters) -> np.ndarray:
    """Return the maximum IoU `(n,)` of each box `(n, 4)` with any anchor of an endless image.

    Of the anchors of one shape and level the best one is that with the nearest centre, so one
    location per level is enough.
    """
    boxes = np.asarray(boxes, "float64")
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = boxes[:, 2:] - boxes[:, :2]
    best = np.zeros(len(boxes))
    for size, stride in zip(params.sizes, params.strides, strict=True):
        offsets = np.abs(np.mod(centres, stride) - stride / 2)[:, None]  # (n, 1, 2)
        anchors = generate_anchors(size, params.ratios, params.scales)
        anchor_sides = (anchors[:, 2:] - anchors[:, :2])[None]  # (1, A, 2)
        smaller = np.minimum(sides[:, None], anchor_sides)
        reach = (sides[:, None] + anchor_sides) / 2 - offsets
        shared = np.clip(reach, 0, smaller).prod(axis=2)  # (n, A)
        union = sides.prod(axis=1)[:, None] + anchor_sides.prod(axis=2) - shared
        best = np.maximum(best, (shared / union).max(axis=1))
    return best
