"""What classification and box losses share: the numbers that a sum over anchors is divided by."""

from collections.abc import Callable

import tensorflow as tf
from keras import ops

from keras_retinanet.system.messages import shorten

# From `y_true` and `y_pred` to a scalar.
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

NORMALISERS = ("batch", "image")


def check_normaliser(normaliser: str) -> None:
    """Raise ValueError if a normaliser is neither "batch" nor "image"."""
    if normaliser not in NORMALISERS:
        raise ValueError(
            f"normaliser: expected one of {', '.join(NORMALISERS)}, got {shorten(normaliser)}"
        )


def divisor(state: tf.Tensor, normaliser: str) -> tf.Tensor:
    """Return what the loss of each anchor is divided by before all are summed.

    Args:
        state: states of the anchors, `(B, N)` or `(B, N, 1)`: 1 if positive, 0 or -1 if not.
        normaliser: "batch" for the number of positive anchors in the batch, at least 1. "image" for
            the number in the anchor's own image, at least 1, times the number of images: the loss
            is the mean over images of a sum divided by the positives, as in the paper (section 4)
            and in torchvision. Every image then weighs the same; with "batch", every positive
            anchor does. For a batch of one image, or of images with equal numbers of positive
            anchors, both are equal.

    Returns:
        Scalar, or `(B, 1)` or `(B, 1, 1)`.
    """
    positive = ops.cast(state == 1, "float32")
    if normaliser == "batch":
        return ops.maximum(1.0, ops.sum(positive))
    images = ops.cast(ops.shape(state)[0], "float32")
    return images * ops.maximum(1.0, ops.sum(positive, axis=1, keepdims=True))
