"""Optimisers for `model.compile`, and a learning rate for them."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_retinanet")
class Adam(keras.optimizers.Adam):
    """Keras's Adam, with fewer TensorFlow operations per weight tensor.

    Keras uses a dozen, and more to clip gradients. Each one reads and writes the full tensor, and
    on a CPU that is time spent waiting for memory. Numbers, arguments and state are Keras's
    (Kingma and Ba 2014, https://arxiv.org/abs/1412.6980, with epsilon as in their section 2).
    """

    def update_step(
        self,
        gradient: tf.Tensor | tf.IndexedSlices,
        variable: keras.Variable,
        learning_rate: tf.Tensor,
    ) -> None:
        """Update a weight tensor, and its moments in the state, by its gradient."""
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        beta_1, beta_2 = (tf.cast(beta, variable.dtype) for beta in (self.beta_1, self.beta_2))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=beta_1**step,
            beta2_power=beta_2**step,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )

    def _clip_by_norm(
        self, values: tf.Tensor | tf.IndexedSlices, axes: int | None = None
    ) -> tf.Tensor | tf.IndexedSlices:
        """Return a gradient scaled down to the norm `clipnorm` if its norm is larger."""
        if axes is not None or isinstance(values, tf.IndexedSlices):
            return super()._clip_by_norm(values, axes)
        norm = tf.sqrt(2 * tf.nn.l2_loss(values))
        return values * (self.clipnorm / tf.maximum(norm, self.clipnorm))


@keras.saving.register_keras_serializable(package="keras_retinanet")
class AdamW(Adam):
    """`Adam` with weight decay apart from the gradient (arXiv 1711.05101), of kernels alone.

    A step takes the share `learning_rate * weight_decay` off every kernel. Biases and the weights
    of normalisation layers, which have one dimension, do not decay.
    """

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state for the variables to train."""
        if not self.built:
            self.exclude_from_weight_decay([v for v in variables if not _is_kernel(v)])
        super().build(variables)


@keras.saving.register_keras_serializable(package="keras_retinanet")
class SGD(keras.optimizers.SGD):
    """Keras's SGD with momentum, in fewer TensorFlow operations, and with an L2 penalty.

    The penalty is what the paper and PyTorch call weight decay: `l2_decay` times a kernel is added
    to its gradient, and so passes through the momentum. Keras's own `weight_decay` does not: at a
    momentum of 0.9 it decays weights ten times less. Biases and the weights of normalisation
    layers, which have one dimension, have no penalty.

    Args:
        learning_rate: a number or a schedule.
        l2_decay: factor on a kernel that is added to its gradient.
        **settings: those of Keras's SGD.
    """

    def __init__(self, learning_rate: Any = 0.01, l2_decay: float = 0.0, **settings: Any) -> None:
        super().__init__(learning_rate, **settings)
        self.l2_decay = l2_decay

    def update_step(
        self,
        gradient: tf.Tensor | tf.IndexedSlices,
        variable: keras.Variable,
        learning_rate: tf.Tensor,
    ) -> None:
        """Update a weight tensor, and its velocity in the state, by its gradient."""
        if self.l2_decay and _is_kernel(variable):
            gradient = tf.cast(gradient, variable.dtype) + self.l2_decay * variable
        if not self.momentum or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        velocity = self.momentums[self._get_variable_index(variable)]
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=velocity.value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same optimizer."""
        return {**super().get_config(), "l2_decay": self.l2_decay}


def _is_kernel(variable: keras.Variable) -> bool:
    return len(variable.shape) > 1


@keras.saving.register_keras_serializable(package="keras_retinanet")
class StepDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that warms up linearly, and is multiplied by a factor at certain steps.

    It begins at `learning_rate / warmup_steps`, as Keras's `CosineDecay` does in our runs.

    Args:
        learning_rate: maximum learning rate.
        drops: the steps, counted from 0, from which on the rate is smaller; none for a constant
            rate.
        factor: factor on the rate at each of them.
        warmup_steps: the step at which the maximum is reached; 0 to start there.
    """

    def __init__(
        self,
        learning_rate: float,
        drops: Sequence[int] = (),
        factor: float = 0.1,
        warmup_steps: int = 0,
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.drops = list(drops)
        self.factor = factor
        self.warmup_steps = warmup_steps

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """Return the learning rate of a step."""
        step = tf.cast(step, tf.float32)
        dropped = tf.reduce_sum(tf.cast(step >= tf.constant(self.drops, tf.float32), tf.float32))
        rate = self.learning_rate * self.factor**dropped
        if not self.warmup_steps:
            return rate
        start = 1 / self.warmup_steps
        return rate * tf.minimum(1.0, start + (1 - start) * step / self.warmup_steps)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same schedule."""
        return {
            "learning_rate": self.learning_rate,
            "drops": self.drops,
            "factor": self.factor,
            "warmup_steps": self.warmup_steps,
        }
