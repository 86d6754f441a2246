"""The focal loss of compact targets, with its gradient written out.

The tensors are large, and most of the time goes into reading and writing them. The gradients that
TensorFlow derives do 1.5 times as much of it as these.
"""

from collections.abc import Callable

import tensorflow as tf
from keras import ops

from keras_retinanet.losses.logits import within_margin


def focal_of_logits(
    present: tf.Tensor, logits: tf.Tensor, share: tf.Tensor, alpha: float | None, gamma: float
) -> tf.Tensor:
    """Return the sum of the focal losses of anchors and classes.

    Args:
        present: whether a class is present, bool `(B, N, C)`.
        logits: logits `(B, N, C)`.
        share: factor on each anchor, `(B, N, 1)`, or each anchor and class.
        alpha: see `classification.focal`.
        gamma: see `classification.focal`.

    Returns:
        Scalar.
    """
    if_present, if_absent = (1, 1) if alpha is None else (alpha, 1 - alpha)

    @ops.custom_gradient
    def loss(logits: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        opposite = ops.where(present, -logits, logits)  # -x_t
        rest = ops.sigmoid(opposite)  # 1 - p_t
        entropy = ops.softplus(opposite)  # -log(p_t)
        factor = ops.where(present, if_present * share, if_absent * share) * rest**gamma

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            slope = upstream * factor * (rest + gamma * (1 - rest) * entropy)
            return ops.where(present, -slope, slope)

        return ops.sum(factor * entropy), gradient

    return loss(logits)


def focal_of_probabilities(
    present: tf.Tensor, y_pred: tf.Tensor, share: tf.Tensor, alpha: float | None, gamma: float
) -> tf.Tensor:
    """Return the focal loss where the logits are unknown; see `focal_of_logits`.

    The derivative by `p_t` is
    `-alpha_t ((1 - p_t)**gamma / p_t - gamma (1 - p_t)**(gamma - 1) log(p_t))`.
    """
    if_present, if_absent = (1, 1) if alpha is None else (alpha, 1 - alpha)

    @ops.custom_gradient
    def loss(y_pred: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        probability = within_margin(y_pred)
        opposite = 1 - probability
        p_t = ops.where(present, probability, opposite)
        rest = ops.where(present, opposite, probability)
        log = ops.log(p_t)
        factor = ops.where(present, -if_present * share, -if_absent * share)
        factor = factor * rest ** (gamma - 1.0)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            slope = upstream * factor * (rest / p_t - gamma * log)
            slope = ops.where(present, slope, -slope)
            return ops.where(y_pred == probability, slope, 0.0)

        return ops.sum(factor * rest * log), gradient

    return loss(y_pred)
