"""Anchors as the grid they lie on: which of them overlap a box, without looking at all of them.

An 800x1333 image has 200,700 anchors; a few hundred of them overlap a box enough to matter.
"""

from collections.abc import Iterator
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
        right: the greatest x.
        bottom: the greatest y.
    """

    start: int
    stride: float
    sides: np.ndarray
    x: np.ndarray
    y: np.ndarray
    right: float
    bottom: float

    @classmethod
    def of(cls, anchors, start, stride) -> "Level":
        """Return the level of anchors `(R, C, A, 4)`."""
        row, column = anchors[0], anchors[:, 0]
        sides = anchors[0, 0, :, 2:] - anchors[0, 0, :, :2]
        x, y = (row[..., 0] + row[..., 2]) / 2, (column[..., 1] + column[..., 3]) / 2
        return cls(start, stride, sides, x, y, float(x.max()), float(y.max()))

    def outside(self, height, width) -> Iterator[np.ndarray]:
        """Give the indices of anchors below an image of this size, and of those right of it."""
        kinds, columns, rows = len(self.sides), len(self.x), len(self.y)
        if self.bottom >= height:
            row, kind = np.divmod(np.flatnonzero(self.y >= height), kinds)
            first = self.start + row * columns * kinds + kind
            yield (first[:, None] + np.arange(columns) * kinds).ravel()
        if self.right >= width:
            first = self.start + np.flatnonzero(self.x >= width)
            yield (first[:, None] + np.arange(rows) * columns * kinds).ravel()


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
        self._steps = self._per_kind(lambda level: len(level.sides))  # to the next column
        self._pitches = self._per_kind(lambda level: level.x.size)  # to the next row
        self._cells = np.stack(
            [self._per_kind(lambda level: len(level.x)), self._per_kind(lambda level: len(level.y))]
        )
        self._sides = np.stack(
            [self._per_kind(lambda level, i=i: level.sides[:, i]) for i in range(2)]
        )

    def _per_kind(self, value):
        """Return a number of each kind `(K,)` from what a function says of its level."""
        parts = [np.broadcast_to(value(level), len(level.sides)) for level in self.levels]
        return np.concatenate(parts) if parts else np.zeros(0, int)

    def outside(self, image_shape) -> np.ndarray:
        """Return the indices of anchors centred right of or below an image `(h, w, ...)`.

        They do not rise, and those of anchors both right of and below it come twice.
        """
        height, width = image_shape[:2]
        parts = [part for level in self.levels for part in level.outside(height, width)]
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
        """Return first column and row, and number of columns and rows: int arrays `(2, n, K)`."""
        centres = ((bboxes[:, :2] + bboxes[:, 2:]) / 2).T[..., None]
        areas = sides.prod(axis=1)[:, None] + self._sides.prod(axis=0)
        sides = sides.T[..., None]
        shorter = np.minimum(sides, self._sides[:, None])
        least = overlap / (1 + overlap) * areas / shorter[::-1]  # of the shared area's sides
        reach = (sides + self._sides[:, None]) / 2 - least
        cells, middle = self._cells[:, None], centres / self._strides - 0.5
        reach = reach / self._strides + SLACK
        first = np.minimum(np.maximum(np.ceil(middle - reach), 0), cells)
        count = np.minimum(np.floor(middle + reach) + 1, cells) - first
        count[(count < 0) | (least > shorter * (1 + SLACK))] = 0
        return first.astype(int), count.astype(int)

    def _spread(self, firsts, counts):
        """Return the anchor and the box of each cell of the windows, box by box."""
        sizes = counts[0] * counts[1]
        corners = self._starts + firsts[1] * self._pitches + firsts[0] * self._steps
        boxes, kinds = found = np.nonzero(sizes)
        sizes = sizes[found]
        window = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(window)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        row, column = np.divmod(place, counts[0][found][window])
        pitches, steps = self._pitches[kinds][window], self._steps[kinds][window]
        return corners[found][window] + row * pitches + column * steps, boxes[window]
