"""Weight initializers."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_retinanet")
class PriorProbability(keras.initializers.Initializer):
    """A constant bias `-log((1 - p) / p)`, so that a sigmoid starts at the probability `p`.

    Without it the thousands of background anchors of an image dominate the first training steps
    (Lin et al. 2017, https://arxiv.org/abs/1708.02002, section 4.1).
    """

    def __init__(self, probability: float = 0.01) -> None:
        """Keep the probability.

        Raises:
            ValueError: if it is not between 0 and 1, both excluded.
        """
        if not 0 < probability < 1:
            raise ValueError(f"expected a probability between 0 and 1, got {probability}")
        self.probability = probability

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> tf.Tensor:
        """Return a tensor of this shape filled with the bias."""
        bias = -math.log((1 - self.probability) / self.probability)
        return keras.ops.full(shape, bias, dtype=dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the initializer."""
        return {"probability": self.probability}
