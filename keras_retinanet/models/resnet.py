"""ResNet-50, -101 and -152 (arXiv 1512.03385) with the layer names of keras-resnet.

As in the Caffe models whose weights the old snapshots grew from, the stride of a block stands in
its first 1x1 convolution.
"""

import keras

from keras_retinanet.models.backbones import Backbone, build_retinanet, builder, validate_name
from keras_retinanet.models.normalization import batch_norm

# Blocks of each of the four stages.
BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}


class ResNetBackbone(Backbone):
    """ResNet-50, -101 or -152."""

    names = tuple(BLOCKS)


def resnet_retinanet(num_classes, backbone="resnet50", inputs=None, modifier=None, **kwargs):
    """Return a training model on a ResNet; see `models.backbones.build_retinanet`."""
    validate_name(backbone, ResNetBackbone.names)
    return build_retinanet(backbone, num_classes, inputs, modifier, **kwargs)


resnet50_retinanet = builder("resnet50", __name__)
resnet101_retinanet = builder("resnet101", __name__)
resnet152_retinanet = builder("resnet152", __name__)


def features(name, inputs, *, freeze_bn=True):
    """Return the network of a name without its classifier; see `resnet`."""
    return resnet(inputs, BLOCKS[name], freeze_bn=freeze_bn)


def resnet(inputs, blocks, *, freeze_bn=True):
    """Return a bottleneck ResNet without its classifier.

    Args:
        inputs: a `keras.Input` of images.
        blocks: number of blocks of each stage.
        freeze_bn: whether batch normalisation keeps its statistics.

    Returns:
        Model with one output for each stage, C2 (stride 4) to C5 (stride 32).
    """
    # 3 pixels on every side, as the ImageNet weights were trained.
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
