"""The backbone of an old model: which one it is, and its layers built again.

The layers are built from the configuration in the file, because releases of Keras 2 and of the
packages that made backbones differ in padding, names and the features they use. Only known layer
classes are built, from numbers and names; no code in a file is run.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras

from keras_retinanet.layers import SliceChannels
from keras_retinanet.models.backbones import image_input

# The configuration of each layer of a model by the layer's name, in the format of Keras 2.
Layers: TypeAlias = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Family:
    """How to recognise a backbone of one family.

    Attributes:
        name: function of the layers that returns the name of the backbone, or None if it is of
            another family.
        normalisation: the mode of `images.preprocess_image` that keras-retinanet 1.0.0 used.
    """

    name: Callable[[Layers], str | None]
    normalisation: str


def identify(layers: Layers, given: str | None = None) -> tuple[str, str]:
    """Return the name and the normalisation of the backbone of an old model.

    Args:
        layers: of the model.
        given: name to prefer where several have these layers.

    Raises:
        ValueError: if it is of no known family.
    """
    for family in _FAMILIES:
        name = family.name(layers)
        if name is not None:
            return _preferred(given, name), family.normalisation
    raise ValueError(
        "expected a model on a backbone of keras-retinanet, got one on another backbone (first "
        f"layers: {', '.join(list(layers)[:6])})"
    )


def _preferred(given: str | None, name: str) -> str:
    """Return the given name if both are a MobileNet of the same width, else the other name."""
    if given and re.sub(r"^mobilenet\d+", "mobilenet224", given) == name:
        return given
    return name


def _resnet(layers: Layers) -> str | None:
    names: dict[tuple[int, ...], str] = {
        (3, 4, 6, 3): "resnet50",
        (3, 4, 23, 3): "resnet101",
        (3, 8, 36, 3): "resnet152",
    }
    return names.get(_count(layers, r"res([2-5])(?:[a-z]|b\d+)_branch2c", "2345"))


def _mobilenet(layers: Layers) -> str | None:
    # The layers do not show the size of the images its ImageNet weights came from.
    if "conv_pw_13" not in layers:
        return None
    width = layers["conv_pw_13"]["config"]["filters"] / 1024
    return f"mobilenet224_{width}"


def _densenet(layers: Layers) -> str | None:
    names: dict[tuple[int, ...], str] = {
        (6, 12, 24, 16): "densenet121",
        (6, 12, 32, 32): "densenet169",
        (6, 12, 48, 32): "densenet201",
    }
    return names.get(_count(layers, r"conv([2-5])_block\d+_concat", "2345"))


def _vgg(layers: Layers) -> str | None:
    if "block5_pool" not in layers:
        return None
    return "vgg19" if "block5_conv4" in layers else "vgg16"


def _preactivated(layers: Layers) -> str | None:
    names: dict[tuple[int, ...], str] = {
        (2, 2, 2, 2): "seresnet18",
        (3, 4, 6, 3): "seresnet34",
    }
    return names.get(_count(layers, r"stage([1-4])_unit\d+_conv2", "1234"))


def _senet(layers: Layers) -> str | None:
    # Every block scales its channels once (Multiply) and slices its input once per group (Lambda).
    blocks = sum(layer["class_name"] == "Multiply" for layer in layers.values())
    slices = sum("start" in layer["config"].get("arguments", ()) for layer in layers.values())
    return {
        (16, 0): "seresnet50",
        (33, 0): "seresnet101",
        (50, 0): "seresnet152",
        (16, 32): "seresnext50",
        (33, 32): "seresnext101",
        (50, 64): "senet154",
    }.get((blocks, slices // max(1, blocks)))


def _efficientnet(layers: Layers) -> str | None:
    if "top_conv" not in layers:
        return None
    (blocks,) = _count(layers, r"block(7)[a-z]_project_conv", "7")
    return {
        (1280, 1): "EfficientNetB0",
        (1280, 2): "EfficientNetB1",
        (1408, 2): "EfficientNetB2",
        (1536, 2): "EfficientNetB3",
        (1792, 2): "EfficientNetB4",
        (2048, 3): "EfficientNetB5",
        (2304, 3): "EfficientNetB6",
        (2560, 4): "EfficientNetB7",
    }.get((layers["top_conv"]["config"]["filters"], blocks))


_FAMILIES = (
    _Family(_resnet, "caffe"),
    _Family(_mobilenet, "tf"),
    _Family(_densenet, "tf"),
    _Family(_vgg, "caffe"),
    _Family(_preactivated, "bgr"),
    _Family(_efficientnet, "torch"),
    _Family(_senet, "torch"),
)


def _count(layers: Layers, pattern: str, groups: str) -> tuple[int, ...]:
    """Return how many layer names match a pattern, for each of these characters as its group."""
    matches = (re.fullmatch(pattern, name) for name in layers)
    counts = Counter(match[1] for match in matches if match)
    return tuple(counts[group] for group in groups)


def build_features(layers: Layers) -> keras.Model:
    """Return the backbone of an old model, with new weights.

    Args:
        layers: of the model.

    Returns:
        Model with the outputs that the pyramid starts from, C2 or C3 to C5.

    Raises:
        ValueError: if there is a layer class that no backbone of keras-retinanet had, or layers
            feed each other in a circle.
    """
    stages = [name for name in (f"C{level}_reduced" for level in (2, 3, 4, 5)) if name in layers]
    ends = [_source_names(layers[name])[0] for name in stages]
    inputs = image_input()
    outputs: dict[str, keras.KerasTensor] = {}
    pending, waiting = list(reversed(ends)), set()
    while pending:  # hundreds of layers are too deep for recursion
        name = pending[-1]
        sources = _source_names(layers[name])
        missing = [source for source in sources if source not in outputs]
        if missing:
            if name in waiting:
                raise ValueError(f"layer {name}: expected no circle of layers, it is part of one")
            waiting.add(name)
            pending += missing
            continue
        pending.pop()
        if name in outputs:
            continue
        if layers[name]["class_name"] == "InputLayer":
            outputs[name] = inputs
        else:
            tensors = [outputs[source] for source in sources]
            layer = _build_layer(layers[name]["class_name"], layers[name]["config"])
            outputs[name] = layer(tensors if len(tensors) > 1 else tensors[0])
    return keras.Model(inputs, [outputs[end] for end in ends], name="backbone")


def _source_names(layer: dict[str, Any]) -> list[str]:
    """Return the names of the layers that feed the first use of a layer."""
    nodes = layer["inbound_nodes"]
    return [source[0] for source in nodes[0]] if nodes else []


def _build_layer(class_name: str, config: dict[str, Any]) -> keras.layers.Layer:
    """Return a new layer from the class name and configuration of an old one.

    Raises:
        ValueError: if the class is unknown, or the configuration holds code.
    """
    if class_name not in _ARGUMENTS:
        raise ValueError(
            f"layer {config['name']}: expected one of {', '.join(_ARGUMENTS)}, got a {class_name}"
        )
    _check_data_format(config)
    arguments = _ARGUMENTS[class_name](config)
    if not isinstance(arguments.get("activation", ""), str):
        raise ValueError(
            f"layer {config['name']}: expected the name of an activation, got code or an object"
        )
    layer_class = arguments.pop("layer", None) or getattr(keras.layers, class_name)
    layer = layer_class(name=config["name"].replace("/", "_"), **arguments)
    layer.trainable = config.get("trainable", True) and not config.get("freeze", False)
    return layer


def _check_data_format(config: dict[str, Any]) -> None:
    found = config.get("data_format") or keras.config.image_data_format()
    if found != keras.config.image_data_format():
        raise ValueError(
            f"layer {config['name']}: expected {keras.config.image_data_format()}, got {found} "
            "(keras.config.set_image_data_format changes what is expected)"
        )


def _pick(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function from a Keras 2 configuration to the layer arguments of these names."""
    return lambda config: {name: config[name] for name in names if name in config}


