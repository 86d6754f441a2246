"""Pieces that several residual networks are built of."""

import keras


def convolution(x, filters, size, name, *, strides=1, groups=1, use_bias=False):
    """Return a convolution padded by `size // 2` on every side, as Caffe and PyTorch pad.

    Args:
        x: tensor to convolve.
        filters: number of output channels.
        size: height and width of the kernel, odd.
        name: name of the layer.
        strides: steps in both directions; 1 or 2.
        groups: number of groups that the channels fall into.
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


def relu(x, name):
    """Return a rectified tensor."""
    return keras.layers.Activation("relu", name=name)(x)


def pool(x, name):
    """Return the maximum of 3x3 pixels at every second one, padded on every side.

    What is pooled must not be negative: zeros surround it.
    """
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)


def squeeze_excite(x, name, reduction=16):
    """Return a tensor with every channel weighted (arXiv 1709.01507, section 3).

    Args:
        x: tensor.
        name: prefix of the names of the layers.
        reduction: how many channels share one of the hidden layer.
    """
    channels = x.shape[1 if keras.config.image_data_format() == "channels_first" else -1]
    y = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    y = convolution(y, channels // reduction, 1, f"{name}_reduce", use_bias=True)
    y = convolution(relu(y, f"{name}_relu"), channels, 1, f"{name}_expand", use_bias=True)
    y = keras.layers.Activation("sigmoid", name=f"{name}_sigmoid")(y)
    return keras.layers.Multiply(name=f"{name}_scale")([x, y])


def in_order(stored, order) -> dict:
    """Return stored weights under the names of the layers they were written for.

    Files of the package image-classifiers number most layers, from where the session happened to
    stand; the order tells which is meant.

    Args:
        stored: what `hdf5.stored_weights` returned.
        order: prefix of the numbered names -> names of our layers, in the order of their numbers.
    """
    renamed = dict(stored)
    for prefix, names in order.items():
        numbered = sorted(
            (layer for layer in stored if _number(layer, prefix) is not None),
            key=lambda layer, prefix=prefix: _number(layer, prefix),
        )
        if len(numbered) == len(names):
            renamed.update(
                (name, renamed.pop(old)) for old, name in zip(numbered, names, strict=True)
            )
    return renamed


def _number(layer, prefix) -> int | None:
    """Return 3 for `conv2d_3`, 0 for `conv2d`, None for another name."""
    rest = layer.removeprefix(prefix)
    if rest == layer:
        return None
    if not rest:
        return 0
    return int(rest[1:]) if rest[0] == "_" and rest[1:].isdigit() else None
