"""Training on several devices."""

from __future__ import annotations

import tensorflow as tf

from keras_retinanet.training.settings import SettingError


def strategy(multi_gpu: int) -> tf.distribute.Strategy:
    """Return the strategy for a number of GPUs; 0 or 1 for the one device there is.

    Raises:
        SettingError: if there are fewer, for which TensorFlow would wait without end.
    """
    if multi_gpu > 1:
        count = len(tf.config.list_logical_devices("GPU"))
        if multi_gpu > count:
            raise SettingError(
                "multi_gpu",
                f"expected at most {count}, the GPUs that TensorFlow may use, got {multi_gpu}",
            )
        return tf.distribute.MirroredStrategy([f"/gpu:{i}" for i in range(multi_gpu)])
    return tf.distribute.get_strategy()