def _dropout(config: dict[str, Any]) -> dict[str, Any]:
    return {"layer": keras.layers.Dropout, **_pick("rate", "noise_shape")(config)}


def _batch_norm(config: dict[str, Any]) -> dict[str, Any]:
    axis = config["axis"]
    arguments = _pick("momentum", "epsilon", "center", "scale")(config)
    return {"axis": axis[0] if isinstance(axis, list) else axis, **arguments}


def _lambda(config: dict[str, Any]) -> dict[str, Any]:
    """Return what replaces the two functions of image-classifiers, told apart by their arguments.

    Raises:
        ValueError: for any other function.
    """
    arguments = config.get("arguments") or {}
    if {"start", "stop"} <= set(arguments):
        return {"layer": SliceChannels, "start": arguments["start"], "stop": arguments["stop"]}
    if "channels_axis" in arguments:
        shape = (1, 1, -1) if arguments["channels_axis"] == 3 else (-1, 1, 1)
        return {"layer": keras.layers.Reshape, "target_shape": shape}
    raise ValueError(
        f"layer {config['name']}: a Lambda layer holds code, which is not run; only those of "
        "SE networks are known"
    )


_CONVOLUTION = ("strides", "padding", "dilation_rate", "use_bias", "activation", "kernel_size")
_POOL = _pick("pool_size", "strides", "padding")

# Layer class of Keras 2 -> function from its configuration to the arguments of the layer today, and
# under "layer" its class where that has another name.
_ARGUMENTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "Activation": _pick("activation"),
    "Add": _pick(),
    "AveragePooling2D": _POOL,
    "BatchNormalization": _batch_norm,
    "Concatenate": _pick("axis"),
    "Conv2D": _pick("filters", *_CONVOLUTION),
    "DepthwiseConv2D": _pick("depth_multiplier", *_CONVOLUTION),
    "Dropout": _dropout,
    "FixedDropout": _dropout,
    "GlobalAveragePooling2D": _pick("keepdims"),
    "Lambda": _lambda,
    "MaxPooling2D": _POOL,
    "Multiply": _pick(),
    "ReLU": _pick("max_value", "negative_slope", "threshold"),
    "Reshape": _pick("target_shape"),
    "ZeroPadding2D": _pick("padding"),
}
