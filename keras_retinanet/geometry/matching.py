"""Matching: which anchor of an image is to predict which box.

An anchor is positive, and matched to a box, where its IoU with some box is at least 0.5. It is
ignored where its maximum IoU is between 0.4 and 0.5; all others are background. (The focal loss
paper, section 4; an IoU of exactly 0.4 is background.)

A box may have no anchor by this rule: `match_the_rest` gives it the best one that is left.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_retinanet.geometry import boxes
from keras_retinanet.geometry.anchor_index import AnchorIndex

IGNORE, BACKGROUND, POSITIVE = -1, 0, 1
# Anchors that `match_all` compares at a time, so that their overlaps fit into the CPU cache.
SLICE = 8192
# Minimum IoU of the first and of the last search of `match_the_rest`. A smaller IoU than the last
# counts as none: it is that of a box of 0.001 x 0.001 pixels with an anchor of 32 x 32.
FIRST_OVERLAP, LAST_OVERLAP = 2.0**-2, 2.0**-30


class Matches(NamedTuple):
    """The anchors of an image that are not background; all others are.

    Attributes:
        positive: indices of the positive anchors, increasing, `(p,)`.
        box_indices: index of the box that each of them is matched to, `(p,)`.
        ignored: indices of the ignored anchors, increasing, `(q,)`.
    """

    positive: np.ndarray
    box_indices: np.ndarray
    ignored: np.ndarray


def match_all(
    anchors: np.ndarray,
    bboxes: np.ndarray,
    negative_overlap: float = 0.4,
    positive_overlap: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Return each anchor's state and the box it overlaps most.

    Args:
        anchors: array `(N, 4)`.
        bboxes: array `(n, 4)`; `n` may be 0.
        negative_overlap: maximum IoU of a background anchor.
        positive_overlap: minimum IoU of a positive anchor.

    Returns:
        state: int array `(N,)`: -1 ignored, 0 background, 1 positive.
        assigned: int array `(N,)`: index into `bboxes`, of equal overlaps the first; 0 if there
            are no boxes.
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


def match_near(
    index: AnchorIndex,
    bboxes: np.ndarray,
    negative_overlap: float = 0.4,
    positive_overlap: float = 0.5,
) -> Matches:
    """Return the same as `match_all` does for the anchors of an index, in less time.

    Args:
        index: of the anchors.
        bboxes: array `(n, 4)`; `n` may be 0.
        negative_overlap: maximum IoU of a background anchor.
        positive_overlap: minimum IoU of a positive anchor.
    """
    bboxes = np.asarray(bboxes, "float64").reshape(-1, 4)
    minimum = min(negative_overlap, positive_overlap)
    if minimum <= 0 or not np.isfinite(bboxes).all():
        # Anchors far from all boxes are not background then.
        return as_matches(*match_all(index.anchors, bboxes, negative_overlap, positive_overlap))
    anchor_indices, box_indices = index.near(bboxes, minimum)
    overlaps = boxes.iou_of_pairs(index.anchors[anchor_indices], bboxes[box_indices])
    # The box that each anchor overlaps most; of equal overlaps the first.
    order = np.lexsort((box_indices, -overlaps, anchor_indices))
    anchor_indices, first = np.unique(anchor_indices[order], return_index=True)
    box_indices, overlaps = box_indices[order[first]], overlaps[order[first]]
    positive = overlaps >= positive_overlap
    ignored = (overlaps > negative_overlap) & ~positive
    return Matches(anchor_indices[positive], box_indices[positive], anchor_indices[ignored])


# An example, with anchors of 32 x 32 around a centre every 8 pixels (4, 12, 20...) and two boxes of
# 4 x 4, one around (100, 100), the other around (101, 101). Each lies inside the same 9 anchors,
# with an IoU of 16 / 1024, and neither has a positive one. The first box is served first. Of its 9
# anchors the one around (100, 100) is nearest. The second box gets the nearest of the other 8, the
# one around (108, 100), which comes before the one around (100, 108).
#
# torchvision and detectron2 also match boxes at any overlap, but in another way: all anchors of a
# box's maximum IoU become positive, each for the box that it overlaps most itself. So a box may get
# many anchors, and none where each of them overlaps another box more.
def match_the_rest(
    matches: Matches,
    anchors: np.ndarray,
    bboxes: np.ndarray,
    image_shape: Sequence[int],
    *,
    index: AnchorIndex | None = None,
) -> Matches:
    """Return matches in which each box that had no positive anchor has one.

    It gets the anchor of the maximum IoU among those that are free: not positive, and centred
    inside the image. The box with the largest such IoU is served first, of equal ones the first.
    Of anchors that it overlaps equally, it gets the one whose corners are nearest. Only a box that
    overlaps no free anchor goes without.

    Args:
        matches: those of `match_all` or `match_near`.
        anchors: array `(N, 4)`.
        bboxes: array `(n, 4)`; `n` may be 0. Boxes without area, or not finite, get no anchor.
        image_shape: `(height, width, ...)` of the image before padding. Anchors centred outside it
            are ignored in training, so that a box with no other positive anchors has none.
        index: the index of these anchors, if there is one, to save time.
    """
    bboxes = np.asarray(bboxes, "float64").reshape(-1, 4)
    inside = ~centre_outside(anchors[matches.positive], image_shape)
    has_area = np.isfinite(bboxes).all(axis=1) & (bboxes[:, 2:] > bboxes[:, :2]).all(axis=1)
    has_area[matches.box_indices[inside]] = False
    waiting = set(np.flatnonzero(has_area).tolist())
    if not waiting:
        return matches
    taken = set(matches.positive.tolist())
    added: dict[int, int] = {}  # from an anchor to its box
    # With an index, search for large overlaps first, which few anchors have: those of a later
    # search are all smaller. Without one, all anchors have to be compared anyway.
    overlap = LAST_OVERLAP if index is None else FIRST_OVERLAP
    while waiting and overlap >= LAST_OVERLAP:
        pairs = _pairs_by_overlap(anchors, bboxes, sorted(waiting), image_shape, overlap, index)
        for anchor, box in pairs:
            if box in waiting and anchor not in taken:
                added[anchor] = box
                taken.add(anchor)
                waiting.remove(box)
        overlap /= 2
    new = np.array(list(added), int)
    positive = np.concatenate([matches.positive, new])
    box_indices = np.concatenate([matches.box_indices, np.array(list(added.values()), int)])
    order = positive.argsort()
    return Matches(positive[order], box_indices[order], np.setdiff1d(matches.ignored, new))


def _pairs_by_overlap(
    anchors: np.ndarray,
    bboxes: np.ndarray,
    chosen: Sequence[int],
    image_shape: Sequence[int],
    overlap: float,
    index: AnchorIndex | None,
) -> list[tuple[int, int]]:
    """Return the anchors and boxes that overlap, in the order in which `match_the_rest` joins them.

    Args:
        anchors: array `(N, 4)`.
        bboxes: array `(n, 4)`.
        chosen: indices of the boxes that count.
        image_shape: of the image; anchors centred outside it do not count.
        overlap: minimum IoU.
        index: of the anchors, or None.

    Returns:
        Pairs of indices into `anchors` and into `bboxes`.
    """
    if index is None:
        found = [np.flatnonzero(boxes.iou(bboxes[[i]], anchors)[0] > 0) for i in chosen]
        anchor_indices = np.concatenate(found)
        box_indices = np.repeat(chosen, [len(indices) for indices in found])
    else:
        # A little less than the minimum, since overlaps are rounded below.
        anchor_indices, rows = index.near(bboxes[chosen], 0.999 * overlap)
        box_indices = np.asarray(chosen)[rows]
    near, sought = anchors[anchor_indices], bboxes[box_indices]
    # As float32, numbers tie that differ only by the rounding of float64.
    overlaps = boxes.iou_of_pairs(near, sought).astype("float32")
    distances = np.square(near - sought).sum(axis=1).astype("float32")
    counted = np.flatnonzero((overlaps >= overlap) & ~centre_outside(near, image_shape))
    keys = anchor_indices, distances, box_indices, -overlaps
    order = counted[np.lexsort([key[counted] for key in keys])]
    return list(zip(anchor_indices[order].tolist(), box_indices[order].tolist(), strict=True))


def as_matches(state: np.ndarray, assigned: np.ndarray) -> Matches:
    """Return the result of `match_all` as indices."""
    positive = np.flatnonzero(state == POSITIVE)
    return Matches(positive, assigned[positive], np.flatnonzero(state == IGNORE))


def centre_outside(anchors: np.ndarray, image_shape: Sequence[int]) -> np.ndarray:
    """Return which anchors have their centre right of or below the image `(height, width, ...)`."""
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    return (centres[:, 0] >= image_shape[1]) | (centres[:, 1] >= image_shape[0])
