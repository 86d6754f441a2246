"""The losses of RetinaNet, for `model.compile`.

Both sum over the anchors of a batch and divide by its number of positive anchors (at least 1), as
keras-retinanet 1.0.0 did. They take compact and dense targets (see `geometry.targets`), and tell
them apart by the last dimension.
"""

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

# From `y_true` and `y_pred` to a scalar.
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


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


def _positives(state: tf.Tensor) -> tf.Tensor:
    """Return the number of positive anchors, at least 1."""
    return ops.maximum(1.0, ops.sum(ops.cast(state == 1, "float32")))
