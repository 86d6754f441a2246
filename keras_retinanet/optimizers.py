"""Optimisers for `model.compile`, and a learning rate for them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet.system.workers import sharing_devices


class _Joining(keras.optimizers.Optimizer):
    """Gradients of several devices, added up before anything else is done with them.

    Keras clips the gradient of each device by itself, and adds them up afterwards.
    """

    def apply(
        self,
        grads: Sequence[tf.Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Update the weights by their gradients, to which each device gives its part."""
        context = sharing_devices()
        if context is not None:
            found = [gradient for gradient in grads if gradient is not None]
            sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, found))
            grads = [None if gradient is None else next(sums) for gradient in grads]
        super().apply(grads, trainable_variables)

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        """Return what `apply` has already added up."""
        return grads_and_vars


class _Averaging(keras.optimizers.Optimizer):
    """A moving average of the weights (`use_ema`) as short runs and accumulated gradients need it.

    Keras's begins with the weights after the first step, of which 0.999^300, three quarters, are
    left after 300 steps. Here the decay rises to `ema_momentum` as in TensorFlow's
    `ExponentialMovingAverage`: after t steps it is at most t / (t + 9). And Keras's moves with
    every batch, here it moves with the weights: once in `gradient_accumulation_steps` batches.
    """

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state for the variables to train; their averages are the variables."""
        if self.built:
            return
        super().build(variables)
        if self.use_ema:
            # A run that goes on from a snapshot does not begin at step 0, from which on nothing
            # would be left of Keras's zeros.
            with tf.init_scope():
                for average, variable in zip(
                    self._model_variables_moving_average, variables, strict=True
                ):
                    average.assign(variable)

    def _update_model_variables_moving_average(
        self, trainable_variables: Sequence[keras.Variable]
    ) -> None:
        """Move the averages towards the variables, if this step has changed these."""
        done = tf.cast(self.iterations, tf.float32)
        decay = tf.minimum(self.ema_momentum, done / (done + 9))

        def move() -> None:
            for average, variable in zip(
                self._model_variables_moving_average, trainable_variables, strict=True
            ):
                share = tf.cast(1 - decay, variable.dtype)
                average.assign(average + share * (variable - average))

        batches = self.gradient_accumulation_steps
        if batches is None:
            move()
        else:
            keras.ops.cond((self._iterations + 1) % batches == 0, move, lambda: None)


@keras.saving.register_keras_serializable(package="keras_retinanet")
class Adam(_Joining, _Averaging, keras.optimizers.Adam):
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
class SGD(_Joining, _Averaging, keras.optimizers.SGD):
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
class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras's optimizer around another one that scales the loss, for any number of devices.

    Keras asks one device whether its gradients are finite, and lets all of them go on or leave the
    step out.
    """

    def apply(
        self,
        grads: Sequence[tf.Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Update the weights by their gradients, if those of all devices are finite."""
        context = sharing_devices()
        if context is not None:
            own = tf.where(self.check_finite(grads), 0.0, np.nan)
            joint = context.all_reduce(tf.distribute.ReduceOp.SUM, own)  # 0, or NaN for all
            grads = [None if grad is None else grad + tf.cast(joint, grad.dtype) for grad in grads]
        super().apply(grads, trainable_variables)


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


def current_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """Return the learning rate of the next step."""
    # `float` does not take a variable that several devices share.
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
