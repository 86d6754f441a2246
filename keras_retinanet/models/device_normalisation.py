"""Models that take images of bytes and normalise them themselves."""

from dataclasses import replace

import keras

from keras_retinanet.images import IN_NETWORK
from keras_retinanet.layers import Normalise
from keras_retinanet.models.classes import set_info


def normalise_on_device(model):
    """Return a copy of a model that normalises its images itself, on whatever device it runs.

    An image of bytes is a quarter as large as one of floats, on its way to a GPU as well as in
    memory.

    Args:
        model: a `RetinaNet` or `RetinaNetBBox` with details and one input.

    Returns:
        Model of the same class, weights and names of layers, whose input is uint8 BGR
        `(B, h, w, 3)`; its details say so.

    Raises:
        ValueError: if the model normalises images already.
    """
    if model.info.normalisation == IN_NETWORK:
        raise ValueError("expected a model that takes normalised images, got one that does not")
    images = keras.Input(batch_shape=model.inputs[0].shape, dtype="uint8", name="images")
    normalised = Normalise(model.info.normalisation, name="normalised")(images)

    def call(layer, *args, **kwargs):
        args, kwargs = keras.tree.map_structure(
            lambda value: normalised if value is images else value, (args, kwargs)
        )
        return layer(*args, **kwargs)

    copy = keras.models.clone_model(model, input_tensors=images, call_function=call)
    for layer in model.layers:
        if layer.weights:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    set_info(copy, replace(model.info, normalisation=IN_NETWORK))
    return copy
