"""Large images in overlapping tiles, and the detections of the tiles as those of the image.

A tile sees only part of an object on its border. If the object fits into the overlap of two tiles,
one of them sees all of it, and the parts that others see lie inside its box. A larger object is cut
by every tile: its parts are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.geometry.boxes import area
from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.geometry.suppression import suppress

# Pixels from the edge of a tile within which a box is cut by it.
_EDGE = 2.0
# Share of a cut box inside a better one of its class from which it is part of the same object.
_PART = 0.6


@dataclass(frozen=True)
class Tile:
    """A part of an image.

    Attributes:
        x: first column.
        y: first row.
        width: columns.
        height: rows.
    """

    x: int
    y: int
    width: int
    height: int

    def crop(self, image: np.ndarray) -> np.ndarray:
        """Return the part of the image `(h, w, 3)`; nothing is copied."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


def tiles_of(height: int, width: int, size: int, overlap: int) -> list[Tile]:
    """Return the tiles of an image, row by row; one if it is no larger than a tile.

    Args:
        height: rows of the image.
        width: columns of the image.
        size: side of a tile in pixels.
        overlap: pixels that neighbours share at least.

    Raises:
        ValueError: unless the overlap is smaller than a tile.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"expected an overlap from 0 to less than {size} pixels, got {overlap}")
    return [
        Tile(x, y, min(size, width), min(size, height))
        for y in _starts(height, size, overlap)
        for x in _starts(width, size, overlap)
    ]


def _starts(side: int, size: int, overlap: int) -> list[int]:
    """Return where tiles begin along a side: evenly, the last one ending with the image."""
    if side <= size:
        return [0]
    count = -(-(side - overlap) // (size - overlap))
    return [round(i * (side - size) / (count - 1)) for i in range(count)]


def merge(
    found: Sequence[Detections], tiles: Sequence[Tile], size: tuple[int, int], overlap_iou: float
) -> Detections:
    """Return the detections of all tiles as those of the image, each object once.

    Whole boxes suppress each other by class as in the filter of the network. A box that its tile
    has cut belongs to a whole one of its class that covers most of it; of the others, those that
    continue each other become one.

    Args:
        found: the detections of each tile, in pixels of the tile.
        tiles: the tiles.
        size: height and width of the image.
        overlap_iou: IoU above which a box suppresses another of its class.
    """
    if not found:
        return Detections.empty()
    moved = [
        replace(one, boxes=one.boxes + np.tile([tile.x, tile.y], 2))
        for one, tile in zip(found, tiles, strict=True)
    ]
    boxes = np.concatenate([one.boxes for one in moved]).reshape(-1, 4)
    scores = np.concatenate([one.scores for one in moved])
    labels = np.concatenate([one.labels for one in moved]).astype(int)
    cut = np.concatenate(
        [_cut(one.boxes, tile, size) for one, tile in zip(moved, tiles, strict=True)]
    ).reshape(-1, 4)
    parts = [(np.zeros((0, 4), "float32"), np.zeros(0, "float32"), np.zeros(0, int))]
    for label in np.unique(labels):
        of_class, is_cut = labels == label, cut.any(axis=1)
        whole, are_cut = np.flatnonzero(of_class & ~is_cut), np.flatnonzero(of_class & is_cut)
        whole = whole[_suppress(boxes[whole], scores[whole], overlap_iou)]
        inside = _inside(boxes[are_cut], boxes[whole])
        are_cut = are_cut[~(inside > _PART).any(axis=1)]
        joined, joined_scores = _join(boxes[are_cut], cut[are_cut], scores[are_cut])
        both = np.concatenate([boxes[whole], joined])
        both_scores = np.concatenate([scores[whole], joined_scores])
        kept = _suppress(both, both_scores, overlap_iou)
        parts.append((both[kept], both_scores[kept], np.full(len(kept), label)))
    columns = [np.concatenate(values) for values in zip(*parts, strict=True)]
    capped = any(one.capped for one in found)
    merged = Detections(columns[0], columns[1], columns[2], capped, found[0].class_names)
    return merged[np.argsort(-merged.scores, kind="stable")]


def _cut(boxes: np.ndarray, tile: Tile, size: tuple[int, int]) -> np.ndarray:
    """Return which edges of a tile, other than those of the image, each box touches, `(n, 4)`."""
    height, width = size
    edges = np.array([tile.x, tile.y, tile.x + tile.width, tile.y + tile.height])
    is_inner = np.array([tile.x > 0, tile.y > 0, edges[2] < width, edges[3] < height])
    return (np.abs(boxes - edges) <= _EDGE) & is_inner


def _suppress(boxes: np.ndarray, scores: np.ndarray, overlap_iou: float) -> np.ndarray:
    """Return the positions of boxes that no better one overlaps."""
    settings = FilterSettings(nms_threshold=overlap_iou, max_detections=len(boxes))
    order = np.argsort(-scores, kind="stable")
    return order[suppress(boxes[order], settings)]


def _inside(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the share of each box `(n, 4)` that is inside each of others `(m, 4)`, `(n, m)`."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.maximum(high - low, 0).prod(axis=-1) / np.maximum(area(boxes), 1e-9)[:, None]


def _join(boxes: np.ndarray, cut: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes around parts of one object, and their best scores.

    Rows of parts are joined first, then what became of them, until nothing continues anything.

    Args:
        boxes: (n, 4), all cut.
        cut: (n, 4), by which edges: left, top, right, bottom.
        scores: (n,).
    """
    while len(boxes):
        groups = _groups(_continue_each_other(boxes, cut))
        if len(np.unique(groups)) == len(boxes):
            break
        members = [groups == group for group in np.unique(groups)]
        boxes = np.stack(
            [np.concatenate([boxes[m, :2].min(axis=0), boxes[m, 2:].max(axis=0)]) for m in members]
        )
        scores = np.array([scores[m].max() for m in members])
        cut = np.stack([cut[m].any(axis=0) for m in members])
    return boxes, scores


def _continue_each_other(boxes: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Return which boxes are parts of one object that two tiles have cut, bool `(n, n)`.

    They are cut at opposite edges, overlap there, and span about the same along the edge.
    """
    result = np.zeros((len(boxes), len(boxes)), bool)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    shared = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - low  # (n, n, 2)
    sides = boxes[:, 2:] - boxes[:, :2]
    longer = np.maximum(sides[:, None], sides[None])
    for axis in (0, 1):
        opposite = cut[:, None, axis + 2] & cut[None, :, axis]
        along = shared[..., 1 - axis] > _PART * longer[..., 1 - axis]
        result |= opposite & (shared[..., axis] > 0) & along
    np.fill_diagonal(result, False)
    return result | result.T


def _groups(are_linked: np.ndarray) -> np.ndarray:
    """Return for each of n things the number of its group, of a symmetric bool `(n, n)`."""
    groups = np.arange(len(are_linked))
    while True:
        lowest = np.where(are_linked, groups[None], len(groups)).min(axis=1)
        new = np.minimum(groups, lowest)
        if (new == groups).all():
            return groups
        groups = new
