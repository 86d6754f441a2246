"""Optimisers for `model.compile`."""

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
