"""Keeping layers as they are in training."""


def freeze(model):
    """Make every layer of a model non-trainable, and return the model.

    It changes the model, as `keras.Model.trainable` does.
    """
    for layer in model.layers:
        layer.trainable = False
    return model
