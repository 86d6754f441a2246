"""Anchors as the grid they lie on: which of them overlap a box, without looking at all of them.

An 800x1333 image has 200,700 anchors; a few hundred of them overlap a box enough to matter.
"""

from dataclasses import dataclass

import numpy as np

# How much the windows of `Grid.near` are widened, in cells or as a share: far more than what floats
# lose, so that no anchor at the very limit is missed.
SLACK = 1e-3


@dataclass(frozen=True)
class Level:
    """One pyramid level: A anchors around the centre of each of its R x C cells.

    Attributes:
        start: index of its first anchor.
        stride: pixels from one cell to the next.
        sides: width and height of the anchors of a cell, `(A, 2)`.
        x: x of the anchors' centres, `(C, A)`.
        y: y of the anchors' centres, `(R, A)`.
    """

    start: int
    stride: float
    sides: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, anchors, start, stride) -> "Level":
        """Return the level of anchors `(R, C, A, 4)`."""
        row, column = anchors[0], anchors[:, 0]
        sides = anchors[0, 0, :, 2:] - anchors[0, 0, :, :2]
        x, y = (row[..., 0] + row[..., 2]) / 2, (column[..., 1] + column[..., 3]) / 2
        return cls(start, stride, sides, x, y)

    def outside(self, height, width) -> np.ndarray:
        """Return the indices of anchors centred right of or below an image of this size."""
        rows, columns = self.y >= height, self.x >= width
        if not rows.any() and not columns.any():
            return np.zeros(0, int)
        return self.start + np.flatnonzero(rows[:, None] | columns)


class Grid:
    """The anchors of a padded image shape.

    Attributes:
        anchors: read-only array `(N, 4)`: level by level, row by row, column by column.
        levels: a `Level` for each pyramid level.
    """

    def __init__(self, levels, strides):
        """Take over the anchors of each level, `(R, C, A, 4)`, and the levels' strides."""
        self.anchors = np.concatenate([level.reshape(-1, 4) for level in levels])
        self.anchors.flags.writeable = False
        numbers = np.array([level.size // 4 for level in levels], int)
        starts = np.cumsum(numbers) - numbers
        self.levels = [
            Level.of(level, int(start), stride)
            for level, start, stride in zip(levels, starts, strides, strict=True)
            if level.size
        ]
        # The K kinds of anchors: each shape on each level.
        self._starts = self._per_kind(lambda level: level.start + np.arange(len(level.sides)))
        self._strides = self._per_kind(lambda level: level.stride)
        self._steps = self._per_kind(lambda level: len(level.sides))
        self._cells = [
            self._per_kind(lambda level: len(level.x)),
            self._per_kind(lambda level: len(level.y)),
        ]
        self._sides = [self._per_kind(lambda level, i=i: level.sides[:, i]) for i in range(2)]

    def _per_kind(self, value):
        """Return a number of each kind `(K,)` from what a function says of its level."""
        parts = [np.broadcast_to(value(level), len(level.sides)) for level in self.levels]
        return np.concatenate(parts) if parts else np.zeros(0, int)

    def outside(self, image_shape) -> np.ndarray:
        """Return the indices of anchors centred right of or below an image `(h, w, ...)`."""
        height, width = image_shape[:2]
        parts = [level.outside(height, width) for level in self.levels]
        return np.concatenate([np.zeros(0, int), *parts])

    def near(self, bboxes, overlap):
        """Return pairs of an anchor and a box: all whose IoU is at least `overlap`, and some more.

        The shared area of such a pair is at least `overlap / (1 + overlap)` of the sum of both
        areas. It is no higher than either of the two, so it is at least that wide, and so the
        centres are at most so far apart; likewise the other way round. These are windows of cells.

        Args:
            bboxes: finite float64 array `(n, 4)`; `n` may be 0.
            overlap: above 0.

        Returns:
            Int arrays `(p,)` of indices into the anchors and into `bboxes`.
        """
        sides = bboxes[:, 2:] - bboxes[:, :2]
        index = np.flatnonzero((sides > 0).all(axis=1))  # others overlap nothing
        windows = self._windows(bboxes[index], sides[index], overlap)
        anchors, owners = self._spread(*windows)
        return anchors, index[owners]

    def _windows(self, bboxes, sides, overlap):
        """Return first column and row, and number of columns and rows: int arrays `(n, K)`."""
        centres = (bboxes[:, :2] + bboxes[:, 2:]) / 2
        shorter = [np.minimum(sides[:, i, None], self._sides[i]) for i in range(2)]
        areas = sides.prod(axis=1)[:, None] + self._sides[0] * self._sides[1]
        shared = overlap / (1 + overlap) * areas
        firsts, counts = [], []
        for i in range(2):
            least = shared / shorter[1 - i]  # of the shared area's side
            reach = (sides[:, i, None] + self._sides[i]) / 2 - least
            low = (centres[:, i, None] - reach) / self._strides - 0.5 - SLACK
            high = (centres[:, i, None] + reach) / self._strides - 0.5 + SLACK
            first = np.clip(np.ceil(low), 0, self._cells[i])
            count = np.clip(np.floor(high) + 1, 0, self._cells[i]) - first
            count[(count < 0) | (least > shorter[i] * (1 + SLACK))] = 0
            firsts.append(first.astype(int))
            counts.append(count.astype(int))
        return firsts, counts

    def _spread(self, firsts, counts):
        """Return the anchor and the box of each cell of the windows."""
        sizes = counts[0] * counts[1]
        boxes, kinds = np.nonzero(sizes)
        sizes = sizes[boxes, kinds]
        window = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(window)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        row, column = np.divmod(place, counts[0][boxes, kinds][window])
        row += firsts[1][boxes, kinds][window]
        column += firsts[0][boxes, kinds][window]
        kinds = kinds[window]
        cells = row * self._cells[0][kinds] + column
        return self._starts[kinds] + cells * self._steps[kinds], boxes[window]
