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
    """Rows of anchors, or columns: L lines of anchors of one kind, in the order of `centres`.

    Attributes:
        centres: the coordinate that the centres of a line have in common, `(L,)`, not falling.
        starts: index of the first anchor of a line, `(L,)`.
        steps: from the index of an anchor to that of the next, `(L,)`.
        sizes: number of anchors in a line, `(L,)`.
    """

    centres: np.ndarray
    starts: np.ndarray
    steps: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, parts) -> "Lines":
        """Return the lines of all levels."""
        attributes = _joined(parts)
        order = attributes[0].argsort()
        return cls(*(attribute[order] for attribute in attributes))

    def beyond(self, limit) -> np.ndarray:
        """Return the indices of the anchors whose coordinate is at least `limit`."""
        first = self.centres.searchsorted(limit)
        return _sequences(self.starts[first:], self.steps[first:], self.sizes[first:])


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
        self._rows, self._columns = Lines.of(rows), Lines.of(columns)

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
        owners, kinds, shared = self._alike(bboxes, overlap)
        kinds = Kinds(*(attribute[..., kinds] for attribute in self._kinds))
        (column, row), (columns, rows) = _windows(bboxes[owners].T, kinds, shared)
        along_x, along_y = kinds.steps
        lines = _sequences(kinds.starts + column * along_x + row * along_y, along_y, rows)
        anchors = _sequences(lines, along_x.repeat(rows), columns.repeat(rows))
        return anchors, owners.repeat(columns * rows)

    def _alike(self, bboxes, overlap):
        """Return pairs of a box and a kind of anchor that overlap enough about the same centre.

        Returns:
            Indices of the boxes and of the kinds, and the area that such a pair shares at the
            overlap: arrays `(p,)`.
        """
        width, height = np.maximum(bboxes[:, 2:] - bboxes[:, :2], 0).T[..., None]
        widths, heights = self._kinds.sides
        most = np.minimum(width, widths) * np.minimum(height, heights)
        least = overlap / (1 + overlap) * (width * height + widths * heights)
        alike = np.nonzero(most * (1 + SLACK) >= least)
        return *alike, least[alike]


def _windows(bboxes, kinds, shared):
    """Return the cells whose anchor overlaps a box enough, and some more.

    Args:
        bboxes: array `(4, p)`.
        kinds: `Kinds` with an anchor for each box.
        shared: the area that the two share where they overlap enough, `(p,)`; above 0.

    Returns:
        First column and row, and number of columns and rows: int arrays `(2, p)`.
    """
    low, high = bboxes[:2], bboxes[2:]
    sides = high - low
    # The shared area is no higher than either, so it is at least so wide, and the other way round.
    least = shared / np.minimum(sides, kinds.sides)[::-1]
    reach = ((sides + kinds.sides) / 2 - least) / kinds.strides + SLACK
    middle = (low + high) / 2 / kinds.strides - 0.5
    first = np.minimum(np.maximum(np.ceil(middle - reach), 0), kinds.cells)
    end = np.minimum(np.floor(middle + reach) + 1, kinds.cells)
    return first.astype(int), np.maximum(end - first, 0).astype(int)


def _joined(parts):
    """Return flat arrays: the first array or number of all parts, the second of all parts..."""
    parts = [np.broadcast_arrays(*part) for part in parts]
    return [np.concatenate([a.ravel() for a in arrays]) for arrays in zip(*parts, strict=True)]


def _sequences(firsts, steps, sizes):
    """Return the numbers of arithmetic sequences, one sequence after the other."""
    begins = sizes.cumsum() - sizes
    place = np.arange(sizes.sum()) - begins.repeat(sizes)
    return firsts.repeat(sizes) + place * steps.repeat(sizes)
