import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models.classes import RetinaNet
from keras_retinanet.models.folding import fold_batch_norm

RNG = np.random.default_rng(0)


def randomise(model):
    """Give every batch normalisation statistics, scale and offset that do something."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.moving_mean.shape
            ranges = [(0.2, 0.6), (-0.5, 0.5), (-0.5, 0.5), (0.5, 1.5)]
            layer.set_weights([RNG.uniform(*limits, shape) for limits in ranges])
    return model


def norms(model):
    return [layer.name for layer in model.layers if "BatchNorm" in type(layer).__name__]


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2"])
def test_outputs_stay_and_the_normalisation_goes(name):
    model = randomise(models.backbone(name).retinanet(num_classes=2, freeze_bn=True))
    folded = fold_batch_norm(model)
    assert len(norms(model)) > 50 and norms(folded) == []
    assert folded.info == model.info and type(folded) is RetinaNet
    images = RNG.uniform(-1, 1, (1, 64, 96, 3)).astype("float32")
    for ours, plain in zip(folded(images), model(images), strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-4)


def build(*, trainable=False, activation=None, second_use=False, bias=False, axis=-1):
    """Return a model of one convolution with a normalisation after it."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(
        8, 3, activation=activation, use_bias=bias, bias_initializer="ones", name="convolution"
    )(inputs)
    y = keras.layers.BatchNormalization(axis=axis, trainable=trainable, name="norm")(x)
    outputs = keras.layers.Add(name="sum")([x, y]) if second_use else y
    return randomise(RetinaNet(inputs, [outputs, keras.layers.ReLU(name="relu")(outputs)]))


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_by_hand(bias):
    model = build(bias=bias)
    folded = fold_batch_norm(model)
    assert norms(folded) == []
    gamma, beta, mean, variance = model.get_layer("norm").get_weights()
    kernel, offset = folded.get_layer("convolution").get_weights()
    factor = gamma / np.sqrt(variance + 1e-3)
    plain = model.get_layer("convolution").get_weights()[0]
    np.testing.assert_allclose(kernel, plain * factor, rtol=1e-5)
    np.testing.assert_allclose(offset, (bias - mean) * factor + beta, rtol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [{"trainable": True}, {"activation": "relu"}, {"second_use": True}, {"axis": 1}],
)
def test_what_cannot_be_folded_stays(settings):
    model = build(**settings)
    folded = fold_batch_norm(model)
    assert norms(folded) == ["norm"]
    images = RNG.uniform(-1, 1, (2, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(folded(images)[0], model(images)[0])
