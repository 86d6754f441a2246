"""A look-up of the anchors near a box.

An 800x1333 image has 200,700 anchors, but only a few hundred overlap a box enough to matter.
"""

from collections.abc import Sequence

import numpy as np

# Pixels by which windows are widened: far more than floats lose by rounding, so that no anchor
# exactly at the limit is missed.
MARGIN = 1e-3
NO_INDICES = np.zeros(0, int)


class AnchorIndex:
    """The anchors of all pyramid levels of a padded image shape.

    Attributes:
        anchors: read-only array `(N, 4)`: level by level, row by row, column by column.
    """

    def __init__(self, levels: Sequence[np.ndarray]) -> None:
        """Index the anchors `(R, C, A, 4)` of each level; R and C may be 0."""
        self.anchors = np.concatenate([anchors.reshape(-1, 4) for anchors in levels])
        self.anchors.flags.writeable = False
        self._levels = []
        start = 0
        for anchors in levels:
            if anchors.size:
                self._levels.append(AnchorLevel(anchors, start))
            start += anchors.size // 4

    def near(self, bboxes: np.ndarray, overlap: float) -> tuple[np.ndarray, np.ndarray]:
        """Return pairs of an anchor and a box: all whose IoU is at least `overlap`, and some more.

        Args:
            bboxes: finite float64 array `(n, 4)`; `n` may be 0.
            overlap: minimum IoU, above 0.

        Returns:
            Two int arrays `(p,)`: indices into `anchors` and into `bboxes`.
        """
        pairs = [level.near(bboxes, overlap) for level in self._levels]
        return (
            np.concatenate([NO_INDICES, *(anchor_indices for anchor_indices, _ in pairs)]),
            np.concatenate([NO_INDICES, *(box_indices for _, box_indices in pairs)]),
        )

    def outside(self, image_shape: Sequence[int]) -> np.ndarray:
        """Return the indices of anchors centred right of or below an image `(h, w, ...)`."""
        return np.concatenate([NO_INDICES, *(lev.outside(image_shape) for lev in self._levels)])


class AnchorLevel:
    """One pyramid level: A anchors of different shapes around the centre of each of R x C cells."""

    def __init__(self, anchors: np.ndarray, start: int) -> None:
        """Keep where the anchors lie.

        Args:
            anchors: array `(R, C, A, 4)` without empty axes.
            start: index of the level's first anchor among those of all levels.
        """
        row, column = anchors[0], anchors[:, 0]  # (C, A, 4), (R, A, 4)
        self._indices = start + np.arange(anchors.size // 4).reshape(anchors.shape[:3])
        self._sides = row[0, :, 2:] - row[0, :, :2]  # (A, 2)
        # The anchors of a cell have the same centre, except for the rounding of floats.
        self._x = (row[..., 0] + row[..., 2]) / 2  # (C, A)
        self._y = (column[..., 1] + column[..., 3]) / 2  # (R, A)

    # How `near` finds the cells. An IoU of at least t means a shared area of at least t / (1 + t)
    # times the sum of both areas, which limits how far apart the centres can be. For example, with
    # t = 0.4:
    #
    #     box       100, 100, 160, 140: 60 wide, 40 high, centred on (130, 120)
    #     level     a cell every 8 pixels: centres at 4, 12, 20...
    #     anchor    50 wide, 50 high
    #
    # The areas are 2400 and 2500, so the shared area has to be 0.4 / 1.4 * 4900 = 1400. Around the
    # same centre the two share 50 * 40 = 2000, so this shape is compatible with the box.
    # In x: they share at most 40 pixels of height, so at least 1400 / 40 = 35 of width. Their
    # centres are at most (60 + 50) / 2 - 35 = 20 apart: cells at 116, 124, 132, 140, 148.
    # In y: they share at most 50 pixels of width, so at least 1400 / 50 = 28 of height. Their
    # centres are at most (40 + 50) / 2 - 28 = 17 apart: cells at 108, 116, 124, 132.
    # Only anchors of this shape in these 5 x 4 cells can reach the IoU. Not all do: both limits
    # take the best case of the other direction.
    def near(self, bboxes: np.ndarray, overlap: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs of an anchor of this level and a box; see `AnchorIndex.near`."""
        box_indices, shapes, shared_area = _compatible_pairs(bboxes, self._sides, overlap)
        boxes, anchor_sides = bboxes[box_indices], self._sides[shapes]  # (p, 4), (p, 2)
        box_sides = boxes[:, 2:] - boxes[:, :2]
        shared_sides = shared_area[:, None] / np.minimum(box_sides, anchor_sides)[:, ::-1]
        reach = (box_sides + anchor_sides) / 2 - shared_sides + MARGIN
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        windows = np.column_stack(
            [
                self._x[:, 0].searchsorted(centres[:, 0] - reach[:, 0]),
                self._x[:, 0].searchsorted(centres[:, 0] + reach[:, 0]),
                self._y[:, 0].searchsorted(centres[:, 1] - reach[:, 1]),
                self._y[:, 0].searchsorted(centres[:, 1] + reach[:, 1]),
                shapes,
            ]
        )
        found = [
            self._indices[top:bottom, left:right, shape].ravel()
            for left, right, top, bottom, shape in windows.tolist()
        ]
        counts = [len(indices) for indices in found]
        return np.concatenate([NO_INDICES, *found]), np.repeat(box_indices, counts)

    def outside(self, image_shape: Sequence[int]) -> np.ndarray:
        """Return the indices of this level's anchors centred right of or below an image."""
        below, right = self._y >= image_shape[0], self._x >= image_shape[1]
        if not below.any() and not right.any():
            return NO_INDICES
        return self._indices[below[:, None] | right]


def _compatible_pairs(
    bboxes: np.ndarray, anchor_sides: np.ndarray, overlap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which boxes and anchor shapes overlap enough when they have the same centre.

    Args:
        bboxes: array `(n, 4)`; boxes without area are compatible with no shape.
        anchor_sides: widths and heights `(A, 2)`.
        overlap: minimum IoU, above 0.

    Returns:
        Indices of boxes and of shapes, and the area that such a pair shares at that IoU: `(p,)`.
    """
    box_sides = np.maximum(bboxes[:, None, 2:] - bboxes[:, None, :2], 0)  # (n, 1, 2)
    largest = np.minimum(box_sides, anchor_sides).prod(axis=2)  # (n, A)
    shared_area = overlap / (1 + overlap) * (box_sides.prod(axis=2) + anchor_sides.prod(axis=1))
    box_indices, shapes = np.nonzero(largest * (1 + MARGIN) >= shared_area)
    return box_indices, shapes, shared_area[box_indices, shapes]
