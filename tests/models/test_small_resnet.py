import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models.small_resnet import features


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return models.backbone("resnet18_0.5").retinanet(num_classes=2, feature_size=16)


def test_strides_double_from_4_to_32():
    inputs = keras.Input((None, None, 3))
    shapes = features("resnet18_0.5", inputs).compute_output_shape((1, 97, 130, 3))
    assert [tuple(shape) for shape in shapes] == [
        (1, 25, 33, 32),
        (1, 13, 17, 64),
        (1, 7, 9, 128),
        (1, 4, 5, 256),
    ]


def test_weights_are_a_quarter_of_those_of_resnet_18():
    # Torchvision's ResNet-18 has 11,176,512 without its classifier; halving both sides of every
    # convolution but the first quarters it, and normalisation has four tensors instead of two.
    trainable = sum(
        np.prod(w.shape)
        for w in features("resnet18_0.5", keras.Input((None, None, 3))).trainable_weights
    )
    first = 7 * 7 * 3 * 64
    norms = 2 * (5 * 64 + 5 * 128 + 5 * 256 + 5 * 512)
    convolutions = 11_176_512 - first - norms
    assert trainable == convolutions // 4 + first // 2 + norms // 2


def test_narrow_pyramid_and_heads(model):
    assert model.get_layer("P3").filters == 16
    assert (
        model.get_layer("classification_submodel").get_layer("pyramid_classification_3").filters
        == 16
    )
    regression, classification = model(np.zeros((1, 64, 96, 3), "float32"))
    n = 9 * (8 * 12 + 4 * 6 + 2 * 3 + 1 * 2 + 1)
    assert regression.shape == (1, n, 4)
    assert classification.shape == (1, n, 2)


def test_norms_learn_unless_frozen(model):
    assert model.get_layer("bn_conv1").trainable
    frozen = features("resnet18_0.5", keras.Input((None, None, 3)), freeze_bn=True)
    assert not frozen.get_layer("bn_conv1").trainable


def test_there_are_no_imagenet_weights():
    with pytest.raises(ValueError, match="no ImageNet weights for resnet18_0.5"):
        models.backbone("resnet18_0.5").download_imagenet()
