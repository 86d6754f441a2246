"""Training targets: what each anchor of an image should predict.

An anchor is positive, and learns a box and a class, where its IoU with some box is at least 0.5;
it is ignored where that IoU is between 0.4 and 0.5, or where its centre lies outside the image;
else it is background. (The focal loss paper, section 4; IoU of exactly 0.4 is background.)
"""

import numpy as np

from keras_retinanet.geometry import boxes
from keras_retinanet.geometry.anchors import grid_of
from keras_retinanet.geometry.coders import CornerCoder
from keras_retinanet.system import arrays

IGNORE, BACKGROUND, POSITIVE = -1, 0, 1
# Types of `anchor_targets_compact`: 24 bytes for each anchor, or 12. Then offsets, few of which are
# above 5, are rounded by 0.05 % at most; states and classes, up to 32,766, are not.
FULL_PRECISION, HALF_PRECISION = ("float32", "int32"), ("float16", "int16")
# Anchors that `match_all` compares at a time, so that their overlaps fit into the CPU cache.
SLICE = 8192


def anchor_targets_compact(
    anchors,
    image_group,
    annotations_group,
    num_classes,
    negative_overlap=0.4,
    positive_overlap=0.5,
    *,
    dtypes=FULL_PRECISION,
):
    """Return the targets of a batch, with one number for the class of an anchor.

    Args:
        anchors: array `(N, 4)`.
        image_group: list of B images, each `(height, width, channels)` before padding.
        annotations_group: list of B dictionaries with `bboxes` `(n, 4)` and `labels` `(n,)`.
        num_classes: not used; the dense form needs it.
        negative_overlap: greatest IoU of a background anchor.
        positive_overlap: smallest IoU of a positive anchor.
        dtypes: of the two results: `FULL_PRECISION` or `HALF_PRECISION`.

    Returns:
        regression: `(B, N, 5)`: four offsets (0 unless positive), then the anchor's state:
            -1 ignored, 0 background, 1 positive.
        classification: `(B, N, 1)`: -1 ignored, 0 background, k + 1 for class k.

    Raises:
        ValueError: if the lists differ in length, are empty, or an annotation lacks a key.
    """
    _check_groups(image_group, annotations_group)
    found = [
        _learning_and_ignored(anchors, image.shape, annotations, negative_overlap, positive_overlap)
        for image, annotations in zip(image_group, annotations_group, strict=True)
    ]
    # Only now: zeroing megabytes empties the processor's cache.
    regression, classification = (
        arrays.zeros((len(image_group), len(anchors), width), dtype)
        for width, dtype in zip((5, 1), dtypes, strict=True)
    )
    for i, (positive, offsets, classes, ignored) in enumerate(found):
        states, labels = regression[i, :, 4], classification[i, :, 0]
        states[ignored] = labels[ignored] = IGNORE
        states[positive] = POSITIVE
        labels[positive] = classes
        regression[i, :, :4][positive] = offsets
    return regression, classification


def _learning_and_ignored(anchors, image_shape, annotations, negative_overlap, positive_overlap):
    """Return the indices of an image's positive anchors, their targets, and the ignored anchors."""
    bboxes, labels = np.asarray(annotations["bboxes"]), np.asarray(annotations["labels"])
    positive, assigned, ignored = match_near(anchors, bboxes, negative_overlap, positive_overlap)
    learning = anchors.take(positive, axis=0)
    inside = ~_centre_outside(learning, image_shape)
    positive, assigned = positive[inside], assigned[inside]
    ignored = np.concatenate([ignored, _outside(anchors, image_shape)])
    if not len(positive):
        return positive, 0, 0, ignored
    offsets = CornerCoder().encode(learning[inside], bboxes[assigned])
    return positive, offsets, labels[assigned] + 1, ignored


def anchor_targets_bbox(
    anchors,
    image_group,
    annotations_group,
    num_classes,
    negative_overlap=0.4,
    positive_overlap=0.5,
):
    """Return the targets of a batch as keras-retinanet 1.0.0 did, with a column for each class.

    Arguments and errors are those of `anchor_targets_compact`.

    Returns:
        regression: float32 `(B, N, 5)`: four offsets from each anchor to the box it overlaps most
            (0 if there are no boxes), then the state -1, 0 or 1.
        classification: float32 `(B, N, num_classes + 1)`: 1 in the column of a positive anchor's
            class, and the state in the last column.
    """
    _check_groups(image_group, annotations_group)
    regression = arrays.zeros((len(image_group), len(anchors), 5), "float32")
    classification = arrays.zeros((len(image_group), len(anchors), num_classes + 1), "float32")
    for i, (image, annotations) in enumerate(zip(image_group, annotations_group, strict=True)):
        state, assigned = match_all(
            anchors, annotations["bboxes"], negative_overlap, positive_overlap
        )
        if len(annotations["bboxes"]):
            positive = np.flatnonzero(state == POSITIVE)
            labels = np.asarray(annotations["labels"])[assigned[positive]].astype(int)
            classification[i, positive, labels] = 1
            regression[i, :, :4] = CornerCoder().encode(anchors, annotations["bboxes"][assigned])
        state[_centre_outside(anchors, image.shape)] = IGNORE
        regression[i, :, 4] = state
        classification[i, :, -1] = state
    return regression, classification


