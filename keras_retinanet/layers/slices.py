"""Some of the channels of an image, for grouped convolutions that old snapshots hold apart."""

import keras


@keras.saving.register_keras_serializable(package="keras_retinanet")
class SliceChannels(keras.layers.Layer):
    """The channels `start` to `stop - 1` of images, as Keras's image data format orders them."""

    def __init__(self, start, stop, **kwargs):
        """Keep the two numbers."""
        super().__init__(**kwargs)
        self.start = start
        self.stop = stop

    def call(self, inputs):
        """Return the channels of images `(B, h, w, C)` or `(B, C, h, w)`."""
        if keras.config.image_data_format() == "channels_first":
            return inputs[:, self.start : self.stop]
        return inputs[..., self.start : self.stop]

    def get_config(self):
        """Return what makes the layer again."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}
