"""The heads: two small networks that run on every pyramid level (arXiv 1708.02002, section 4)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import keras

from keras_retinanet.initializers import PriorProbability
from keras_retinanet.system.messages import shorten


def _channels_first() -> bool:
    return keras.config.image_data_format() == "channels_first"


# Channels of the heads and of the pyramid in the paper.
FEATURE_SIZE = 256


def _paper_normal() -> keras.initializers.Initializer:
    """Return the initialiser of the heads' layers in section 4.1 of the paper."""
    return keras.initializers.RandomNormal(mean=0.0, stddev=0.01)


# Initialisers of the hidden layers by name: He's, and the paper's.
HIDDEN_INITIALIZERS: Mapping[str, Callable[[], keras.initializers.Initializer]] = MappingProxyType(
    {"he_normal": keras.initializers.HeNormal, "normal": _paper_normal}
)
# At 256 channels each layer passes on a third of a signal with the paper's, and Adam needs epochs
# to make up for it: after 3 epochs on 205 photos of blood cells the loss was 2.65 with it and 2.23
# with He's initialiser, all else equal.
HIDDEN_INITIALIZER = "he_normal"


# Groups of channels of a head with group normalisation, and its epsilon, as in the paper of it
# (arXiv 1803.08494) and in PyTorch; Keras's own epsilon is 1e-3.
NORM_GROUPS, NORM_EPSILON = 32, 1e-5


def _head_convolution(filters: int, name: str, **options: Any) -> keras.layers.Conv2D:
    """Return a 3x3 convolution that is initialised as in section 4.1 of the paper."""
    options = {"kernel_initializer": _paper_normal(), "bias_initializer": "zeros", **options}
    return keras.layers.Conv2D(filters, 3, padding="same", name=name, **options)


def _head(
    output: str,
    filters: int,
    values: int,
    pyramid_feature_size: int,
    last: Callable[[keras.KerasTensor], keras.KerasTensor],
    name: str,
    activation: str | None = None,
    *,
    group_norm: bool = False,
    hidden_initializer: str = HIDDEN_INITIALIZER,
) -> keras.Model:
    """Return four convolutions and the `last` one, its output reshaped to one row per anchor.

    Args:
        output: "classification" or "regression", for the names of the layers.
        filters: channels of the four hidden layers.
        values: number of values per anchor.
        pyramid_feature_size: channels of the pyramid level.
        last: the last convolution.
        name: name of the model.
        activation: activation of the values; None for none.
        group_norm: whether the hidden layers have group normalisation instead of a bias.
        hidden_initializer: name in `HIDDEN_INITIALIZERS`.

    Raises:
        ValueError: if there is no such initialiser, or the groups of channels would not be equal.
    """
    if hidden_initializer not in HIDDEN_INITIALIZERS:
        raise ValueError(
            f"hidden_initializer: expected one of {', '.join(HIDDEN_INITIALIZERS)}, got "
            f"{shorten(hidden_initializer)}"
        )
    # With fewer groups it would be another normalisation, and a worse one (arXiv 1803.08494).
    if group_norm and filters % NORM_GROUPS:
        raise ValueError(
            f"feature_size: expected a multiple of {NORM_GROUPS}, the groups of group "
            f"normalisation, got {filters}"
        )
    channels_first = _channels_first()
    size = pyramid_feature_size
    inputs = x = keras.Input((size, None, None) if channels_first else (None, None, size))
    for i in range(4):
        layer_name = f"pyramid_{output}_{i}"
        # A new one for each layer, as one object would give all of them the same numbers.
        options = {"kernel_initializer": HIDDEN_INITIALIZERS[hidden_initializer]()}
        if group_norm:
            x = _head_convolution(filters, layer_name, use_bias=False, **options)(x)
            x = _group_norm(f"{layer_name}_norm")(x)
            x = keras.layers.Activation("relu", name=f"{layer_name}_relu")(x)
        else:
            x = _head_convolution(filters, layer_name, activation="relu", **options)(x)
    x = last(x)
    if channels_first:
        x = keras.layers.Permute((2, 3, 1), name=f"pyramid_{output}_permute")(x)
    x = keras.layers.Reshape((-1, values), name=f"pyramid_{output}_reshape")(x)
    if activation:
        # float32 under any precision policy: half precision cannot hold small probabilities.
        layer_name = f"pyramid_{output}_{activation}"
        x = keras.layers.Activation(activation, dtype="float32", name=layer_name)(x)
    return keras.Model(inputs, x, name=name)


