"""ResNet-18 and -34 that normalise before each convolution, plain or with squeeze and excitation.

See arXiv 1603.05027 and 1709.01507. Layers, names and ImageNet weights are those of the package
image-classifiers, which has the only published Keras weights for these depths.
"""

from typing import Any

import keras

from keras_retinanet.models import blocks
from keras_retinanet.models.hdf5 import StoredWeights
from keras_retinanet.models.normalization import batch_norm

_BLOCKS = {"18": (2, 2, 2, 2), "34": (3, 4, 6, 3)}


def features(name: str, inputs: keras.KerasTensor, *, freeze_bn: bool = True) -> keras.Model:
    """Return the network of a name without its classifier; see `applications.features`.

    Returns:
        Model with the outputs C2 (stride 4) to C5 (stride 32), normalised and rectified.
    """

    def norm(x: keras.KerasTensor, name: str, **options: Any) -> keras.KerasTensor:
        return batch_norm(name, epsilon=2e-5, frozen=freeze_bn, **options)(x)

    x = blocks.convolution(norm(inputs, "bn_data", scale=False), 64, 7, "conv0", strides=2)
    x = blocks.pool(blocks.relu(norm(x, "bn0"), "relu0"), "pooling0")
    outputs = []
    for stage, count in enumerate(_BLOCKS[name[-2:]]):
        for unit in range(count):
            prefix = f"stage{stage + 1}_unit{unit + 1}_"
            y = blocks.relu(norm(x, f"{prefix}bn1"), f"{prefix}relu1")
            if stage and not unit:
                outputs.append(y)  # the last of its stride
            strides = 2 if stage and not unit else 1
            if not unit:
                x = blocks.convolution(y, 64 * 2**stage, 1, f"{prefix}sc", strides=strides)
            y = blocks.convolution(y, 64 * 2**stage, 3, f"{prefix}conv1", strides=strides)
            y = blocks.relu(norm(y, f"{prefix}bn2"), f"{prefix}relu2")
            y = blocks.convolution(y, 64 * 2**stage, 3, f"{prefix}conv2")
            if name.startswith("se"):
                y = blocks.squeeze_excite(y, f"{prefix}se")
            x = keras.layers.Add(name=f"{prefix}add")([y, x])
    outputs.append(blocks.relu(norm(x, "bn1"), "relu1"))
    return keras.Model(inputs, outputs, name=name)


def translate(stored: StoredWeights, model: keras.Model) -> StoredWeights:
    """Return weights of image-classifiers under our names.

    Args:
        stored: what `hdf5.stored_weights` returned.
        model: a model on a network of this module.
    """
    names = [layer.name for layer in model.layers]
    order = [name for name in names if name.endswith(("_se_reduce", "_se_expand"))]
    return blocks.rename_numbered_layers(stored, {"conv2d": order})
