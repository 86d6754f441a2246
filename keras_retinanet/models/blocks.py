"""Building blocks that several residual networks share."""

from collections.abc import Mapping, Sequence

import keras

from keras_retinanet.models.hdf5 import StoredWeights


def convolution(
    x: keras.KerasTensor,
    filters: int,
    size: int,
    name: str,
    *,
    strides: int = 1,
    groups: int = 1,
    use_bias: bool = False,
) -> keras.KerasTensor:
    """Return a convolution padded by `size // 2` on every side, as in Caffe and PyTorch.

    Args:
        x: tensor to convolve.
        filters: number of output channels.
        size: height and width of the kernel, odd.
        name: name of the layer.
        strides: stride in both directions; 1 or 2.
        groups: number of groups of channels.
        use_bias: whether to add a bias.
    """
    padding = "same"
    if strides > 1 and size > 1:  # "same" would pad even sizes on one side only
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding=padding,
        groups=groups,
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Return a rectified tensor."""
    return keras.layers.Activation("relu", name=name)(x)


def pool(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Return a 3x3 max pooling with stride 2, padded on every side.

    The padding is zeros, so the input must not be negative.
    """
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)


def squeeze_excite(x: keras.KerasTensor, name: str, reduction: int = 16) -> keras.KerasTensor:
    """Return a tensor with every channel weighted (arXiv 1709.01507, section 3).

    Args:
        x: tensor.
        name: prefix of the layer names.
        reduction: number of channels per channel of the hidden layer.
    """
    channels = x.shape[1 if keras.config.image_data_format() == "channels_first" else -1]
    y = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    y = convolution(y, channels // reduction, 1, f"{name}_reduce", use_bias=True)
    y = convolution(relu(y, f"{name}_relu"), channels, 1, f"{name}_expand", use_bias=True)
    y = keras.layers.Activation("sigmoid", name=f"{name}_sigmoid")(y)
    return keras.layers.Multiply(name=f"{name}_scale")([x, y])


def rename_numbered_layers(
    stored: StoredWeights, order: Mapping[str, Sequence[str]]
) -> StoredWeights:
    """Return stored weights with the numbered layer names of image-classifiers replaced.

    That package leaves most names to Keras, which numbers them: `conv2d`, `conv2d_1`, ... or, in a
    session with other models before, `conv2d_41`, `conv2d_42`, ... Only the order tells which layer
    is meant.

    Args:
        stored: what `hdf5.stored_weights` returned.
        order: prefix of the numbered names -> names of our layers, in the order of their numbers.
            Layers of a prefix keep their names if there are more or fewer of them than these.
    """
    renamed = dict(stored)
    for prefix, names in order.items():
        numbers = {name: _layer_number(name, prefix) for name in stored}
        numbered = sorted((number, name) for name, number in numbers.items() if number is not None)
        if len(numbered) == len(names):
            renamed.update(
                (name, renamed.pop(old)) for (_, old), name in zip(numbered, names, strict=True)
            )
    return renamed


def _layer_number(name: str, prefix: str) -> int | None:
    """Return 3 for `conv2d_3`, 0 for `conv2d`, None for a name that is not the prefix numbered."""
    rest = name.removeprefix(prefix)
    if rest == name:
        return None
    if not rest:
        return 0
    return int(rest[1:]) if rest[0] == "_" and rest[1:].isdigit() else None
