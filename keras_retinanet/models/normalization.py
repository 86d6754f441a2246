"""Batch normalisation, frozen or for small batches."""

import keras

# Detectors train on batches of a few images for a few thousand steps. Statistics that average over
# hundreds of batches (Keras's 0.99) would still be half their initial values.
MOMENTUM = 0.9


def batch_norm(
    name: str, *, epsilon: float, frozen: bool, scale: bool = True
) -> keras.layers.BatchNormalization:
    """Return a batch normalisation over channels.

    Args:
        name: name of the layer.
        epsilon: added to the variance.
        frozen: whether it keeps its scale and statistics, in training too.
        scale: whether it has a factor for each channel.
    """
    axis = 1 if keras.config.image_data_format() == "channels_first" else -1
    return keras.layers.BatchNormalization(
        axis=axis,
        momentum=MOMENTUM,
        epsilon=epsilon,
        scale=scale,
        trainable=not frozen,
        name=name,
    )
