"""ResNeXt-50 and -101 (arXiv 1611.05431), with the layer names of Keras's files of weights.

Keras publishes ImageNet weights for 32 groups of 4 channels; there the grouped convolution is a
depthwise one of which sums are taken. For 32x8d, the best backbone of the focal loss paper, it has
none.
"""

import keras

from keras_retinanet.models import blocks
from keras_retinanet.models.normalization import batch_norm

GROUPS = 32
# Blocks of each stage, and channels of a group in the first one.
_DESIGNS = {
    "resnext50": ((3, 4, 6, 3), 4),
    "resnext101": ((3, 4, 23, 3), 4),
    "resnext101_32x8d": ((3, 4, 23, 3), 8),
}


def features(name, inputs, *, freeze_bn=True):
    """Return the network of a name without its classifier; see `applications.features`.

    Returns:
        Model with one output for each stage, C2 (stride 4) to C5 (stride 32).
    """
    counts, width = _DESIGNS[name]

    def unit(x, filters, size, name, relu=True, **options):
        x = blocks.convolution(x, filters, size, f"{name}_conv", **options)
        x = batch_norm(f"{name}_bn", epsilon=1.001e-5, frozen=freeze_bn)(x)
        return blocks.relu(x, f"{name}_relu") if relu else x

    x = blocks.pool(unit(inputs, 64, 7, "conv1", strides=2), "pool1")
    outputs = []
    for stage, count in enumerate(counts):
        filters = GROUPS * width * 2**stage
        for i in range(count):
            prefix, strides = f"conv{stage + 2}_block{i + 1}", 2 if stage and not i else 1
            y = unit(x, filters, 1, f"{prefix}_1")
            y = unit(y, filters, 3, f"{prefix}_2", strides=strides, groups=GROUPS)
            y = unit(y, 256 * 2**stage, 1, f"{prefix}_3", relu=False)
            if not i:
                x = unit(x, 256 * 2**stage, 1, f"{prefix}_0", relu=False, strides=strides)
            x = blocks.relu(keras.layers.Add(name=f"{prefix}_add")([x, y]), f"{prefix}_out")
        outputs.append(x)
    return keras.Model(inputs, outputs, name=name)


def translate(stored, model) -> dict:
    """Return Keras's weights with the depthwise kernels as kernels of grouped convolutions.

    Args:
        stored: what `hdf5.stored_weights` returned.
        model: unused.
    """
    return {
        layer: [(weight, _grouped(data)) for weight, data in entries]
        if layer.endswith("_2_conv")
        else entries
        for layer, entries in stored.items()
    }


def _grouped(kernel):
    """Return a kernel `(h, w, c, groups * c)` of one `(h, w, groups * c, c)`; else the same.

    A row of the depthwise kernel belongs to one input channel; its columns are added to the
    outputs of the group.
    """
    height, size, channels, each = kernel.shape
    if channels != GROUPS * each:
        return kernel
    kernel = kernel[()].reshape(height, size, GROUPS, each, each)
    return kernel.transpose(0, 1, 3, 2, 4).reshape(height, size, each, channels)
