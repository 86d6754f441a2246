"""The backbone of an old model: which one it is, and its layers built again.

The layers come from the configuration in the file, so that every release of Keras 2 and of the
packages that made backbones is met: they differ in paddings, names and features taken. Only known
kinds of layers are built, from numbers and names; no code in a file is run.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import keras

from keras_retinanet.layers import SliceChannels
from keras_retinanet.models.backbones import image_input


@dataclass(frozen=True)
class _Family:
    """How to know a backbone of one family.

    Attributes:
        name: layers by name -> name of the backbone, None if it is of another family.
        normalisation: the mode of `images.preprocess_image` that keras-retinanet 1.0.0 used.
    """

    name: Callable
    normalisation: str


def identify(layers: dict, given: str | None = None) -> tuple[str, str]:
    """Return the name and the normalisation of the backbone of an old model.

    Args:
        layers: name -> configuration of each layer of the model.
        given: name to prefer where the layers leave several.

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


def _preferred(given, name) -> str:
    """Return the given one of two names if both mean a MobileNet of the same width."""
    same = re.sub(r"^mobilenet\d+", "mobilenet224", given or "")
    return given if same == name else name


def _resnet(layers):
    count = _count(layers, r"res([2-5])(?:[a-z]|b\d+)_branch2c")
    return {
        (3, 4, 6, 3): "resnet50",
        (3, 4, 23, 3): "resnet101",
        (3, 8, 36, 3): "resnet152",
    }.get(tuple(count[stage] for stage in "2345"))


def _mobilenet(layers):
    # What size of images its ImageNet weights came from is not known any more.
    if "conv_pw_13" not in layers:
        return None
    width = layers["conv_pw_13"]["config"]["filters"] / 1024
    return f"mobilenet224_{width}"


def _densenet(layers):
    count = _count(layers, r"conv([2-5])_block\d+_concat")
    return {
        (6, 12, 24, 16): "densenet121",
        (6, 12, 32, 32): "densenet169",
        (6, 12, 48, 32): "densenet201",
    }.get(tuple(count[stage] for stage in "2345"))


def _vgg(layers):
    if "block5_pool" not in layers:
        return None
    return "vgg19" if "block5_conv4" in layers else "vgg16"


def _preactivated(layers):
    count = _count(layers, r"stage([1-4])_unit\d+_conv2")
    return {(2, 2, 2, 2): "seresnet18", (3, 4, 6, 3): "seresnet34"}.get(
        tuple(count[stage] for stage in "1234")
    )


def _senet(layers):
    kinds = Counter(layer["class_name"] for layer in layers.values())
    slices = sum("start" in layer["config"].get("arguments", ()) for layer in layers.values())
    depth = kinds["Multiply"]
    return {
        (16, 0): "seresnet50",
        (33, 0): "seresnet101",
        (50, 0): "seresnet152",
        (16, 32): "seresnext50",
        (33, 32): "seresnext101",
        (50, 64): "senet154",
    }.get((depth, slices // max(1, depth)))


def _efficientnet(layers):
    if "top_conv" not in layers:
        return None
    depth = _count(layers, r"block(7)[a-z]_project_conv")["7"]
    return {
        (1280, 1): "EfficientNetB0",
        (1280, 2): "EfficientNetB1",
        (1408, 2): "EfficientNetB2",
        (1536, 2): "EfficientNetB3",
        (1792, 2): "EfficientNetB4",
        (2048, 3): "EfficientNetB5",
        (2304, 3): "EfficientNetB6",
        (2560, 4): "EfficientNetB7",
    }.get((layers["top_conv"]["config"]["filters"], depth))


_FAMILIES = (
    _Family(_resnet, "caffe"),
    _Family(_mobilenet, "tf"),
    _Family(_densenet, "tf"),
    _Family(_vgg, "caffe"),
    _Family(_preactivated, "bgr"),
    _Family(_efficientnet, "torch"),
    _Family(_senet, "torch"),
)


def _count(layers, pattern) -> Counter:
    """Return how many layers match a pattern for each text that its group matched."""
    matches = (re.fullmatch(pattern, name) for name in layers)
    return Counter(match[1] for match in matches if match)


def build_features(layers: dict) -> keras.Model:
    """Return the backbone of an old model, with new weights.

    Args:
        layers: name -> configuration of each layer of the model, in the format of Keras 2.

    Returns:
        Model with the outputs that the pyramid starts from, C2 or C3 to C5.

    Raises:
        ValueError: if there is a kind of layer that no backbone of keras-retinanet had.
    """
    stages = [name for name in (f"C{level}_reduced" for level in (2, 3, 4, 5)) if name in layers]
    ends = [sources_of(layers[name])[0] for name in stages]
    inputs = image_input()
    tensors, waiting = {}, list(reversed(ends))
    while waiting:  # the layers are a graph of hundreds: no recursion
        name = waiting[-1]
        layer = layers[name]
        missing = [source for source in sources_of(layer) if source not in tensors]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if name not in tensors:
            tensors[name] = _call(layer, [tensors[source] for source in sources_of(layer)], inputs)
    return keras.Model(inputs, [tensors[end] for end in ends], name="backbone")


def sources_of(layer: dict) -> list[str]:
    """Return the names of the layers that feed the first use of a layer."""
    nodes = layer["inbound_nodes"]
    return [source[0] for source in nodes[0]] if nodes else []


def _call(layer, sources, inputs):
    """Return the output of a layer made again."""
    kind, config = layer["class_name"], layer["config"]
    if kind == "InputLayer":
        return inputs
    if kind not in _KINDS:
        raise ValueError(
            f"layer {config['name']}: expected one of {', '.join(_KINDS)}, got a {kind}"
        )
    _check_data_format(config)
    options = _KINDS[kind](config)
    if not isinstance(options.get("activation", ""), str):
        raise ValueError(
            f"layer {config['name']}: expected the name of an activation, got code or an object"
        )
    made = options.pop("layer", None) or getattr(keras.layers, kind)
    instance = made(name=config["name"].replace("/", "_"), **options)
    instance.trainable = config.get("trainable", True) and not config.get("freeze", False)
    return instance(sources if len(sources) > 1 else sources[0])


def _check_data_format(config):
    found = config.get("data_format") or keras.config.image_data_format()
    if found != keras.config.image_data_format():
        raise ValueError(
            f"layer {config['name']}: expected {keras.config.image_data_format()}, got {found} "
            "(keras.config.set_image_data_format sets the other)"
        )


def _pick(*names):
    """Return a function from a configuration of Keras 2 to the arguments of these names."""
    return lambda config: {name: config[name] for name in names if name in config}


def _dropout(config):
    return {"layer": keras.layers.Dropout, **_pick("rate", "noise_shape")(config)}


def _batch_norm(config):
    axis = config["axis"]
    options = _pick("momentum", "epsilon", "center", "scale")(config)
    return {"axis": axis[0] if isinstance(axis, list) else axis, **options}


def _lambda(config):
    """Return what stands for the two functions of image-classifiers, known by their arguments."""
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
_KINDS = {
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
