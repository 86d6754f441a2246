"""What classification and box losses share: what a sum over anchors is divided by, and devices.

In `fit` on several devices, each has a part of the batch. The loss is that of the whole batch then,
on every one of them: sums and numbers of anchors and images are those of all parts together.
"""

from collections.abc import Callable

import tensorflow as tf
from keras import ops

from keras_retinanet.system.messages import shorten
from keras_retinanet.system.workers import sharing_devices

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
    positive, total = ops.cast(state == 1, "float32"), tf.distribute.ReduceOp.SUM
    if normaliser == "batch":
        return ops.maximum(1.0, _over_devices(ops.sum(positive), total))
    images = _over_devices(ops.cast(ops.shape(state)[0], "float32"), total)
    return images * ops.maximum(1.0, ops.sum(positive, axis=1, keepdims=True))


def joint(loss: tf.Tensor) -> tf.Tensor:
    """Return the loss of a whole batch, where each of several devices has the loss of its part.

    It is divided by the number of devices, as Keras's own losses are, since Keras adds up the
    gradients of all devices, and multiplies by that number what it logs. Its derivative adds up
    what the devices were divided into: the gradient is that of the whole batch.
    """
    return _over_devices(loss, tf.distribute.ReduceOp.MEAN)


def _over_devices(value: tf.Tensor, operation: tf.distribute.ReduceOp) -> tf.Tensor:
    """Return the sum or mean of a value over the devices that have parts of the batch."""
    context = sharing_devices()
    return value if context is None else context.all_reduce(operation, value)
