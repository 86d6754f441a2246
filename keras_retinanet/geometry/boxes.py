"""Box arithmetic, for NumPy arrays and Keras tensors alike.

A box is `x1, y1, x2, y2` in pixels of the image it lies on; the last axis holds the four values.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

# How far a box may leave its image and still be clipped to it: exporters round. In pixels, and as a
# share of the image's side.
EDGE_PIXELS, EDGE_SHARE = 1.0, 0.002


def array_module(*arrays: Any) -> ModuleType:
    """Return the module of functions for some arrays: `numpy`, or `keras.ops` for tensors."""
    if all(isinstance(array, (np.ndarray, np.generic, float, int)) for array in arrays):
        return np
    import keras

    return keras.ops


def area(boxes: np.ndarray) -> np.ndarray:
    """Return the areas `(...,)` in square pixels of boxes `(..., 4)`."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def order_corners(boxes: np.ndarray) -> np.ndarray:
    """Return boxes `(..., 4)` with `x1 <= x2` and `y1 <= y2`: a network may exchange corners."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([np.minimum(low, high), np.maximum(low, high)], axis=-1)


def are_valid(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return which boxes `(n, 4)` have an area and lie inside an image, as bool array `(n,)`."""
    sides = boxes[:, 2:] - boxes[:, :2]
    limits = np.array([width, height])
    return ((sides > 0) & (boxes[:, :2] >= 0) & (boxes[:, 2:] <= limits)).all(axis=1)


def edge_tolerance(height: float, width: float) -> np.ndarray:
    """Return how far a box may leave an image and still be clipped: pixels in x and y, `(2,)`."""
    return np.maximum(EDGE_PIXELS, EDGE_SHARE * np.array([width, height], "float64"))


def clip_to_image(
    boxes: np.ndarray, height: float, width: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes clipped to an image, which of them can be used, and which of these changed.

    A box can be used if it leaves the image by at most `edge_tolerance`, and has an area after
    clipping. For an image 100 pixels wide, -0.5 becomes 0 and 101 becomes 100; a box that ends at
    102 cannot be used. Unlike `clip`, the limits are the edges of the image.

    Args:
        boxes: float array `(n, 4)`; not changed.
        height: number of rows of the image.
        width: number of columns of the image.

    Returns:
        Three arrays: the boxes `(n, 4)`, those that cannot be used as they were; usable, bool
        `(n,)`; changed, bool `(n,)`.
    """
    limits = np.tile([width, height], 2)
    # Adding x and width, or scaling fractions, leaves an error in the last digits.
    tolerance = np.tile(edge_tolerance(height, width), 2) + 1e-6
    clipped = np.clip(boxes, 0, limits)
    near = ((boxes >= -tolerance) & (boxes <= limits + tolerance)).all(axis=1)  # False for NaN
    usable = near & (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    changed = usable & (clipped != boxes).any(axis=1)
    return np.where(usable[:, None], clipped, boxes), usable, changed


def iou(boxes: np.ndarray, query_boxes: np.ndarray) -> np.ndarray:
    """Return the intersection over union of every pair of boxes.

    Args:
        boxes: array `(n, 4)`; `n` may be 0.
        query_boxes: array `(m, 4)`; `m` may be 0.

    Returns:
        Array `(n, m)` in 0..1; 0 where both boxes of a pair are empty.
    """
    return iou_of_pairs(boxes[:, None], query_boxes[None])


def iou_of_pairs(boxes: np.ndarray, query_boxes: np.ndarray) -> np.ndarray:
    """Return the intersection over union `(...,)` of boxes `(..., 4)` with as many others."""
    shared = shared_area(boxes, query_boxes)
    union = area(boxes) + area(query_boxes) - shared
    return shared / np.maximum(union, np.finfo(np.float64).eps)


def shared_area(boxes: np.ndarray, query_boxes: np.ndarray) -> np.ndarray:
    """Return the area `(...,)` that boxes `(..., 4)` share with as many others."""
    sides = [
        np.minimum(boxes[..., i + 2], query_boxes[..., i + 2])
        - np.maximum(boxes[..., i], query_boxes[..., i])
        for i in range(2)
    ]
    return np.maximum(sides[0], 0) * np.maximum(sides[1], 0)


def clip(boxes: np.ndarray, height: float, width: float) -> np.ndarray:
    """Return boxes with every corner moved onto the pixels of an image.

    As in keras-retinanet 1.0.0 the maximum coordinates are `width - 1` and `height - 1`.

    Args:
        boxes: array or tensor `(..., 4)`.
        height: number of rows of the image; a number or a scalar tensor.
        width: number of columns of the image; a number or a scalar tensor.
    """
    ops = array_module(boxes, height, width)
    limits = (width - 1, height - 1)
    return ops.stack([ops.clip(boxes[..., i], 0, limits[i % 2]) for i in range(4)], axis=-1)


def shift(
    shape: Sequence[int] | np.ndarray,
    stride: float | Sequence[float],
    anchors: np.ndarray,
    *,
    offset: float = 0.5,
) -> np.ndarray:
    """Return `anchors` repeated around a point of every cell of a feature map.

    Args:
        shape: rows and columns of the feature map: two integers, or an integer tensor.
        stride: pixels from one cell to the next; a pair is for y and x, numbers or tensors.
        anchors: array or tensor `(A, 4)`, centred on the origin.
        offset: where in the cell the point lies, in strides; 0.5 is the middle.

    Returns:
        `(rows * columns * A, 4)`: row by row, then column by column, then anchor by anchor.
    """
    ops = array_module(shape[0], shape[1], anchors)
    dtype = getattr(anchors, "dtype", "float32")
    down, right = stride if isinstance(stride, (tuple, list)) else (stride, stride)
    x = (ops.arange(shape[1], dtype=dtype) + offset) * right
    y = (ops.arange(shape[0], dtype=dtype) + offset) * down
    x, y = ops.meshgrid(x, y)
    x, y = ops.reshape(x, (-1,)), ops.reshape(y, (-1,))
    centres = ops.stack([x, y, x, y], axis=-1)
    return ops.reshape(centres[:, None, :] + anchors[None, :, :], (-1, 4))