def match_all(anchors, bboxes, negative_overlap=0.4, positive_overlap=0.5):
    """Return each anchor's state and the box it overlaps most.

    Args:
        anchors: array `(N, 4)`.
        bboxes: array `(n, 4)`; `n` may be 0.
        negative_overlap: greatest IoU of a background anchor.
        positive_overlap: smallest IoU of a positive anchor.

    Returns:
        state: int array `(N,)`: -1 ignored, 0 background, 1 positive.
        assigned: int array `(N,)`: index into `bboxes`; 0 if there are none.
    """
    state = np.full(len(anchors), BACKGROUND)
    assigned = np.zeros(len(anchors), int)
    bboxes = np.asarray(bboxes, "float64")
    for start in range(0, len(anchors) if len(bboxes) else 0, SLICE):
        part = slice(start, start + SLICE)
        overlaps = boxes.iou(bboxes, anchors[part].astype("float64", order="F"))
        assigned[part] = overlaps.argmax(axis=0)
        best = overlaps.max(axis=0)
        state[part][best > negative_overlap] = IGNORE
        state[part][best >= positive_overlap] = POSITIVE
    return state, assigned


def match_near(anchors, bboxes, negative_overlap=0.4, positive_overlap=0.5):
    """Return which anchors are not background, as `match_all` does, but in less time.

    For anchors of `anchors_for_shape` only those near a box are compared with it.

    Args:
        anchors: array `(N, 4)`.
        bboxes: array `(n, 4)`; `n` may be 0.
        negative_overlap: greatest IoU of a background anchor.
        positive_overlap: smallest IoU of a positive anchor.

    Returns:
        positive: int array `(p,)`: indices of the positive anchors, rising.
        assigned: int array `(p,)`: indices of the boxes that they learn.
        ignored: int array `(q,)`: indices of the ignored anchors, rising.
    """
    grid = grid_of(anchors)
    bboxes = np.asarray(bboxes, "float64")
    least = min(negative_overlap, positive_overlap)
    if not len(bboxes):
        return (np.zeros(0, int),) * 3
    if grid is None or least <= 0 or not np.isfinite(bboxes).all():
        state, assigned = match_all(anchors, bboxes, negative_overlap, positive_overlap)
        positive = np.flatnonzero(state == POSITIVE)
        return positive, assigned[positive], np.flatnonzero(state == IGNORE)
    candidates, assigned, best = _best_boxes(grid, bboxes, least)
    positive = best >= positive_overlap
    ignored = (best > negative_overlap) & ~positive
    return candidates[positive], assigned[positive], candidates[ignored]


def _best_boxes(grid, bboxes, least):
    """Return anchors, rising, the box that each overlaps most, and that IoU of at least `least`."""
    candidates, owners = grid.near(bboxes, least)
    overlaps = boxes.iou_of_pairs(
        grid.anchors.take(candidates, axis=0), bboxes.take(owners, axis=0)
    )
    enough = overlaps >= least
    candidates, owners, overlaps = candidates[enough], owners[enough], overlaps[enough]
    # Of equal overlaps the first box: pairs come box by box, and the sort is stable.
    order = np.lexsort((-overlaps, candidates))
    candidates = candidates[order]
    first = np.ones(len(order), bool)
    first[1:] = candidates[1:] != candidates[:-1]
    return candidates[first], owners[order[first]], overlaps[order[first]]


def positive_anchors(anchors, bboxes):
    """Return the positive anchors and the box that each is matched to."""
    return match_near(anchors, bboxes)[:2]


def compute_gt_annotations(anchors, annotations, negative_overlap=0.4, positive_overlap=0.5):
    """Return `match_all` in the form of keras-retinanet 1.0.0.

    Returns:
        positive: bool array `(N,)`.
        ignored: bool array `(N,)`, for the IoU alone.
        assigned: int array `(N,)`: index of the box with the greatest IoU.
    """
    state, assigned = match_all(anchors, annotations[:, :4], negative_overlap, positive_overlap)
    return state == POSITIVE, state == IGNORE, assigned


def _centre_outside(anchors, image_shape):
    """Return which anchors have their centre right of or below the image `(height, width, ...)`."""
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    return (centres[:, 0] >= image_shape[1]) | (centres[:, 1] >= image_shape[0])


def _outside(anchors, image_shape):
    """Return the indices of the anchors for which `_centre_outside` is true."""
    grid = grid_of(anchors)
    if grid is None:
        return np.flatnonzero(_centre_outside(anchors, image_shape))
    return grid.outside(image_shape)


def _check_groups(image_group, annotations_group):
    if len(image_group) != len(annotations_group) or not len(image_group):
        raise ValueError(
            "expected as many annotations as images, and at least one, "
            f"got {len(image_group)} images and {len(annotations_group)} annotations"
        )
    for annotations in annotations_group:
        for key in ("bboxes", "labels"):
            if key not in annotations:
                raise ValueError(f"expected annotations with {key!r}, got keys {list(annotations)}")
