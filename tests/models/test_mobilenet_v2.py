import keras
import numpy as np
import pytest

from keras_retinanet.models.mobilenet_v2 import mobilenet_v2


def randomise(layer, rng):
    """Give a layer weights that keep activations in range."""
    for variable in layer.weights:
        noise = rng.standard_normal(variable.shape)
        if variable.name == "kernel":
            fan_in = 9 if "depthwise" in layer.name else np.prod(variable.shape[:-1])
            variable.assign(noise * np.sqrt(2 / fan_in))
        else:
            variable.assign(variable + 0.05 * np.abs(noise))


@pytest.mark.parametrize("size", [(64, 96), (65, 51)])
def test_equals_keras_for_even_and_odd_sizes(size):
    native = keras.applications.MobileNetV2(input_shape=(*size, 3), include_top=False, weights=None)
    ours = mobilenet_v2(keras.Input((None, None, 3)))
    own = {layer.name: layer for layer in ours.layers}
    rng = np.random.default_rng(1)
    for layer in native.layers:
        if layer.weights:
            randomise(layer, rng)
            own[layer.name].set_weights(layer.get_weights())
    image = rng.uniform(-1, 1, (1, *size, 3)).astype("float32")
    expected = np.asarray(native(image))
    assert expected.std() > 0.1
    np.testing.assert_allclose(ours(image)[-1], expected, atol=1e-4)


def test_strides_round_up_for_unknown_sizes():
    model = mobilenet_v2(keras.Input((None, None, 3)))
    image = np.zeros((1, 65, 97, 3), "float32")
    shapes = [tuple(output.shape[1:]) for output in model(image)]
    assert shapes == [(17, 25, 144), (9, 13, 192), (5, 7, 576), (3, 4, 1280)]


def test_batch_normalisation_is_frozen_or_not():
    for frozen in (True, False):
        norm = mobilenet_v2(keras.Input((None, None, 3)), freeze_bn=frozen).get_layer("bn_Conv1")
        assert norm.trainable is not frozen
        assert norm.epsilon == 1e-3
