"""ResNet-50, -101 and -152 (arXiv 1512.03385) with the layer names of keras-resnet.

As in the Caffe models whose weights the old snapshots grew from, the stride of a block stands in
its first 1x1 convolution.
"""

import keras

from keras_retinanet.models.backbones import Backbone, image_input, retinanet_on, validate_name
from keras_retinanet.models.download import fetch
from keras_retinanet.models.normalization import batch_norm

# Blocks of each of the four stages.
BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}

# MD5 sums of the ImageNet weights that keras-retinanet 1.0.0 downloaded.
_CHECKSUMS = {
    "resnet50": "3e9f4e4f77bbe2c9bec13b53ee1c2319",
    "resnet101": "05dc86924389e5b401a9ea0348a3213c",
    "resnet152": "6ee11ef2b135592f8031058820bb9e71",
}
_URL = "https://github.com/fizyr/keras-models/releases/download/v0.0.1/"

STEMS = ("padded", "same")


class ResNetBackbone(Backbone):
    """ResNet-50, -101 or -152."""

    normalisation = "caffe"

    def retinanet(self, *args, **kwargs):
        """Return a training model; see `resnet_retinanet`."""
        return resnet_retinanet(*args, backbone=self.backbone, **kwargs)

    def download_imagenet(self):
        """Return the path of the ImageNet weights, downloaded on first use.

        Raises:
            ValueError: if they are not there and cannot be downloaded.
        """
        name = f"ResNet-{self.backbone.removeprefix('resnet')}-model.keras.h5"
        return fetch(name, _URL + name, md5=_CHECKSUMS[self.backbone])

    def validate(self):
        """Raise ValueError if there is no ResNet of this name."""
        validate_name(self.backbone, BLOCKS)


def resnet_retinanet(
    num_classes,
    backbone="resnet50",
    inputs=None,
    modifier=None,
    *,
    freeze_bn=True,
    stem="padded",
    **kwargs,
):
    """Return a training model on a ResNet.

    Args:
        num_classes: number of classes.
        backbone: "resnet50", "resnet101" or "resnet152".
        inputs: a `keras.Input` of images; None means images of any size.
        modifier: function that gets the ResNet and returns the model to use instead.
        freeze_bn: whether batch normalisation keeps its ImageNet statistics.
        stem: padding of the first convolution: "padded", 3 pixels on every side, as the ImageNet
            weights were trained, or "same", as keras-retinanet 1.0.0 had it with keras-resnet 0.2.
        **kwargs: for `models.retinanet.retinanet`.
    """
    validate_name(backbone, BLOCKS)
    inputs = image_input() if inputs is None else inputs
    return retinanet_on(
        resnet(inputs, BLOCKS[backbone], freeze_bn=freeze_bn, stem=stem),
        name=backbone,
        normalisation=ResNetBackbone.normalisation,
        num_classes=num_classes,
        modifier=modifier,
        **kwargs,
    )


def resnet50_retinanet(num_classes, inputs=None, **kwargs):
    """Return a training model on ResNet-50; see `resnet_retinanet`."""
    return resnet_retinanet(num_classes, backbone="resnet50", inputs=inputs, **kwargs)


def resnet101_retinanet(num_classes, inputs=None, **kwargs):
    """Return a training model on ResNet-101; see `resnet_retinanet`."""
    return resnet_retinanet(num_classes, backbone="resnet101", inputs=inputs, **kwargs)


def resnet152_retinanet(num_classes, inputs=None, **kwargs):
    """Return a training model on ResNet-152; see `resnet_retinanet`."""
    return resnet_retinanet(num_classes, backbone="resnet152", inputs=inputs, **kwargs)


def resnet(inputs, blocks, *, freeze_bn=True, stem="padded"):
    """Return a bottleneck ResNet without its classifier.

    Args:
        inputs: a `keras.Input` of images.
        blocks: number of blocks of each stage.
        freeze_bn: whether batch normalisation keeps its statistics.
        stem: see `resnet_retinanet`.

    Returns:
        Model with one output for each stage, C2 (stride 4) to C5 (stride 32).

    Raises:
        ValueError: if the stem is unknown.
    """
    if stem not in STEMS:
        raise ValueError(f"expected a stem of {STEMS}, got {stem!r}")
    x = inputs
    if stem == "padded":
        x = keras.layers.ZeroPadding2D(3, name="padding_conv1")(x)
    padding = "valid" if stem == "padded" else "same"
    x = _convolution(64, 7, "conv1", strides=2, padding=padding)(x)
    x = batch_norm("bn_conv1", epsilon=1e-5, frozen=freeze_bn)(x)
    x = keras.layers.Activation("relu", name="conv1_relu")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(x)
    outputs = []
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            name = f"{stage + 2}{_block_name(stage, block, deep=sum(blocks) > 16)}"
            x = _bottleneck(x, 64 * 2**stage, name, stride, block == 0, freeze_bn)
        outputs.append(x)
    return keras.Model(inputs, outputs, name="resnet")


def _block_name(stage, block, *, deep) -> str:
    """Return a, b, c, ... or, in the middle stages of the networks beyond ResNet-50, a, b1, b2."""
    numbered = deep and stage in (1, 2) and block > 0
    return f"b{block}" if numbered else chr(ord("a") + block)


def _bottleneck(x, filters, name, stride, projects, freeze_bn):
    """Return the output of a block: 1x1, 3x3 and 1x1 convolutions beside a shortcut."""

    def norm(branch):
        return batch_norm(f"bn{name}_{branch}", epsilon=1e-5, frozen=freeze_bn)

    def relu(branch):
        return keras.layers.Activation("relu", name=f"res{name}{branch}_relu")

    y = _convolution(filters, 1, f"res{name}_branch2a", strides=stride)(x)
    y = relu("_branch2a")(norm("branch2a")(y))
    y = keras.layers.ZeroPadding2D(1, name=f"padding{name}_branch2b")(y)
    y = _convolution(filters, 3, f"res{name}_branch2b")(y)
    y = relu("_branch2b")(norm("branch2b")(y))
    y = norm("branch2c")(_convolution(4 * filters, 1, f"res{name}_branch2c")(y))
    if projects:
        x = norm("branch1")(_convolution(4 * filters, 1, f"res{name}_branch1", strides=stride)(x))
    return relu("")(keras.layers.Add(name=f"res{name}")([y, x]))


def _convolution(filters, size, name, **options):
    options = {"use_bias": False, "kernel_initializer": "he_normal", **options}
    return keras.layers.Conv2D(filters, size, name=name, **options)
