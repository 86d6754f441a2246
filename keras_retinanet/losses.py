"""The losses of RetinaNet, for `model.compile`.

All sum over the anchors of a batch and divide by its number of positive anchors (at least 1), as
keras-retinanet 1.0.0 did. They take compact and dense targets (see `geometry.targets`), and tell
them apart by the last dimension.
"""

from collections.abc import Callable
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_retinanet.system.messages import shorten

# From `y_true` and `y_pred` to a scalar.
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
UNIT_ANCHOR = np.array([0, 0, 1, 1], "float32")
# Areas are at least this before something is divided by them. On the unit anchor, that is far below
# the area of any box that an anchor is matched to.
MINIMUM_AREA = 1e-12


class BoxDecoder(Protocol):
    """What `giou` needs of a box coder; see `geometry.coders`."""

    def decode(self, anchors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the boxes `(..., 4)` that offsets stand for."""


def focal(alpha: float | None = 0.25, gamma: float = 2.0, cutoff: float = 0.5) -> Loss:
    """Return the focal loss: `-alpha_t (1 - p_t)**gamma log(p_t)` for each anchor and class.

    Where a class is present, `p_t` is its probability `p` and `alpha_t` is `alpha`; elsewhere they
    are `1 - p` and `1 - alpha` (Lin et al. 2017, https://arxiv.org/abs/1708.02002, equation 5).

    Args:
        alpha: weight of a class that is present; 1 - alpha is the weight of one that is not.
            None means no weighting.
        gamma: how much less an easy example counts; 0 gives cross entropy.
        cutoff: a label of dense targets above this counts as present; labels may be fractions.

    Returns:
        Function of `y_true` (`(B, N, 1)` compact or `(B, N, C + 1)` dense) and `y_pred`
        `(B, N, C)` probabilities, that returns a scalar.
    """

    def _focal(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        compact = y_true.shape[-1] == 1 and y_pred.shape[-1] is not None
        state = ops.minimum(y_true, 1.0) if compact else y_true[..., -1:]
        counted = ops.cast(state != -1, "float32") / _positives(state)
        if compact:
            present = y_true == ops.arange(1, y_pred.shape[-1] + 1, dtype="float32")
            return _focal_of_classes(present, y_pred, counted, alpha, gamma)
        labels, probability = y_true[..., :-1], _within_margin(y_pred)
        present = labels > cutoff
        weight = ops.where(present, 1 - probability, probability) ** gamma
        if alpha is not None:
            weight = weight * ops.where(present, alpha, 1 - alpha)
        return ops.sum(counted * weight * ops.binary_crossentropy(labels, probability))

    return _focal


def _focal_of_classes(
    present: tf.Tensor,
    y_pred: tf.Tensor,
    counted: tf.Tensor,
    alpha: float | None,
    gamma: float,
) -> tf.Tensor:
    """Return the focal loss of compact targets, with its gradient written out.

    The tensors are large, and most of the time goes into reading and writing them: TensorFlow's own
    derivative does 1.5 times as much of it as this one, which is
    `-alpha_t ((1 - p_t)**gamma / p_t - gamma (1 - p_t)**(gamma - 1) log(p_t))` by `p_t`.

    Args:
        present: whether a class is present, bool `(B, N, C)`.
        y_pred: probabilities `(B, N, C)`.
        counted: factor on each anchor, `(B, N, 1)`: 0 if it is ignored, else the same for all.
        alpha: see `focal`.
        gamma: see `focal`.

    Returns:
        Scalar.
    """
    if_present, if_absent = (1, 1) if alpha is None else (alpha, 1 - alpha)

    @ops.custom_gradient
    def loss(y_pred: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        probability = _within_margin(y_pred)
        opposite = 1 - probability
        p_t = ops.where(present, probability, opposite)
        rest = ops.where(present, opposite, probability)
        log = ops.log(p_t)
        factor = ops.where(present, -if_present * counted, -if_absent * counted)
        factor = factor * rest ** (gamma - 1.0)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            slope = upstream * factor * (rest / p_t - gamma * log)
            slope = ops.where(present, slope, -slope)
            return ops.where(y_pred == probability, slope, 0.0)

        return ops.sum(factor * rest * log), gradient

    return loss(y_pred)


def _within_margin(probability: tf.Tensor) -> tf.Tensor:
    """Return probabilities kept off 0 and 1, where the gradient would be infinite."""
    margin = keras.config.epsilon()
    return ops.clip(probability, margin, 1 - margin)


def smooth_l1(sigma: float = 3.0) -> Loss:
    """Return the smooth L1 loss of the box offsets of positive anchors.

    With `d = |y_true - y_pred|` it is `0.5 (sigma d)**2` where `d < 1 / sigma**2`, and
    `d - 0.5 / sigma**2` elsewhere (Girshick 2015, https://arxiv.org/abs/1504.08083, with the
    sigma of Faster R-CNN).

    Args:
        sigma: larger values make the quadratic part narrower.

    Returns:
        Function of `y_true` `(B, N, 5)` (offsets, then the anchor's state) and `y_pred`
        `(B, N, 4)`, that returns a scalar.
    """
    squared = sigma**2

    def _smooth_l1(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        state = y_true[..., -1]
        distance = ops.abs(y_pred - y_true[..., :-1])
        near = 0.5 * squared * distance**2
        values = ops.where(distance < 1 / squared, near, distance - 0.5 / squared)
        positive = ops.cast(state == 1, "float32")[..., None]
        return ops.sum(values * positive) / _positives(state)

    return _smooth_l1


def l1() -> Loss:
    """Return the L1 loss of the box offsets of positive anchors: the sum of the four distances.

    Returns:
        Function of `y_true` `(B, N, 5)` (offsets, then the anchor's state) and `y_pred`
        `(B, N, 4)`, that returns a scalar.
    """

    def _l1(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        offsets, predictions, state = _of_positives(y_true, y_pred)
        return ops.sum(ops.abs(predictions - offsets)) / _positives(state)

    return _l1


def giou(coder: BoxDecoder) -> Loss:
    """Return the GIoU loss of the boxes of positive anchors: `1 - GIoU`, from 0 to 2.

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

    Returns:
        Function of `y_true` `(B, N, 5)` (offsets, then the anchor's state) and `y_pred`
        `(B, N, 4)`, that returns a scalar.
    """

    def _giou(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        offsets, predictions, state = _of_positives(y_true, y_pred)
        true, found = coder.decode(UNIT_ANCHOR, offsets), coder.decode(UNIT_ANCHOR, predictions)
        low, high = ops.minimum(true, found), ops.maximum(true, found)
        shared = _area(high[..., :2], low[..., 2:])
        around = _area(low[..., :2], high[..., 2:])
        union = _area(true[..., :2], true[..., 2:]) + _area(found[..., :2], found[..., 2:]) - shared
        union, around = ops.maximum(union, MINIMUM_AREA), ops.maximum(around, MINIMUM_AREA)
        values = ops.where(state == 1, 2 - shared / union - union / around, 0.0)
        return ops.sum(values) / _positives(state)

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


def _positives(state: tf.Tensor) -> tf.Tensor:
    """Return the number of positive anchors, at least 1."""
    return ops.maximum(1.0, ops.sum(ops.cast(state == 1, "float32")))


# Box losses by their names in `ModelInfo.box_loss`, made for the coder of a model.
BOX_LOSSES: dict[str, Callable[[BoxDecoder], Loss]] = {
    "smooth_l1": lambda coder: smooth_l1(),
    "l1": lambda coder: l1(),
    "giou": giou,
}


def box_loss(name: str, coder: BoxDecoder) -> Loss:
    """Return the loss of the box offsets of a model.

    Args:
        name: a key of `BOX_LOSSES`: `smooth_l1`, `l1` or `giou`.
        coder: the box coder of the model.

    Raises:
        ValueError: if the name is another one.
    """
    if name not in BOX_LOSSES:
        raise ValueError(
            f"expected the name of a box loss, one of {', '.join(BOX_LOSSES)}, got {shorten(name)}"
        )
    return BOX_LOSSES[name](coder)
