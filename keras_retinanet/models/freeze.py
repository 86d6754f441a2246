"""Layers that training does not change."""

import re

import keras

# The layers with which the pyramid begins.
_PYRAMID_INPUT = re.compile(r"C\d_reduced")


def freeze(model: keras.Model) -> keras.Model:
    """Make every layer of a model non-trainable, and return the model.

    The model itself is changed, as by `keras.Model.trainable`.
    """
    for layer in model.layers:
        layer.trainable = False
    return model


def backbone_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of a training model below its pyramid, in no particular order.

    Raises:
        ValueError: if the model has no pyramid of this package.
    """
    waiting = [layer.input for layer in model.layers if _PYRAMID_INPUT.fullmatch(layer.name)]
    if not waiting:
        raise ValueError(
            "expected a model with the pyramid layers C3_reduced, C4_reduced, ..., got none of "
            "them: it cannot be told which layers are the backbone"
        )
    found: dict[str, keras.layers.Layer] = {}
    while waiting:
        layer, node_index, _ = waiting.pop()._keras_history
        if layer.name not in found:
            found[layer.name] = layer
            waiting += layer._inbound_nodes[node_index].input_tensors
    return list(found.values())


def backbone_batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the batch normalisation layers of a training model's backbone.

    Raises:
        ValueError: if the model has no pyramid of this package.
    """
    layers = backbone_layers(model)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def backbone_is_frozen(model: keras.Model) -> bool:
    """Return whether no weight of a training model's backbone is trained."""
    try:
        return not any(layer.trainable_weights for layer in backbone_layers(model))
    except ValueError:
        return False
