import keras
import numpy as np
import pytest

from keras_retinanet.models import resnext


@pytest.fixture(scope="module")
def small():
    """A ResNeXt of one block a stage."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(resnext._DESIGNS, "resnext50", ((1, 1, 1, 1), 4))
        return resnext.features("resnext50", keras.Input((None, None, 3)))


def test_strides_and_channels(small):
    assert [tuple(shape[1:]) for shape in small.compute_output_shape((1, 65, 97, 3))] == [
        (17, 25, 256),
        (9, 13, 512),
        (5, 7, 1024),
        (3, 4, 2048),
    ]


def test_depthwise_layout_of_keras_computes_the_same():
    """Keras's files: each input channel times c kernels, added up over the channels of a group."""
    rng = np.random.default_rng(0)
    groups, each = resnext.GROUPS, 4
    image = rng.normal(size=(1, 7, 9, groups * each)).astype("float32")
    depthwise = keras.layers.DepthwiseConv2D(3, depth_multiplier=each, use_bias=False)
    products = np.asarray(depthwise(image)).reshape(1, 5, 7, groups, each, each)
    expected = products.sum(axis=4).reshape(1, 5, 7, groups * each)

    stored = {"conv2_block1_2_conv": [("kernel", np.asarray(depthwise.kernel))]}
    ((_, kernel),) = resnext.translate(stored, None)["conv2_block1_2_conv"]
    grouped = keras.layers.Conv2D(groups * each, 3, groups=groups, use_bias=False)
    grouped.build(image.shape)
    grouped.kernel.assign(kernel)
    np.testing.assert_allclose(grouped(image), expected, atol=1e-5)


def test_grouped_kernels_stay_as_they_are(small):
    layer = small.get_layer("conv5_block1_2_conv")
    kernel = np.asarray(layer.kernel)
    assert kernel.shape == (3, 3, 32, 1024)
    stored = {layer.name: [("kernel", kernel)], "conv1_conv": [("kernel", 1)]}
    assert resnext.translate(stored, None) == stored
