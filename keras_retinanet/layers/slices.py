"""A slice of the channels of an image.

SE-ResNeXt models in old snapshots store each group of a grouped convolution as a layer of its own.
"""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_retinanet")
class SliceChannels(keras.layers.Layer):
    """The channels `start` to `stop - 1` of images, in Keras's image data format."""

    def __init__(self, start: int, stop: int, **kwargs: Any) -> None:
        """Keep the two channel numbers; `**kwargs` are for `keras.layers.Layer`."""
        super().__init__(**kwargs)
        self.start = start
        self.stop = stop

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the channels of images `(B, h, w, C)` or `(B, C, h, w)`."""
        if keras.config.image_data_format() == "channels_first":
            return inputs[:, self.start : self.stop]
        return inputs[..., self.start : self.stop]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}
