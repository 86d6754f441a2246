"""Normalisation of images inside the network."""

from typing import Any

import keras
import tensorflow as tf

from keras_retinanet.images import NORMALISATIONS


@keras.saving.register_keras_serializable(package="keras_retinanet")
class Normalise(keras.layers.Layer):
    """Images normalised for the network behind, same as `images.preprocess_image`.

    Takes BGR images `(B, h, w, 3)` with values 0..255, uint8 or another type; returns float32.
    """

    def __init__(self, mode: str, **kwargs: Any) -> None:
        """Keep the mode of `images.preprocess_image`; `**kwargs` are for `keras.layers.Layer`.

        Raises:
            ValueError: if the mode is unknown.
        """
        super().__init__(**{"dtype": "float32", **kwargs})
        if mode not in NORMALISATIONS:
            raise ValueError(f"expected a mode of {sorted(NORMALISATIONS)}, got {mode!r}")
        self.mode = mode

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Return normalised images."""
        reverse, normalise = NORMALISATIONS[self.mode]
        return normalise(keras.ops.cast(images[..., ::-1] if reverse else images, "float32"))

    def compute_output_spec(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return the specification of the output."""
        return keras.KerasTensor(images.shape, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "mode": self.mode}
