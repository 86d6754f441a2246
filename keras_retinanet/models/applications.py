"""Backbones from `keras.applications`, changed to round up where a stride does not divide a side.

Before a strided convolution, Keras pads by amounts that depend on the parity of a known image size;
for an unknown size it rounds down. "same" padding gives the same numbers for known sizes, and
always rounds up, as `geometry.anchors.guess_shapes` does for the anchors.
"""

import re
from collections.abc import Callable
from typing import Any

import keras

from keras_retinanet.models.hdf5 import StoredWeights
from keras_retinanet.models.normalization import MOMENTUM

_CLASSES = {
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3Small",
    "mobilenet_v3_large": "MobileNetV3Large",
    **{f"densenet{depth}": f"DenseNet{depth}" for depth in (121, 169, 201)},
    **{f"vgg{depth}": f"VGG{depth}" for depth in (16, 19)},
    **{f"resnet{depth}v2": f"ResNet{depth}V2" for depth in (50, 101, 152)},
    **{f"EfficientNetB{number}": f"EfficientNetB{number}" for number in range(8)},
    **{
        f"efficientnet_v2_{size}": f"EfficientNetV2{size.upper()}"
        for size in ("b0", "b1", "b2", "b3", "s", "m", "l")
    },
    **{f"convnext_{size}": f"ConvNeXt{size.title()}" for size in ("tiny", "small", "base")},
}

STRIDES = (4, 8, 16, 32)
# Layers that end a block, in networks whose blocks have their stride in the middle. The layers
# before that stride prepare it: on MobileNetV2, whose pyramid then hardly saw C3 and C4, AP50 was
# 0.54 with them and 0.80 without, after 8 epochs of 160 pictures with 16 classes.
_ENDS_OF_BLOCKS = {
    ("mobilenet_v", "efficientnet_v2"): re.compile("_(add|project_bn)$", re.IGNORECASE),
    ("resnet",): re.compile("_preact_relu$"),
}
_SIZE = 64  # of the images for which a network is built to find the stride of each layer


def features(name: str, inputs: keras.KerasTensor, *, freeze_bn: bool = True) -> keras.Model:
    """Return a network of `keras.applications` without its classifier.

    Args:
        name: its name in `backbone_table`.
        inputs: a `keras.Input` of images.
        freeze_bn: whether batch normalisation keeps its statistics.

    Returns:
        Model with the outputs C2 (stride 4) to C5 (stride 32), each the last tensor of its stride;
        for VGG the last pooled one, for DenseNet the last concatenation, as in keras-retinanet
        1.0.0. In networks that 1.0.0 did not have, where the first layers of a block have the
        stride before it, it is the last one before such a block.
    """
    original = _build(name)
    stages = _stages(original, name)
    clone = keras.models.clone_model(
        original,
        input_tensors=keras.tree.map_structure(lambda _: inputs, original.input),
        clone_function=_layer_copier(
            original, freeze_bn, keep_scaling=not name.startswith("EfficientNet")
        ),
    )
    outputs = [clone.get_layer(stage).output for stage in stages]
    return keras.Model(inputs, outputs, name=original.name)


def translate(stored: StoredWeights, model: keras.Model) -> StoredWeights:
    """Return Keras's weights under today's names of its layers.

    Args:
        stored: what `hdf5.stored_weights` returned.
        model: a model on a network of this module.
    """
    if not model.info.backbone.startswith("mobilenet_v3"):
        return stored
    # "Conv/BatchNorm" of Keras 2 is "conv_bn" today.
    return {
        layer.replace("BatchNorm", "bn").replace("Conv", "conv"): data
        for layer, data in stored.items()
    }


def _build(name: str) -> keras.Model:
    """Return the network as Keras builds it, for images of a known size."""
    image = keras.Input((3, _SIZE, _SIZE) if _channels_first() else (_SIZE, _SIZE, 3))
    options: dict[str, Any] = {"include_top": False, "weights": None, "input_tensor": image}
    if name in _CLASSES:
        return getattr(keras.applications, _CLASSES[name])(**options)
    width = name.rpartition("_")[2]  # mobilenet224_0.5
    return keras.applications.MobileNet(alpha=float(width), **options)


def _stages(model: keras.Model, name: str) -> list[str]:
    """Return the names of the layers whose outputs are C2 to C5."""
    layer_classes = {"vgg": keras.layers.MaxPooling2D, "densenet": keras.layers.Concatenate}
    layer_class = layer_classes.get(name.rstrip("0123456789"), keras.layers.Layer)
    ends = [each for families, each in _ENDS_OF_BLOCKS.items() if name.startswith(families)]
    last = {}
    for layer in model.layers:
        # Padding belongs to the layer after it; ConvNeXt's last normalisation to the classifier.
        other = isinstance(layer, keras.layers.ZeroPadding2D | keras.layers.LayerNormalization)
        if not isinstance(layer, layer_class) or len(layer.output.shape) != 4 or other:
            continue
        stride = _SIZE / layer.output.shape[-2]
        if stride == STRIDES[-1] or all(end.search(layer.name) for end in ends):
            last[stride] = layer.name
    return [last[stride] for stride in STRIDES]


def _layer_copier(
    model: keras.Model, freeze_bn: bool, keep_scaling: bool
) -> Callable[[keras.layers.Layer], keras.layers.Layer]:
    """Return the function that makes the layers of a model's clone.

    Args:
        model: the network as Keras builds it.
        freeze_bn: whether batch normalisation keeps its statistics.
        keep_scaling: whether to keep layers that scale or normalise pixels.
    """
    uneven = {layer.name for layer in model.layers if _pads_unevenly(layer)}

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.Sequential):  # without its input of a known size
            return keras.Sequential([copy(part) for part in layer.layers], name=layer.name)
        config = layer.get_config()
        scales = isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
        if layer.name in uneven or (scales and not keep_scaling):
            return keras.layers.Identity(name=layer.name)
        if isinstance(layer, keras.layers.BatchNormalization):
            config.update(momentum=MOMENTUM, trainable=not freeze_bn)
        if _rounds_down(config, padded=bool(uneven)):
            config["padding"] = "same"
        return type(layer).from_config(config)

    return copy


def _pads_unevenly(layer: keras.layers.Layer) -> bool:
    """Return whether a layer pads one side of an image by more than the other."""
    return isinstance(layer, keras.layers.ZeroPadding2D) and any(
        before != after for before, after in layer.padding
    )


def _rounds_down(config: dict[str, Any], padded: bool) -> bool:
    """Return whether a layer with a stride drops the pixels that the stride leaves over.

    Args:
        config: configuration of the layer, which may be of any class.
        padded: whether the network has padding layers before its strided layers.
    """
    if config.get("padding") != "valid" or tuple(config["strides"]) == (1, 1):
        return False
    size = config["kernel_size"] if "kernel_size" in config else config["pool_size"]
    return padded or tuple(size) == tuple(config["strides"])


def _channels_first() -> bool:
    return keras.config.image_data_format() == "channels_first"
