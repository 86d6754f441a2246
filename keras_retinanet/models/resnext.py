"""ResNeXt-50 and -101 (arXiv 1611.05431), with the layer names of Keras's weight files.

Keras publishes ImageNet weights for 32 groups of 4 channels, in which a depthwise convolution and
sums stand for the grouped convolution. It has none for 32x8d, the best backbone of the focal loss
paper.
"""

from typing import Any

import h5py
import keras
import numpy as np

from keras_retinanet.models import blocks
from keras_retinanet.models.hdf5 import StoredWeights
from keras_retinanet.models.normalization import batch_norm

GROUPS = 32
# Number of blocks of each stage, and channels per group in the first stage.
_DESIGNS = {
    "resnext50": ((3, 4, 6, 3), 4),
    "resnext101": ((3, 4, 23, 3), 4),
    "resnext101_32x8d": ((3, 4, 23, 3), 8),
}


def features(name: str, inputs: keras.KerasTensor, *, freeze_bn: bool = True) -> keras.Model:
    """Return the network of a name without its classifier; see `applications.features`.

    Returns:
        Model with one output for each stage, C2 (stride 4) to C5 (stride 32).
    """
    counts, width = _DESIGNS[name]

    def unit(
        x: keras.KerasTensor,
        filters: int,
        size: int,
        name: str,
        relu: bool = True,
        **options: Any,
    ) -> keras.KerasTensor:
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


def translate(stored: StoredWeights, model: keras.Model) -> StoredWeights:
    """Return Keras's weights with depthwise kernels turned into kernels of grouped convolutions.

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


def _grouped(kernel: h5py.Dataset | np.ndarray) -> h5py.Dataset | np.ndarray:
    """Return a grouped kernel `(h, w, c, groups * c)` from a depthwise one.

    Args:
        kernel: depthwise, `(h, w, groups * c, c)`: each input channel has one value for each of the
            outputs of its group. A kernel of another shape is returned unchanged.
    """
    height, width, channels, per_group = kernel.shape
    if channels != GROUPS * per_group:
        return kernel
    kernel = kernel[()].reshape(height, width, GROUPS, per_group, per_group)
    return kernel.transpose(0, 1, 3, 2, 4).reshape(height, width, per_group, channels)
