"""ResNet-50, -101 and -152 (arXiv 1512.03385) with the layer names of keras-resnet.

The first 1x1 convolution of a block has its stride, as in the Caffe models from which the ImageNet
weights and all old snapshots come.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_retinanet.models import backbones
from keras_retinanet.models.backbones import Backbone, build_retinanet, builder, validate_name
from keras_retinanet.models.classes import RetinaNet
from keras_retinanet.models.normalization import batch_norm
from keras_retinanet.models.weights import load_weights

# Number of blocks of each of the four stages.
BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}


# Old programs give this to `keras.models.load_model`.
custom_objects = backbones.custom_objects()


class ResNetBackbone(Backbone):
    """ResNet-50, -101 or -152."""

    names = tuple(BLOCKS)


def resnet_retinanet(
    num_classes: int,
    backbone: str = "resnet50",
    inputs: keras.KerasTensor | None = None,
    modifier: Callable[[keras.Model], keras.Model] | None = None,
    **kwargs: Any,
) -> RetinaNet:
    """Return a training model on a ResNet; see `models.backbones.build_retinanet`."""
    validate_name(backbone, ResNetBackbone.names)
    return build_retinanet(backbone, num_classes, inputs, modifier, **kwargs)


resnet50_retinanet = builder("resnet50", __name__)
resnet101_retinanet = builder("resnet101", __name__)
resnet152_retinanet = builder("resnet152", __name__)


def download_imagenet(backbone: str) -> str:
    """Return the path of a ResNet's ImageNet weights, downloaded on first use.

    Early releases had this function; today it is `Backbone.download_imagenet`.
    """
    return ResNetBackbone(backbone).download_imagenet()


def ResNet50RetinaNet(  # noqa: N802 (its name in early releases)
    inputs: keras.KerasTensor,
    num_classes: int,
    weights: str | None = "imagenet",
    skip_mismatch: bool = True,
    **kwargs: Any,
) -> RetinaNet:
    """Return a training model on ResNet-50 with weights, as early releases did.

    Args:
        inputs: a `keras.Input` of images.
        num_classes: number of classes.
        weights: path of a file of weights, "imagenet" for the backbone's ImageNet weights, or None
            for random weights.
        skip_mismatch: whether to leave tensors of another shape unchanged, instead of raising.
        **kwargs: see `models.backbones.build_retinanet`.

    Raises:
        OSError: if there is no such file.
        ValueError: if the weights do not match or cannot be downloaded.
    """
    model = resnet50_retinanet(num_classes, inputs=inputs, **kwargs)
    path = download_imagenet("resnet50") if weights == "imagenet" else weights
    if path:
        load_weights(model, path, skip_mismatch=skip_mismatch)
    return model


def features(name: str, inputs: keras.KerasTensor, *, freeze_bn: bool = True) -> keras.Model:
    """Return the network of a name without its classifier; see `resnet`."""
    return resnet(inputs, BLOCKS[name], freeze_bn=freeze_bn)


def resnet(
    inputs: keras.KerasTensor, blocks: Sequence[int], *, freeze_bn: bool = True
) -> keras.Model:
    """Return a bottleneck ResNet without its classifier.

    Args:
        inputs: a `keras.Input` of images.
        blocks: number of blocks of each stage.
        freeze_bn: whether batch normalisation keeps its statistics.

    Returns:
        Model with one output for each stage, C2 (stride 4) to C5 (stride 32).
    """
    # 3 pixels on every side, as in the training of the ImageNet weights.
    x = keras.layers.ZeroPadding2D(3, name="padding_conv1")(inputs)
    x = _convolution(64, 7, "conv1", strides=2)(x)
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


def _block_name(stage: int, block: int, *, deep: bool) -> str:
    """Return a, b, c, ... or, in the two middle stages of the deeper networks, a, b1, b2, ..."""
    numbered = deep and stage in (1, 2) and block > 0
    return f"b{block}" if numbered else chr(ord("a") + block)


def _bottleneck(
    x: keras.KerasTensor, filters: int, name: str, stride: int, projects: bool, freeze_bn: bool
) -> keras.KerasTensor:
    """Return the output of a block: 1x1, 3x3 and 1x1 convolutions plus a shortcut.

    Args:
        x: input of the block.
        filters: channels of the first two convolutions; the third has four times as many.
        name: of the block, such as "2a".
        stride: of the block.
        projects: whether the shortcut has a convolution.
        freeze_bn: whether batch normalisation keeps its statistics.
    """

    def norm(branch: str) -> keras.layers.Layer:
        return batch_norm(f"bn{name}_{branch}", epsilon=1e-5, frozen=freeze_bn)

    def relu(branch: str) -> keras.layers.Layer:
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


def _convolution(filters: int, size: int, name: str, **options: Any) -> keras.layers.Conv2D:
    options = {"use_bias": False, "kernel_initializer": "he_normal", **options}
    return keras.layers.Conv2D(filters, size, name=name, **options)
