"""Choosing anchor sizes that match the boxes of a data set.

The paper's anchors, 32 to 512 pixels, suit photos of 800 pixels. A box much smaller than the
smallest anchor is never a positive example: its class is not learned, and nothing says so.
"""

from dataclasses import dataclass

import numpy as np

from keras_retinanet.geometry.anchors import AnchorParameters, generate_anchors

# Smaller factors only: the greatest default anchor, 813 pixels, already spans the usual image.
FACTORS = (1.0, 2**-0.5, 0.5, 2**-1.5, 0.25)
# The paper's sizes stay unless other sizes match at least this much more.
WORTHWHILE = 0.05
POSITIVE_OVERLAP = 0.5


@dataclass(frozen=True)
class AnchorFit:
    """Anchor parameters and how well they match, next to those they were derived from.

    Attributes:
        params: the chosen parameters; the given ones where nothing matches much better.
        matched: share of boxes that some anchor matches, each class counting alike.
        matched_before: the same for the given parameters.
    """

    params: AnchorParameters
    matched: float
    matched_before: float


def fit_anchors(boxes, labels, params=None) -> AnchorFit:
    """Scale anchor sizes down if that matches clearly more of the boxes of a data set.

    Args:
        boxes: array `(n, 4)` in pixels of the resized images; `n` may be 0.
        labels: array `(n,)`.
        params: parameters to start from; None means the paper's.
    """
    params = params or AnchorParameters.default
    if not len(boxes):
        return AnchorFit(params, 1.0, 1.0)
    candidates = [
        AnchorParameters(
            [size * factor for size in params.sizes], params.strides, params.ratios, params.scales
        )
        for factor in FACTORS
    ]
    shares = [matched_share(boxes, labels, candidate) for candidate in candidates]
    # The first of the near-best is the closest to the sizes of the paper.
    best = next(i for i, share in enumerate(shares) if share >= max(shares) - 0.01)
    if shares[best] < shares[0] + WORTHWHILE:
        best = 0
    return AnchorFit(params if best == 0 else candidates[best], shares[best], shares[0])


def matched_share(boxes, labels, params) -> float:
    """Return the share of boxes with an IoU of at least 0.5 with an anchor, averaged over classes.

    Args:
        boxes: array `(n, 4)`, `n` at least 1.
        labels: array `(n,)`.
        params: an `AnchorParameters`.
    """
    matched = best_overlaps(boxes, params) >= POSITIVE_OVERLAP
    return float(np.mean([matched[labels == label].mean() for label in np.unique(labels)]))


def best_overlaps(boxes, params) -> np.ndarray:
    """Return the greatest IoU of each box `(n, 4)` with any anchor of an endless image.

    The best anchor of a shape is the one whose centre is nearest, so one place for each level is
    enough.
    """
    boxes = np.asarray(boxes, "float64")
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = boxes[:, 2:] - boxes[:, :2]
    best = np.zeros(len(boxes))
    for size, stride in zip(params.sizes, params.strides, strict=True):
        offsets = np.abs(np.mod(centres, stride) - stride / 2)[:, None]
        anchors = generate_anchors(size, params.ratios, params.scales)
        anchor_sides = (anchors[:, 2:] - anchors[:, :2])[None]
        smaller = np.minimum(sides[:, None], anchor_sides)
        reach = (sides[:, None] + anchor_sides) / 2 - offsets
        shared = np.clip(reach, 0, smaller).prod(axis=2)
        union = sides.prod(axis=1)[:, None] + anchor_sides.prod(axis=2) - shared
        best = np.maximum(best, (shared / union).max(axis=1))
    return best


def sample_boxes(generator, most=300, seed=0):
    """Return the boxes of up to `most` images of a data set, at the size they are resized to.

    Unreadable images are left out.

    Returns:
        boxes: array `(n, 4)`.
        labels: array `(n,)`.
    """
    rng = np.random.default_rng(seed)
    indices = rng.permutation(generator.size())[:most]
    boxes, labels = [np.zeros((0, 4))], [np.zeros(0, int)]
    for index in indices.tolist():
        try:
            image, scale = generator.resize_image(generator.load_image(index))
            annotations = generator.load_annotations(index)
        except (OSError, ValueError):
            continue
        boxes.append(np.asarray(annotations["bboxes"]).reshape(-1, 4) * scale)
        labels.append(np.asarray(annotations["labels"]))
    return np.concatenate(boxes), np.concatenate(labels)
