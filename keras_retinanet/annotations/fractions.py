"""Boxes in fractions of the image's sides, as YOLO and Open Images have them."""

import numpy as np

# Beyond these, a number is in other units: boxes that leave their image do not leave it so far.
FAR_BELOW, FAR_ABOVE = -1.0, 2.0
# Tools write six digits of a centre and a size, so a side of a box may be off by this.
_ROUNDING = 1e-6


def are_far_outside(boxes: np.ndarray) -> np.ndarray:
    """Return which boxes `(n, 4)` are so far outside 0..1 that they are no fractions, `(n,)`."""
    return np.asarray(((boxes < FAR_BELOW) | (boxes > FAR_ABOVE)).any(axis=1))


def scale(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return boxes in pixels, float64 `(n, 4)`; they may leave their image.

    Args:
        boxes: in fractions, `(n, 4)`. What leaves 0..1 by a rounding error only is clipped.
        sizes: width and height of the image of each box, `(n, 2)`, or of all, `(2,)`.
    """
    clipped = np.clip(boxes, 0, 1)
    rounded = np.abs(clipped - boxes) <= _ROUNDING
    return np.where(rounded, clipped, boxes) * np.tile(sizes, 2)
