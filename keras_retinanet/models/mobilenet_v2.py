"""MobileNetV2 (arXiv 1801.04381) with the layer names of `keras.applications`.

Keras's own has explicit padding that shifts with the parity of a known image size and rounds
down for unknown ones; "same" padding gives its numbers for known sizes, and always rounds up.
"""

import keras

from keras_retinanet.models.backbones import Backbone, image_input, retinanet_on, validate_name
from keras_retinanet.models.download import fetch
from keras_retinanet.models.normalization import batch_norm

NAME = "mobilenet_v2"

# Table 2 of the paper: output channels and stride of each of the 17 blocks.
_BLOCKS = [
    (16, 1),
    *[(24, 2), (24, 1)],
    *[(32, 2), (32, 1), (32, 1)],
    *[(64, 2), (64, 1), (64, 1), (64, 1)],
    *[(96, 1), (96, 1), (96, 1)],
    *[(160, 2), (160, 1), (160, 1)],
    (320, 1),
]
_EXPANSION = 6

# The last tensors before the stride grows from 4 to 8, from 8 to 16, from 16 to 32; and the end.
_STAGES = ("block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu", "out_relu")

_WEIGHTS = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"


class MobileNetV2Backbone(Backbone):
    """MobileNetV2 of width 1: small and fast, for CPUs and small data sets."""

    normalisation = "tf_rgb"

    def retinanet(self, *args, **kwargs):
        """Return a training model; see `mobilenet_v2_retinanet`."""
        return mobilenet_v2_retinanet(*args, **kwargs)

    def download_imagenet(self):
        """Return the path of Keras's ImageNet weights, downloaded on first use.

        Raises:
            ValueError: if they are not there and cannot be downloaded.
        """
        return fetch(_WEIGHTS, _URL + _WEIGHTS)

    def validate(self):
        """Raise ValueError if the name is not this backbone's."""
        validate_name(self.backbone, [NAME])


def mobilenet_v2_retinanet(num_classes, inputs=None, modifier=None, *, freeze_bn=True, **kwargs):
    """Return a training model on MobileNetV2.

    Args:
        num_classes: number of classes.
        inputs: a `keras.Input` of images; None means images of any size.
        modifier: function that gets the backbone and returns the model to use instead.
        freeze_bn: whether batch normalisation keeps its ImageNet statistics.
        **kwargs: for `models.retinanet.retinanet`.
    """
    inputs = image_input() if inputs is None else inputs
    return retinanet_on(
        mobilenet_v2(inputs, freeze_bn=freeze_bn),
        name=NAME,
        normalisation=MobileNetV2Backbone.normalisation,
        num_classes=num_classes,
        modifier=modifier,
        **kwargs,
    )


def mobilenet_v2(inputs, *, freeze_bn=True):
    """Return MobileNetV2 without its classifier.

    Args:
        inputs: a `keras.Input` of images.
        freeze_bn: whether batch normalisation keeps its statistics.

    Returns:
        Model with the outputs C2 (stride 4) to C5 (stride 32).
    """

    def normalised(x, name, relu=None):
        x = batch_norm(name, epsilon=1e-3, frozen=freeze_bn)(x)
        return keras.layers.ReLU(6.0, name=relu)(x) if relu else x

    x = _convolution(32, 3, "Conv1", strides=2, padding="same")(inputs)
    x = normalised(x, "bn_Conv1", "Conv1_relu")
    for number, (filters, stride) in enumerate(_BLOCKS):
        x = _inverted_residual(x, number, filters, stride, normalised)
    x = normalised(_convolution(1280, 1, "Conv_1")(x), "Conv_1_bn", _STAGES[-1])
    whole = keras.Model(inputs, x)
    outputs = [whole.get_layer(name).output for name in _STAGES]
    return keras.Model(inputs, outputs, name="mobilenetv2_1.00")


def _inverted_residual(x, number, filters, stride, normalised):
    """Return the output of a block: expand, filter each channel, project."""
    prefix = f"block_{number}" if number else "expanded_conv"
    y, channels = x, x.shape[_channel_axis()]
    if number:
        y = _convolution(_EXPANSION * channels, 1, f"{prefix}_expand")(y)
        y = normalised(y, f"{prefix}_expand_BN", f"{prefix}_expand_relu")
    y = keras.layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{prefix}_depthwise",
    )(y)
    y = normalised(y, f"{prefix}_depthwise_BN", f"{prefix}_depthwise_relu")
    y = normalised(_convolution(filters, 1, f"{prefix}_project")(y), f"{prefix}_project_BN")
    if stride == 1 and channels == filters:
        y = keras.layers.Add(name=f"{prefix}_add")([x, y])
    return y


def _convolution(filters, size, name, **options):
    options = {"use_bias": False, "kernel_initializer": "he_normal", **options}
    return keras.layers.Conv2D(filters, size, name=name, **options)


def _channel_axis() -> int:
    return 1 if keras.config.image_data_format() == "channels_first" else -1
