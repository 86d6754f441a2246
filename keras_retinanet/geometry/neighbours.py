"""Pairs of boxes that overlap, found without comparing all boxes with all others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Pairs that are handed out at a time, for the memory.
_PAIRS = 500_000


def overlapping_pairs(
    boxes: np.ndarray, others: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the pairs of boxes that overlap or touch, each pair once.

    The plane is divided into square cells of about the size of the boxes; only boxes of one cell
    are compared. Pairs that only come near each other may be among those that are yielded.

    Args:
        boxes: (n, 4), `x1, y1, x2, y2` with `x1 <= x2` and `y1 <= y2`, finite.
        others: (m, 4), as above; may be the same array: then each box meets itself too.

    Yields:
        Positions in `boxes` and in `others`, two integer arrays `(k,)`; k is bounded, unless very
        many boxes lie on one place.
    """
    if not len(boxes) or not len(others):
        return
    sides = np.concatenate([boxes[:, 2:] - boxes[:, :2], others[:, 2:] - others[:, :2]])
    # With the root mean square of the sides, a box touches nine cells at most in the mean.
    cell = max(float(np.sqrt(np.square(sides, dtype="float64").mean())), 1e-3)
    corners = np.concatenate([boxes, others])
    origin = corners[:, :2].min(axis=0)
    first, last = (
        np.floor((corners[:, part] - origin) / cell).astype(int)
        for part in (slice(0, 2), slice(2, 4))
    )
    rows = int(last[:, 1].max()) + 1
    box, cells = _cells(first[: len(boxes)], last[: len(boxes)], rows)
    other, other_cells = _cells(first[len(boxes) :], last[len(boxes) :], rows)
    order = np.argsort(other_cells, kind="stable")
    other, other_cells = other[order], other_cells[order]
    starts = np.searchsorted(other_cells, cells)
    counts = np.searchsorted(other_cells, cells, side="right") - starts
    ends = np.cumsum(counts)
    at = 0
    while at < len(box):
        until = max(at + 1, int(np.searchsorted(ends, ends[at] - counts[at] + _PAIRS, "right")))
        some = slice(at, until)
        i = np.repeat(box[some], counts[some])
        j = other[_ranges(starts[some], counts[some])]
        # Boxes that share several cells are a pair in the first of them.
        common = np.maximum(first[i], first[len(boxes) + j])
        is_first = common[:, 0] * rows + common[:, 1] == np.repeat(cells[some], counts[some])
        yield i[is_first], j[is_first]
        at = until


def _cells(first: np.ndarray, last: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells that boxes lie in: positions of boxes `(k,)`, numbers of cells `(k,)`.

    Args:
        first: (n, 2), column and row of each box's upper left cell.
        last: (n, 2), column and row of its lower right cell.
        rows: rows of cells; cells are numbered column by column.
    """
    spans = last - first + 1
    counts = spans.prod(axis=1)
    box = np.repeat(np.arange(len(first)), counts)
    within = _ranges(np.zeros_like(counts), counts)
    column, row = np.divmod(within, spans[box, 1])
    return box, (first[box, 0] + column) * rows + first[box, 1] + row


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return `start, ..., start + count - 1` of each start and count, one after the other."""
    shift = starts - (np.cumsum(counts) - counts)
    return np.repeat(shift, counts) + np.arange(counts.sum())
