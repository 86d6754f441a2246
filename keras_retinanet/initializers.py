"""Weight initializers."""

import math

import keras


@keras.saving.register_keras_serializable(package="keras_retinanet")
class PriorProbability(keras.initializers.Initializer):
    """A constant bias `-log((1 - p) / p)`, so that a sigmoid starts at the probability `p`.

    Without it the thousands of background anchors of an image drown the first steps of training
    (Lin et al. 2017, https://arxiv.org/abs/1708.02002, section 4.1).
    """

    def __init__(self, probability=0.01):
        """Keep the probability, between 0 and 1 exclusive.

        Raises:
            ValueError: if it is not.
        """
        if not 0 < probability < 1:
            raise ValueError(f"expected a probability between 0 and 1, got {probability}")
        self.probability = probability

    def __call__(self, shape, dtype=None):
        """Return a tensor of this shape that holds the bias."""
        bias = -math.log((1 - self.probability) / self.probability)
        return keras.ops.full(shape, bias, dtype=dtype or keras.config.floatx())

    def get_config(self):
        """Return the arguments of the initializer."""
        return {"probability": self.probability}