def _group_norm(name: str) -> keras.layers.GroupNormalization:
    axis = 1 if _channels_first() else -1
    return keras.layers.GroupNormalization(NORM_GROUPS, axis=axis, epsilon=NORM_EPSILON, name=name)


def default_classification_model(
    num_classes: int,
    num_anchors: int,
    pyramid_feature_size: int = 256,
    prior_probability: float = 0.01,
    classification_feature_size: int = 256,
    name: str = "classification_submodel",
    *,
    group_norm: bool = False,
    hidden_initializer: str = HIDDEN_INITIALIZER,
) -> keras.Model:
    """Return the head that scores every class for every anchor of a pyramid level.

    Args:
        num_classes: number of classes.
        num_anchors: number of anchors per location.
        pyramid_feature_size: channels of the pyramid level.
        prior_probability: about what every score is at the start of training.
        classification_feature_size: channels of the four hidden layers.
        name: name of the model.
        group_norm: whether the hidden layers have group normalisation instead of a bias.
        hidden_initializer: initialiser of the hidden layers, a name in `HIDDEN_INITIALIZERS`.

    Returns:
        Model from `(B, h, w, pyramid_feature_size)` to `(B, h * w * num_anchors, num_classes)`.
    """
    last = _head_convolution(
        num_classes * num_anchors,
        "pyramid_classification",
        bias_initializer=PriorProbability(prior_probability),
    )
    size = classification_feature_size
    return _head(
        "classification",
        size,
        num_classes,
        pyramid_feature_size,
        last,
        name,
        "sigmoid",
        group_norm=group_norm,
        hidden_initializer=hidden_initializer,
    )


def default_regression_model(
    num_values: int,
    num_anchors: int,
    pyramid_feature_size: int = 256,
    regression_feature_size: int = 256,
    name: str = "regression_submodel",
    *,
    group_norm: bool = False,
    hidden_initializer: str = HIDDEN_INITIALIZER,
) -> keras.Model:
    """Return the head that predicts the box offsets for every anchor of a pyramid level.

    Args:
        num_values: number of values to predict per anchor; 4 for a box.
        num_anchors: number of anchors per location.
        pyramid_feature_size: channels of the pyramid level.
        regression_feature_size: channels of the four hidden layers.
        name: name of the model.
        group_norm: whether the hidden layers have group normalisation instead of a bias.
        hidden_initializer: initialiser of the hidden layers, a name in `HIDDEN_INITIALIZERS`.

    Returns:
        Model from `(B, h, w, pyramid_feature_size)` to `(B, h * w * num_anchors, num_values)`.
    """
    last = _head_convolution(num_anchors * num_values, "pyramid_regression")
    size = regression_feature_size
    return _head(
        "regression",
        size,
        num_values,
        pyramid_feature_size,
        last,
        name,
        group_norm=group_norm,
        hidden_initializer=hidden_initializer,
    )


def default_submodels(
    num_classes: int,
    num_anchors: int,
    *,
    feature_size: int = FEATURE_SIZE,
    group_norm: bool = False,
    hidden_initializer: str = HIDDEN_INITIALIZER,
) -> list[tuple[str, keras.Model]]:
    """Return the heads as a list of (output name, model): regression, then classification.

    Args:
        num_classes: number of classes.
        num_anchors: number of anchors per location.
        feature_size: channels of the pyramid and of the hidden layers.
        group_norm: whether the hidden layers have group normalisation instead of a bias.
        hidden_initializer: initialiser of the hidden layers, a name in `HIDDEN_INITIALIZERS`.
    """
    size = feature_size
    options: dict[str, Any] = {"group_norm": group_norm, "hidden_initializer": hidden_initializer}
    return [
        ("regression", default_regression_model(4, num_anchors, size, size, **options)),
        (
            "classification",
            default_classification_model(
                num_classes,
                num_anchors,
                pyramid_feature_size=size,
                classification_feature_size=size,
                **options,
            ),
        ),
    ]
