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
from keras_retinanet.geometry.boxes import area, iou_of_pairs, order_corners
from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.geometry.neighbours import overlapping_pairs

# Neighbouring tiles share a quarter of their side unless told otherwise.
OVERLAPPING_PART = 4
# A box is cut by an edge of its tile if it ends so near to it: pixels of the image, pixels of the
# network, share of the box's side. Networks do not find edges exactly.
_NEAR_PIXELS, _NEAR_NETWORK_PIXELS, _NEAR_SHARE = 2.0, 2.0, 0.05
# Share of a cut box inside a larger one of its class from which it is part of the same object.
_PART = 0.6
# Share of its score that the larger one needs: else a sure part would go with an unlikely box.
_PART_SCORE = 0.5


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
    found: Sequence[Detections],
    tiles: Sequence[Tile],
    size: tuple[int, int],
    settings: FilterSettings,
    network_pixel: float = 1.0,
) -> Detections:
    """Return the detections of all tiles as those of the image, each object once.

    Whole boxes suppress each other as in the filter of the network. Boxes that their tiles have cut
    become one where they continue each other. One that is mostly inside a larger box of its class
    is part of that, unless that has a much lower score.

    Args:
        found: the detections of each tile, in pixels of the tile.
        tiles: the tiles.
        size: height and width of the image.
        settings: how boxes suppress each other.
        network_pixel: how many pixels of the image are one of the network's, as tiles are resized.
    """
    if not found:
        return Detections.empty()
    moved = [
        replace(one, boxes=one.boxes + np.tile([tile.x, tile.y], 2))
        for one, tile in zip(found, tiles, strict=True)
    ]
    boxes = order_corners(np.concatenate([one.boxes for one in moved]).reshape(-1, 4))
    scores = np.concatenate([one.scores for one in moved])
    labels = np.concatenate([one.labels for one in moved]).astype(int)
    near = _nearness(boxes, network_pixel)
    cut = _cut(boxes, near, tiles, [len(one) for one in moved], size)
    is_cut = cut.any(axis=1)
    whole = np.flatnonzero(~is_cut)
    whole = whole[_suppress(boxes[whole], scores[whole], labels[whole], settings)]
    parts = [(boxes[whole], scores[whole], labels[whole])]
    for label in np.unique(labels[is_cut]):
        of_class = whole[labels[whole] == label]
        some = np.flatnonzero(is_cut & (labels == label))
        some = some[~_are_inside(boxes[some], scores[some], boxes[of_class], scores[of_class])]
        joined, best = _join(boxes[some], cut[some], near[some], scores[some])
        is_part = _are_inside(joined, best, joined, best)
        parts.append((joined[~is_part], best[~is_part], np.full((~is_part).sum(), label)))
    boxes, scores, labels = (np.concatenate(values) for values in zip(*parts, strict=True))
    kept = _suppress(boxes, scores, labels, settings)
    capped = any(one.capped for one in found)
    return Detections(boxes[kept], scores[kept], labels[kept], capped, found[0].class_names)


