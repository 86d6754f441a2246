"""Anchors as the grid they lie on: which of them overlap a box, without looking at all of them.

An 800x1333 image has 200,700 anchors; a few hundred of them overlap a box enough to matter.
"""

from typing import NamedTuple

import numpy as np

# How much the windows of `Grid.near` are widened, in cells or as a share: far more than what floats
# lose, so that no anchor at the very limit is missed.
SLACK = 1e-3


class Kinds(NamedTuple):
    """The K kinds of anchors: each shape on each level.

    Attributes:
        starts: index of the first anchor of a kind, `(K,)`.
        strides: pixels from one cell to the next, `(K,)`.
        steps: from the index of an anchor to that of the next along x, and along y, `(2, K)`.
        cells: number of columns, and of rows, `(2, K)`.
        sides: width and height of an anchor, `(2, K)`.
    """

    starts: np.ndarray
    strides: np.ndarray
    steps: np.ndarray
    cells: np.ndarray
    sides: np.ndarray


class Lines(NamedTuple):
    """Rows of anchors, or columns: L lines of anchors of one kind.

    Attributes:
        centres: the coordinate that the centres of a line have in common, `(L,)`.
        starts: index of the first anchor of a line, `(L,)`.
        steps: from the index of an anchor to that of the next, `(L,)`.
        sizes: number of anchors in a line, `(L,)`.
    """

    centres: np.ndarray
    starts: np.ndarray
    steps: np.ndarray
    sizes: np.ndarray

    def beyond(self, limit) -> np.ndarray:
        """Return the indices of the anchors whose coordinate is at least `limit`."""
        lines = np.flatnonzero(self.centres >= limit)
        line, place = _members(self.sizes[lines])
        line = lines[line]
        return self.starts[line] + place * self.steps[line]


class Grid:
    """The anchors of a padded image shape.

    Attributes:
        anchors: read-only array `(N, 4)`: level by level, row by row, column by column.
    """

    def __init__(self, levels, strides):
        """Take over the anchors of each level, `(R, C, A, 4)`, and the levels' strides."""
        self.anchors = np.concatenate([level.reshape(-1, 4) for level in levels])
        self.anchors.flags.writeable = False
        kinds, rows, columns, start = [], [], [], 0
        for anchors, stride in zip(levels, strides, strict=True):
            height, width, shapes, _ = anchors.shape
            end = start + height * width * shapes
            index, start = np.arange(start, end).reshape(height, width, shapes), end
            step, pitch = shapes, shapes * width
            # Slices of one row and of one column: a level may be empty.
            row, column, cell = anchors[:1], anchors[:, :1], anchors[:1, :1]
            sides = cell[..., 2] - cell[..., 0], cell[..., 3] - cell[..., 1]
            kinds.append((index[:1, :1], stride, step, pitch, width, height, *sides))
            rows.append(((column[..., 1] + column[..., 3]) / 2, index[:, :1], step, width))
            columns.append(((row[..., 0] + row[..., 2]) / 2, index[:1], pitch, height))
        starts, strides, *pairs = _joined(kinds)
        steps, cells, sides = (np.stack(pairs[i : i + 2]) for i in (0, 2, 4))
        self._kinds = Kinds(starts, strides, steps, cells, sides)
        self._rows, self._columns = Lines(*_joined(rows)), Lines(*_joined(columns))

    def outside(self, image_shape) -> np.ndarray:
        """Return the indices of anchors centred right of or below an image `(h, w, ...)`.

        They do not rise, and those of anchors both right of and below it come twice.
        """
        height, width = image_shape[:2]
        return np.concatenate([self._rows.beyond(height), self._columns.beyond(width)])

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
        of_anchors, cells = self._kinds.sides[:, None], self._kinds.cells[:, None]
        areas = (sides[:, 0] * sides[:, 1])[:, None] + self._kinds.sides[0] * self._kinds.sides[1]
        sides = sides.T[..., None]
        shorter = np.minimum(sides, of_anchors)
        least = overlap / (1 + overlap) * areas / shorter[::-1]  # of the shared area's sides
        reach = (sides + of_anchors) / 2 - least
        middle = centres / self._kinds.strides - 0.5
        reach = reach / self._kinds.strides + SLACK
        first = np.minimum(np.maximum(np.ceil(middle - reach), 0), cells)
        count = np.minimum(np.floor(middle + reach) + 1, cells) - first
        count[(count < 0) | (least > shorter * (1 + SLACK))] = 0
        return first.astype(int), count.astype(int)

    def _spread(self, firsts, counts):
        """Return the anchor and the box of each cell of the windows, box by box."""
        starts, _, (along_x, along_y), *_ = self._kinds
        corners = starts + firsts[0] * along_x + firsts[1] * along_y
        found = np.flatnonzero(counts[0] * counts[1])
        box, kind = np.divmod(found, len(starts))
        corner, columns, rows = (array.ravel()[found] for array in (corners, *counts))
        window, place = _members(columns * rows)
        row, column = np.divmod(place, columns[window])
        kind = kind[window]
        return corner[window] + row * along_y[kind] + column * along_x[kind], box[window]


def _joined(parts):
    """Return flat arrays: the first array or number of all parts, the second of all parts..."""
    parts = [np.broadcast_arrays(*part) for part in parts]
    return [np.concatenate([a.ravel() for a in arrays]) for arrays in zip(*parts, strict=True)]


def _members(sizes):
    """Return the set that each member of sets of these sizes belongs to, and its place there."""
    sets = np.arange(len(sizes)).repeat(sizes)
    return sets, np.arange(len(sets)) - (sizes.cumsum() - sizes).repeat(sizes)
