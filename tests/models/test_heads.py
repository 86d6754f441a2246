"""The heads: their sizes, names and how they start."""

import numpy as np
import pytest

from keras_retinanet.models.backbones import backbone
from keras_retinanet.models.heads import (
    default_classification_model,
    default_regression_model,
    default_submodels,
)


def test_sizes_and_names():
    regression = default_regression_model(4, 9)
    classification = default_classification_model(80, 9)
    assert regression.name == "regression_submodel"
    # Four 3x3 convolutions of 256 channels, then 36 and 720 filters, with biases.
    hidden = 4 * (9 * 256 * 256 + 256)
    assert regression.count_params() == hidden + 9 * 256 * 36 + 36
    assert classification.count_params() == hidden + 9 * 256 * 720 + 720
    x = np.zeros((1, 2, 3, 256), "float32")
    assert regression(x).shape == (1, 2 * 3 * 9, 4)
    np.testing.assert_allclose(classification(x), np.full((1, 54, 80), 0.01), rtol=1e-4)
    assert [name for name, _ in default_submodels(2, 3)] == ["regression", "classification"]


@pytest.mark.parametrize("size", [64, 256])
def test_a_signal_keeps_its_strength_through_the_hidden_layers(size):
    x = np.random.default_rng(0).normal(size=(1, 12, 12, size)).astype("float32")
    model = default_regression_model(4, 9, size, size)
    for i in range(4):
        x = np.array(model.get_layer(f"pyramid_regression_{i}")(x))
    # He's start keeps the mean square; zero padding takes a little at the edges.
    assert 0.4 < np.mean(x**2) < 1.5


def test_hidden_layers_may_start_as_in_the_paper():
    kernels = []
    for name, model in default_submodels(2, 9, feature_size=64, hidden_initializer="normal"):
        for i in range(4):
            layer = model.get_layer(f"pyramid_{name}_{i}")
            kernels.append(np.array(layer.kernel))
            np.testing.assert_array_equal(layer.bias, np.zeros(64))
    for kernel in kernels:
        assert np.std(kernel) == pytest.approx(0.01, rel=0.02)
    # Each layer has numbers of its own.
    assert len({kernel.tobytes() for kernel in kernels}) == 8
    with pytest.raises(ValueError, match="^hidden_initializer: expected one of he_normal, normal,"):
        default_submodels(2, 9, hidden_initializer="zeros")


def test_a_backbone_passes_the_initialiser_and_the_normalisation_on():
    model = backbone("resnet18_0.5").retinanet(
        2, feature_size=32, freeze_bn=False, group_norm=True, hidden_initializer="normal"
    )
    for name in ("regression", "classification"):
        head = model.get_layer(f"{name}_submodel")
        kernel = head.get_layer(f"pyramid_{name}_0").kernel
        assert np.std(kernel) == pytest.approx(0.01, rel=0.05)
        assert [head.get_layer(f"pyramid_{name}_{i}_norm").groups for i in range(4)] == [32] * 4


@pytest.mark.parametrize("size", [16, 48])
def test_channels_that_make_no_equal_groups_are_refused(size):
    with pytest.raises(ValueError, match=f"^feature_size: expected a multiple of 32, .*got {size}"):
        default_submodels(2, 9, feature_size=size, group_norm=True)


def test_the_last_layers_start_as_in_the_paper():
    for name, model in default_submodels(20, 9):
        kernel = np.array(model.get_layer(f"pyramid_{name}").kernel)
        assert np.std(kernel) == pytest.approx(0.01, rel=0.02)


def test_heads_with_group_normalisation_are_those_of_the_formula():
    model = default_regression_model(4, 1, 64, 64, group_norm=True)
    first, norm = (model.get_layer(f"pyramid_regression_0{end}") for end in ("", "_norm"))
    assert not first.use_bias
    rng = np.random.default_rng(0)
    norm.set_weights([rng.normal(size=64), rng.normal(size=64)])
    x = rng.normal(size=(2, 5, 6, 64)).astype("float32")
    features = np.asarray(first(x), "float64")
    groups = features.reshape(2, 30, 32, 2)  # 32 groups of 2 channels
    mean, variance = (f(groups, axis=(1, 3), keepdims=True) for f in (np.mean, np.var))
    normalised = ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(features.shape)
    gamma, beta = norm.get_weights()
    np.testing.assert_allclose(norm(first(x)), normalised * gamma + beta, atol=1e-4)
    assert model(x).shape == (2, 30, 4)
