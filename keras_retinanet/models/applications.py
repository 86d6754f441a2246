"""Backbones from `keras.applications`, made to round strides up for images of any size.

Keras pads before a strided convolution by amounts that follow from the parity of a known image
size, and for unknown sizes rounds down; "same" padding gives its numbers for known sizes, and
rounds up always, as the anchors of `anchors.guess_shapes` do.
"""

import keras

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
_SIZE = 64  # of the image that shows the stride of each layer


def features(name, inputs, *, freeze_bn=True):
    """Return a network of `keras.applications` without its classifier.

    Args:
        name: its name in `backbone_table`.
        inputs: a `keras.Input` of images.
        freeze_bn: whether batch normalisation keeps its statistics.

    Returns:
        Model with the outputs C2 (stride 4) to C5 (stride 32), each the last tensor of its stride;
        with VGG the last pooled one, with DenseNet the last concatenation, as they were in
        keras-retinanet 1.0.0.
    """
    whole = _build(name)
    stages = _stages(whole, name)
    clone = keras.models.clone_model(
        whole,
        input_tensors=keras.tree.map_structure(lambda _: inputs, whole.input),
        clone_function=_adapter(whole, freeze_bn, own_scale=not name.startswith("EfficientNet")),
    )
    return keras.Model(inputs, [clone.get_layer(stage).output for stage in stages], name=whole.name)


def translate(stored, model) -> dict:
    """Return Keras's weights under the names that its layers have today.

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


def _build(name):
    """Return the network as Keras makes it, for images of a known size."""
    image = keras.Input((3, _SIZE, _SIZE) if _channels_first() else (_SIZE, _SIZE, 3))
    options = {"include_top": False, "weights": None, "input_tensor": image}
    if name in _CLASSES:
        return getattr(keras.applications, _CLASSES[name])(**options)
    width = name.rpartition("_")[2]  # mobilenet224_0.5
    return keras.applications.MobileNet(alpha=float(width), **options)


def _stages(model, name) -> list[str]:
    """Return the names of the layers whose outputs are C2 to C5."""
    kinds = {"vgg": keras.layers.MaxPooling2D, "densenet": keras.layers.Concatenate}
    kind = kinds.get(name.rstrip("0123456789"), keras.layers.Layer)
    last = {}
    for layer in model.layers:
        # A pad belongs to what follows; ConvNeXt normalises its end for the classifier alone.
        other = isinstance(layer, keras.layers.ZeroPadding2D | keras.layers.LayerNormalization)
        if isinstance(layer, kind) and len(layer.output.shape) == 4 and not other:
            last[_SIZE / layer.output.shape[-2]] = layer.name
    return [last[stride] for stride in STRIDES]


def _adapter(model, freeze_bn, own_scale):
    """Return the function that makes the layers of the clone of a model."""
    uneven = {layer.name for layer in model.layers if _pads_unevenly(layer)}

    def adapt(layer):
        if isinstance(layer, keras.Sequential):  # without its input of a known size
            return keras.Sequential([adapt(part) for part in layer.layers], name=layer.name)
        config = layer.get_config()
        scales = isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
        if layer.name in uneven or (scales and not own_scale):
            return keras.layers.Identity(name=layer.name)
        if isinstance(layer, keras.layers.BatchNormalization):
            config.update(momentum=MOMENTUM, trainable=not freeze_bn)
        if _rounds_down(config, padded=bool(uneven)):
            config["padding"] = "same"
        return type(layer).from_config(config)

    return adapt


def _pads_unevenly(layer) -> bool:
    """Return whether a layer adds more to one side of an image than to the other."""
    return isinstance(layer, keras.layers.ZeroPadding2D) and any(
        before != after for before, after in layer.padding
    )


def _rounds_down(config, padded) -> bool:
    """Return whether a convolution or pooling drops what its stride does not divide.

    Args:
        config: of the layer.
        padded: whether the network has a padding layer before such ones.
    """
    size, strides = config.get("kernel_size", config.get("pool_size")), config.get("strides")
    if config.get("padding") != "valid" or tuple(strides) == (1, 1):
        return False
    return padded or tuple(size) == tuple(strides)


def _channels_first() -> bool:
    return keras.config.image_data_format() == "channels_first"