def _nearness(boxes: np.ndarray, network_pixel: float) -> np.ndarray:
    """Return how near to an edge a box has to end to be cut by it, `(n, 2)` pixels for x and y."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.maximum(_NEAR_SHARE * sides, max(_NEAR_PIXELS, _NEAR_NETWORK_PIXELS * network_pixel))


def _cut(
    boxes: np.ndarray,
    near: np.ndarray,
    tiles: Sequence[Tile],
    counts: Sequence[int],
    size: tuple[int, int],
) -> np.ndarray:
    """Return which edges of its tile, other than those of the image, each box touches, `(n, 4)`."""
    height, width = size
    edges = np.array([[t.x, t.y, t.x + t.width, t.y + t.height] for t in tiles])
    is_inner = (edges > 0) & (edges < [width, height, width, height])
    of_box = np.repeat(np.arange(len(tiles)), counts)
    return (np.abs(boxes - edges[of_box]) <= np.tile(near, 2)) & is_inner[of_box]


def _suppress(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, settings: FilterSettings
) -> np.ndarray:
    """Return the positions of boxes that no better one overlaps, best first."""
    order = np.argsort(-scores, kind="stable")
    if not settings.nms:
        return order
    groups = labels[order] if settings.class_specific_filter else np.zeros_like(labels)
    boxes = boxes[order]
    suppressed_by = [np.zeros((0, 2), int)]  # better box, worse box: positions in the order
    for better, worse in overlapping_pairs(boxes, boxes):
        overlap = (better < worse) & (groups[better] == groups[worse])
        overlap &= iou_of_pairs(boxes[better], boxes[worse]) > settings.nms_threshold
        suppressed_by.append(np.stack([better[overlap], worse[overlap]], axis=1))
    pairs = np.concatenate(suppressed_by)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    starts = np.searchsorted(pairs[:, 0], np.arange(len(boxes) + 1))
    kept = np.ones(len(boxes), bool)
    for better in np.unique(pairs[:, 0]):
        if kept[better]:
            kept[pairs[starts[better] : starts[better + 1], 1]] = False
    return order[kept]


def _are_inside(
    boxes: np.ndarray, scores: np.ndarray, others: np.ndarray, other_scores: np.ndarray
) -> np.ndarray:
    """Return whether most of each box `(n, 4)` is inside a larger, likely one of others."""
    result, areas, other_areas = np.zeros(len(boxes), bool), area(boxes), area(others)
    for i, j in overlapping_pairs(boxes, others):
        low = np.maximum(boxes[i, :2], others[j, :2])
        high = np.minimum(boxes[i, 2:], others[j, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        is_part = (shared > _PART * areas[i]) & (other_areas[j] > areas[i])
        result[i[is_part & (other_scores[j] >= _PART_SCORE * scores[i])]] = True
    return result


def _join(
    boxes: np.ndarray, cut: np.ndarray, near: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes around parts of one object, and their best scores.

    Rows of parts are joined first, then what became of them, until nothing continues anything.

    Args:
        boxes: (n, 4), all cut.
        cut: (n, 4), by which edges: left, top, right, bottom.
        near: (n, 2), how exact the edges of each box are.
        scores: (n,).
    """
    while True:
        pairs = _continuing_pairs(boxes, cut, near)
        if not len(pairs):
            return boxes, scores
        _, groups = np.unique(_groups(len(boxes), pairs), return_inverse=True)
        count = groups.max() + 1
        low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
        np.minimum.at(low, groups, boxes[:, :2])
        np.maximum.at(high, groups, boxes[:, 2:])
        around = np.concatenate([low, high], axis=1).astype(boxes.dtype)
        cut_by, best = np.zeros((count, 4), bool), np.zeros(count, scores.dtype)
        # What ends with a whole edge is not cut there, though a part of it inside was.
        np.logical_or.at(cut_by, groups, cut & (boxes == around[groups]))
        np.maximum.at(best, groups, scores)
        exact = np.zeros((count, 2))
        np.maximum.at(exact, groups, near)
        boxes, cut, scores, near = around, cut_by, best, exact


def _continuing_pairs(boxes: np.ndarray, cut: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return the positions of boxes that are parts of one object that two tiles have cut, `(k, 2)`.

    They are cut at opposite edges, one begins and ends before the other, they overlap or meet, and
    span about the same along the edge.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    wider = boxes + np.concatenate([-near, near], axis=1)
    found = [np.zeros((0, 2), int)]
    for i, j in overlapping_pairs(wider, wider):
        low = np.maximum(boxes[i, :2], boxes[j, :2])
        shared = np.minimum(boxes[i, 2:], boxes[j, 2:]) - low  # (pairs, 2)
        exact = near[i] + near[j]
        meet = shared >= -exact
        first = (boxes[i, :2] <= boxes[j, :2] + exact) & (boxes[i, 2:] <= boxes[j, 2:] + exact)
        along = shared > _PART * np.maximum(sides[i], sides[j])
        for axis in (0, 1):
            opposite = cut[i, axis + 2] & cut[j, axis]
            continues = opposite & (meet & first)[:, axis] & along[:, 1 - axis] & (i != j)
            found.append(np.stack([i[continues], j[continues]], axis=1))
    return np.concatenate(found)


def _groups(count: int, pairs: np.ndarray) -> np.ndarray:
    """Return the group of each of some things, of which pairs `(k, 2)` belong together."""
    groups = np.arange(count)
    while True:
        new = groups.copy()
        np.minimum.at(new, pairs[:, 0], groups[pairs[:, 1]])
        np.minimum.at(new, pairs[:, 1], groups[pairs[:, 0]])
        if (new == groups).all():
            return groups
        groups = new
