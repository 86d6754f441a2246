"""Batch normalisation folded into the convolution before it, for inference models."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_retinanet.models.classes import set_info

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Return a copy of a model without the frozen batch normalisation that follows convolutions.

    When frozen, it multiplies each channel by a number and adds another, which the kernel and bias
    of the convolution before it can do. Normalisation stays if it is trainable, or follows another
    layer, or a convolution whose output is used elsewhere too.

    Args:
        model: a `RetinaNet` or `RetinaNetBBox`.

    Returns:
        Model of the same class, layer names and info; its outputs differ by rounding.
    """
    norms = _foldable(model)
    convolutions = {convolution: norm for norm, convolution in norms.items()}

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        with_bias = {"use_bias": True} if layer.name in convolutions else {}
        return type(layer).from_config({**layer.get_config(), **with_bias})

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in norms else layer(*args, **kwargs)

    folded = keras.models.clone_model(
        model, input_tensors=_new_inputs(model), clone_function=copy, call_function=call
    )
    for layer in folded.layers:
        source = model.get_layer(layer.name)
        if layer.name in convolutions:
            layer.set_weights(_fold(source, model.get_layer(convolutions[layer.name])))
        else:
            layer.set_weights(source.get_weights())
    if model.info:
        set_info(folded, model.info)
    return folded


def _new_inputs(model: keras.Model) -> Any:
    """Return inputs like those of a model, in the same structure and under the same names."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    names = {id(layer.output): layer.name for layer in layers}
    return keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=names[id(x)]), model.input
    )


def _foldable(model: keras.Model) -> dict[str, str]:
    """Return the name of each normalisation to fold -> that of its convolution."""
    config = model.get_config()
    sources: dict[str, list[str]] = {}
    uses: dict[str, int] = defaultdict(int)
    for entry in config["layers"]:
        sources[entry["name"]] = list(_source_names(entry["inbound_nodes"]))
        for name in sources[entry["name"]]:
            uses[name] += 1
    for name in model.output_names:
        uses[name] += 1
    return {
        name: before[0]
        for name, before in sources.items()
        if len(before) == 1
        and uses[before[0]] == 1
        and _fits(model.get_layer(before[0]), model.get_layer(name))
    }


def _source_names(structure: Any) -> Iterator[str]:
    """Yield the layer names of all tensors in a part of a model's configuration."""
    if isinstance(structure, dict):
        if "keras_history" in structure:
            yield structure["keras_history"][0]
        structure = list(structure.values())
    if isinstance(structure, (list, tuple)):
        for part in structure:
            yield from _source_names(part)


def _fits(convolution: keras.layers.Layer, norm: keras.layers.Layer) -> bool:
    """Return whether a layer is a frozen normalisation over the channels of a convolution."""
    return (
        type(norm) is keras.layers.BatchNormalization
        and not norm.trainable
        and type(convolution) in _CONVOLUTIONS
        and convolution.activation is keras.activations.linear
        and norm.axis in ((1,) if convolution.data_format == "channels_first" else (-1, 3))
    )


def _fold(
    convolution: keras.layers.Layer, norm: keras.layers.BatchNormalization
) -> list[np.ndarray]:
    """Return the kernel and bias with which a convolution includes the normalisation after it."""
    kernel, *bias = (np.asarray(values, "float64") for values in convolution.get_weights())
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    factor = 1 / np.sqrt(variance.astype("float64") + norm.epsilon)
    if norm.scale:
        factor *= np.asarray(norm.gamma)
    shift = (bias[0] if bias else 0) - mean
    offset = np.asarray(norm.beta) if norm.center else 0
    # The last axis of a kernel is output channels; of a depthwise one the last two axes are input
    # channels and the outputs of each.
    depthwise = type(convolution) is keras.layers.DepthwiseConv2D
    factors = factor.reshape(kernel.shape[2:]) if depthwise else factor
    return [kernel * factors, shift * factor + offset]
