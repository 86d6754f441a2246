"""Layers that training does not change."""

import keras


def freeze(model: keras.Model) -> keras.Model:
    """Make every layer of a model non-trainable, and return the model.

    The model itself is changed, as by `keras.Model.trainable`.
    """
    for layer in model.layers:
        layer.trainable = False
    return model
