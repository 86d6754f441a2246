"""Models that take uint8 images and normalise them themselves."""

from dataclasses import replace
from typing import Any

import keras

from keras_retinanet.images import IN_NETWORK
from keras_retinanet.layers import Normalise
from keras_retinanet.models.classes import set_info


def normalise_on_device(model: keras.Model, dtype: str = "uint8") -> keras.Model:
    """Return a copy of a model that normalises its images itself, on the device it runs on.

    A uint8 image is a quarter of the size of a float32 one, in memory and on its way to a GPU.

    Args:
        model: a `RetinaNet` or `RetinaNetBBox` with an info and one input.
        dtype: of the images; "float32" where resizing leaves fractions of pixel values.

    Returns:
        Model of the same class, weights and layer names, whose input is BGR `(B, h, w, 3)` of that
        type, values 0..255, and whose info says so.

    Raises:
        ValueError: if the model already normalises its images.
    """
    if model.info.normalisation == IN_NETWORK:
        raise ValueError("expected a model that takes normalised images, got one that does not")
    images = keras.Input(batch_shape=model.inputs[0].shape, dtype=dtype, name="images")
    normalised = Normalise(model.info.normalisation, name="normalised")(images)

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
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
