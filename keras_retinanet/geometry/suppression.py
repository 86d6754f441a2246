"""From raw boxes and scores to detections in NumPy, for networks that do not filter themselves."""

from collections.abc import Sequence

import numpy as np

from keras_retinanet.geometry.boxes import iou, order_corners
from keras_retinanet.geometry.filter_settings import FilterSettings


def filter_boxes(
    boxes: np.ndarray,
    scores: np.ndarray,
    settings: FilterSettings,
    level_sizes: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best boxes of one image, as `layers.filter_detections` does in a graph.

    Args:
        boxes: (n, 4).
        scores: (n, classes).
        settings: which boxes to keep.
        level_sizes: how many of the n rows belong to each pyramid level; only `pre_nms_top_k` needs
            them. None means a single level.

    Returns:
        boxes (k, 4), scores (k,) and labels (k,), best first; k is at most `max_detections`.
    """
    if not settings.class_specific_filter:
        is_best = np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]
        scores = np.where(is_best, scores, -1)
    rows, labels = np.nonzero(scores > np.float32(settings.score_threshold))
    if settings.pre_nms_top_k is not None:
        kept = _best_of_levels(rows, scores[rows, labels], level_sizes, settings.pre_nms_top_k)
        rows, labels = rows[kept], labels[kept]
    if settings.drop_empty:
        has_area = (boxes[rows, 2:] > boxes[rows, :2]).all(axis=1)
        rows, labels = rows[has_area], labels[has_area]
    order = np.argsort(-scores[rows, labels], kind="stable")
    rows, labels = rows[order], labels[order]
    if settings.nms:
        groups = labels if settings.class_specific_filter else np.zeros_like(labels)
        kept = np.concatenate(
            [np.zeros(0, int)]
            + [
                members[suppress(boxes[rows[members]], settings)]
                for group in np.unique(groups)
                for members in [np.flatnonzero(groups == group)]
            ]
        )
        kept.sort()
        rows, labels = rows[kept], labels[kept]
    rows, labels = rows[: settings.max_detections], labels[: settings.max_detections]
    return boxes[rows], scores[rows, labels], labels


def suppress(boxes: np.ndarray, settings: FilterSettings) -> np.ndarray:
    """Return the positions of the boxes that non-maximum suppression keeps.

    Args:
        boxes: (n, 4), best first.
        settings: `nms_threshold`, and `max_detections`, after which it stops.
    """
    boxes = order_corners(boxes)
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left) and len(kept) < settings.max_detections:
        best, left = left[0], left[1:]
        kept.append(int(best))
        overlaps = iou(boxes[[best]], boxes[left])[0]
        left = left[overlaps <= settings.nms_threshold]
    return np.array(kept, int)


def _best_of_levels(
    rows: np.ndarray, scores: np.ndarray, level_sizes: Sequence[int] | None, count: int
) -> np.ndarray:
    """Return the positions of the `count` best scores of each level."""
    ends = np.cumsum([np.inf] if level_sizes is None else level_sizes)
    levels = np.searchsorted(ends, rows, side="right")
    order = np.argsort(-scores, kind="stable")
    return np.concatenate([order[levels[order] == level][:count] for level in range(len(ends))])
