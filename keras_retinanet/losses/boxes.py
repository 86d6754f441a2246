"""The losses of box offsets."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf
from keras import ops

from keras_retinanet.losses.common import Loss, check_normaliser, divisor, joint
from keras_retinanet.system.messages import shorten

UNIT_ANCHOR = np.array([0, 0, 1, 1], "float32")
# Areas are at least this before something is divided by them. On the unit anchor, that is far below
# the area of any box that an anchor is matched to.
MINIMUM_AREA = 1e-12
# The weight of GIoU in training, beside the classification loss: of 1, 2 and 4 the one with which
# boxes were tightest and classes learnt soonest (benchmarks/small_sets.py).
GIOU_WEIGHT = 2.0


class BoxDecoder(Protocol):
    """What `giou` needs of a box coder; see `geometry.coders`."""

    def decode(self, anchors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the boxes `(..., 4)` that offsets stand for."""


def smooth_l1(sigma: float = 3.0, *, normaliser: str = "batch") -> Loss:
    """Return the smooth L1 loss of the box offsets of positive anchors.

    With `d = |y_true - y_pred|` it is `0.5 (sigma d)**2` where `d < 1 / sigma**2`, and
    `d - 0.5 / sigma**2` elsewhere (Girshick 2015, https://arxiv.org/abs/1504.08083, with the
    sigma of Faster R-CNN).

    Args:
        sigma: larger values make the quadratic part narrower.
        normaliser: "batch" or "image", see `common.divisor`.

    Returns:
        Function of `y_true` `(B, N, 5)` (offsets, then the anchor's state) and `y_pred`
        `(B, N, 4)`, that returns a scalar.

    Raises:
        ValueError: if the normaliser is unknown.
    """
    check_normaliser(normaliser)
    squared = sigma**2

    def _smooth_l1(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        state = y_true[..., -1]
        distance = ops.abs(y_pred - y_true[..., :-1])
        near = 0.5 * squared * distance**2
        values = ops.where(distance < 1 / squared, near, distance - 0.5 / squared)
        values = ops.sum(values, axis=-1) * ops.cast(state == 1, "float32")
        return joint(ops.sum(values / divisor(state, normaliser)))

    return _smooth_l1


def l1(*, normaliser: str = "batch") -> Loss:
    """Return the L1 loss of the box offsets of positive anchors: the sum of the four distances.

    Args:
        normaliser: "batch" or "image", see `common.divisor`.

    Returns:
        Function of `y_true` `(B, N, 5)` (offsets, then the anchor's state) and `y_pred`
        `(B, N, 4)`, that returns a scalar.

    Raises:
        ValueError: if the normaliser is unknown.
    """
    check_normaliser(normaliser)

    def _l1(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        offsets, predictions, state = _of_positives(y_true, y_pred)
        values = ops.sum(ops.abs(predictions - offsets), axis=-1)
        return joint(ops.sum(values / divisor(state, normaliser)))

    return _l1


def giou(coder: BoxDecoder, *, weight: float = 1.0, normaliser: str = "batch") -> Loss:
    """Return the GIoU loss of the boxes of positive anchors: `1 - GIoU`, from 0 to 2, weighed.

    `GIoU = I / U - (C - U) / C` with the areas of intersection I and union U of two boxes, and of
    the smallest box around both, C (Rezatofighi et al. 2019, https://arxiv.org/abs/1902.09630).

    All three grow by the same factor where the boxes are moved and their x and y are scaled, so
    that GIoU stays as it is. Boxes decoded on the anchor 0, 0, 1, 1 differ from those decoded on
    their own anchor in just this way: the loss is exactly that of the boxes in the image, without
    their anchors.

    Both boxes are decoded as a detector decodes them, clamps included. Beyond a clamp, the
    derivative by that offset is 0. A predicted box whose corners have changed places counts as
    empty.

    Args:
        coder: of the offsets, such as a `CentreCoder` or `CornerCoder`.
        weight: factor on the loss.
        normaliser: "batch" or "image", see `common.divisor`.

    Returns:
        Function of `y_true` `(B, N, 5)` (offsets, then the anchor's state) and `y_pred`
        `(B, N, 4)`, that returns a scalar.

    Raises:
        ValueError: if the normaliser is unknown.
    """
    check_normaliser(normaliser)

    def _giou(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        offsets, predictions, state = _of_positives(y_true, y_pred)
        true, found = coder.decode(UNIT_ANCHOR, offsets), coder.decode(UNIT_ANCHOR, predictions)
        low, high = ops.minimum(true, found), ops.maximum(true, found)
        shared = _area(high[..., :2], low[..., 2:])
        around = _area(low[..., :2], high[..., 2:])
        union = _area(true[..., :2], true[..., 2:]) + _area(found[..., :2], found[..., 2:]) - shared
        union, around = ops.maximum(union, MINIMUM_AREA), ops.maximum(around, MINIMUM_AREA)
        values = ops.where(state == 1, 2 - shared / union - union / around, 0.0)
        return joint(weight * ops.sum(values / divisor(state, normaliser)))

    return _giou


def _area(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Return the areas `(...,)` between corners `(..., 2)`; 0 where they have changed places."""
    sides = ops.maximum(high - low, 0.0)
    return sides[..., 0] * sides[..., 1]


def _of_positives(y_true: tf.Tensor, y_pred: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return true and predicted offsets, 0 unless the anchor is positive, and the anchors' states.

    Whatever the offsets of other anchors are, the loss and its gradient stay finite.
    """
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    state = y_true[..., -1]
    positive = state[..., None] == 1
    return ops.where(positive, y_true[..., :-1], 0.0), ops.where(positive, y_pred, 0.0), state


# Box losses by their names in `ModelInfo.box_loss`, made for the coder of a model.
BOX_LOSSES: dict[str, Callable[[BoxDecoder, str], Loss]] = {
    "smooth_l1": lambda coder, normaliser: smooth_l1(normaliser=normaliser),
    "l1": lambda coder, normaliser: l1(normaliser=normaliser),
    "giou": lambda coder, normaliser: giou(coder, weight=GIOU_WEIGHT, normaliser=normaliser),
}


def box_loss(name: str, coder: BoxDecoder, *, normaliser: str = "batch") -> Loss:
    """Return the loss of the box offsets of a model.

    Args:
        name: a key of `BOX_LOSSES`: `smooth_l1`, `l1` or `giou`.
        coder: the box coder of the model.
        normaliser: "batch" or "image", see `common.divisor`.

    Raises:
        ValueError: if the name is another one, or the normaliser unknown.
    """
    if name not in BOX_LOSSES:
        raise ValueError(
            f"expected the name of a box loss, one of {', '.join(BOX_LOSSES)}, got {shorten(name)}"
        )
    return BOX_LOSSES[name](coder, normaliser)
