"""Logits: what a sigmoid turns into probabilities."""

import keras
import tensorflow as tf
from keras import ops


def find_logits(probabilities: tf.Tensor) -> tf.Tensor | None:
    """Return the logits that the graph of a `tf.function` computes probabilities from.

    From 17 on, a float32 sigmoid rounds to 1 and its derivative to 0: a loss that only sees the
    probability cannot correct such an error, one that is computed from the logit can.

    The classification of a RetinaNet is the sigmoids of its pyramid levels, joined. `fit` traces
    model and loss as one graph, in which this walks from the probabilities back to the inputs of
    the sigmoids, as Keras's own binary cross entropy does from a single sigmoid.

    Args:
        probabilities: any tensor or array.

    Returns:
        Logits of the same shape, float32; None if they are unknown, as of a tensor outside a graph
        or the argument of a `tf.function`.
    """
    if not tf.is_symbolic_tensor(probabilities):
        return None
    operation = probabilities.op
    if operation.type == "Sigmoid":
        return ops.cast(operation.inputs[0], "float32")
    if operation.type == "ConcatV2":
        *parts, axis = operation.inputs
        logits = [find_logits(part) for part in parts]
        if all(part is not None for part in logits):
            return tf.concat(logits, axis)
    return None


def logits_of(probabilities: tf.Tensor) -> tf.Tensor:
    """Return the logits of probabilities: those found in the graph, else `log(p / (1 - p))`.

    The latter are between -16.1 and 16.1, as probabilities are kept off 0 and 1.
    """
    logits = find_logits(probabilities)
    if logits is not None:
        return logits
    probability = within_margin(ops.cast(probabilities, "float32"))
    return ops.log(probability) - ops.log1p(-probability)


def within_margin(probability: tf.Tensor) -> tf.Tensor:
    """Return probabilities kept off 0 and 1, where the gradient would be infinite."""
    margin = keras.config.epsilon()
    return ops.clip(probability, margin, 1 - margin)
