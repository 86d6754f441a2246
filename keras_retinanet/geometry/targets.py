"""Training targets: what each anchor of an image should predict.

An anchor is positive, and matched to a box, where its IoU with some box is at least 0.5. It is
ignored where its maximum IoU is between 0.4 and 0.5, or where its centre lies outside the image.
All others are background. (The focal loss paper, section 4; an IoU of exactly 0.4 is background.)

A box may have no anchor by this rule. With `match_every_box` it gets the best one that is left.
"""

from collections.abc import Sequence

import numpy as np

from keras_retinanet.geometry.anchor_index import AnchorIndex
from keras_retinanet.geometry.coders import BoxCoder, CornerCoder
from keras_retinanet.geometry.matching import (
    IGNORE,
    POSITIVE,
    as_matches,
    centre_outside,
    match_all,
    match_near,
    match_the_rest,
)
from keras_retinanet.system import arrays
from keras_retinanet.system.types import Annotations

DEFAULT_CODER = CornerCoder()
# Types of `anchor_targets_compact`: 24 bytes per anchor, or 12. With 12, offsets, few of which are
# above 5, are rounded by 0.05 % at most; states and classes, up to 32,766, are not rounded.
FULL_PRECISION, HALF_PRECISION = ("float32", "int32"), ("float16", "int16")


def anchor_targets_compact(
    anchors: np.ndarray,
    image_group: Sequence[np.ndarray],
    annotations_group: Sequence[Annotations],
    num_classes: int,
    negative_overlap: float = 0.4,
    positive_overlap: float = 0.5,
    *,
    index: AnchorIndex | None = None,
    coder: BoxCoder = DEFAULT_CODER,
    dtypes: tuple[str, str] = FULL_PRECISION,
    match_every_box: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets of a batch, with one number for the class of an anchor.

    Args:
        anchors: array `(N, 4)`.
        image_group: list of B images, each `(height, width, channels)` before padding.
        annotations_group: list of B dictionaries with `bboxes` `(n, 4)` and `labels` `(n,)`.
        num_classes: not used; the dense form needs it.
        negative_overlap: maximum IoU of a background anchor.
        positive_overlap: minimum IoU of a positive anchor.
        index: the index of these anchors, if there is one: the result is the same, and takes a
            fraction of the time, since boxes are only compared with the anchors near them.
        coder: how boxes are coded.
        dtypes: of the two results: `FULL_PRECISION` or `HALF_PRECISION`.
        match_every_box: whether a box without a positive anchor gets one; see `match_the_rest`.

    Returns:
        regression: `(B, N, 5)`: four offsets (0 unless positive), then the anchor's state:
            -1 ignored, 0 background, 1 positive.
        classification: `(B, N, 1)`: -1 ignored, 0 background, k + 1 for class k.

    Raises:
        ValueError: if the lists differ in length, are empty, or an annotation lacks a key.
    """
    _check_groups(image_group, annotations_group)
    regression = arrays.zeros((len(image_group), len(anchors), 5), dtypes[0])
    classification = arrays.zeros((len(image_group), len(anchors), 1), dtypes[1])
    for i, (image, annotations) in enumerate(zip(image_group, annotations_group, strict=True)):
        bboxes, labels = np.asarray(annotations["bboxes"]), np.asarray(annotations["labels"])
        if index is None:
            matches = as_matches(*match_all(anchors, bboxes, negative_overlap, positive_overlap))
            outside = np.flatnonzero(centre_outside(anchors, image.shape))
        else:
            matches = match_near(index, bboxes, negative_overlap, positive_overlap)
            outside = index.outside(image.shape)
        if match_every_box:
            matches = match_the_rest(matches, anchors, bboxes, image.shape, index=index)
        positive, box_indices, ignored = matches
        if len(positive):
            regression[i, positive, :4] = coder.encode(anchors[positive], bboxes[box_indices])
            regression[i, positive, 4] = POSITIVE
            classification[i, positive, 0] = labels[box_indices] + 1
        regression[i, ignored, 4] = classification[i, ignored, 0] = IGNORE
        regression[i, outside] = [0, 0, 0, 0, IGNORE]
        classification[i, outside] = IGNORE
    return regression, classification


def anchor_targets_bbox(
    anchors: np.ndarray,
    image_group: Sequence[np.ndarray],
    annotations_group: Sequence[Annotations],
    num_classes: int,
    negative_overlap: float = 0.4,
    positive_overlap: float = 0.5,
    *,
    coder: BoxCoder = DEFAULT_CODER,
    match_every_box: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets of a batch as keras-retinanet 1.0.0 did, with a column for each class.

    Arguments and errors are those of `anchor_targets_compact`.

    Returns:
        regression: float32 `(B, N, 5)`: four offsets from each anchor to the box it is matched to,
            or else overlaps most (0 if there are no boxes), then the state -1, 0 or 1.
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
        if match_every_box:
            matches = match_the_rest(
                as_matches(state, assigned), anchors, annotations["bboxes"], image.shape
            )
            state[matches.positive] = POSITIVE
            assigned[matches.positive] = matches.box_indices
        if len(annotations["bboxes"]):
            positive = np.flatnonzero(state == POSITIVE)
            labels = np.asarray(annotations["labels"])[assigned[positive]].astype(int)
            classification[i, positive, labels] = 1
            regression[i, :, :4] = coder.encode(anchors, annotations["bboxes"][assigned])
        state[centre_outside(anchors, image.shape)] = IGNORE
        regression[i, :, 4] = state
        classification[i, :, -1] = state
    return regression, classification


def positive_anchors(
    anchors: np.ndarray,
    bboxes: np.ndarray,
    *,
    index: AnchorIndex | None = None,
    match_every_box_in: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of positive anchors and of the boxes that they are matched to.

    Args:
        anchors: array `(N, 4)`.
        bboxes: array `(n, 4)`; `n` may be 0.
        index: the index of these anchors, if there is one, to save time.
        match_every_box_in: shape of the image before padding, where a box without a positive anchor
            is to get one, as with `match_every_box`; None where it is not.
    """
    matches = (
        as_matches(*match_all(anchors, bboxes)) if index is None else match_near(index, bboxes)
    )
    if match_every_box_in is not None:
        matches = match_the_rest(matches, anchors, bboxes, match_every_box_in, index=index)
    return matches.positive, matches.box_indices


def compute_gt_annotations(
    anchors: np.ndarray,
    annotations: np.ndarray,
    negative_overlap: float = 0.4,
    positive_overlap: float = 0.5,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `match_all` in the form of keras-retinanet 1.0.0.

    Returns:
        positive: bool array `(N,)`.
        ignored: bool array `(N,)`, by the IoU alone.
        assigned: int array `(N,)`: index of the box with the maximum IoU.
    """
    state, assigned = match_all(anchors, annotations[:, :4], negative_overlap, positive_overlap)
    return state == POSITIVE, state == IGNORE, assigned


def _check_groups(
    image_group: Sequence[np.ndarray], annotations_group: Sequence[Annotations]
) -> None:
    if len(image_group) != len(annotations_group) or not len(image_group):
        raise ValueError(
            "expected as many annotations as images, and at least one, "
            f"got {len(image_group)} images and {len(annotations_group)} annotations"
        )
    for annotations in annotations_group:
        for key in ("bboxes", "labels"):
            if key not in annotations:
                raise ValueError(f"expected annotations with {key!r}, got keys {list(annotations)}")
