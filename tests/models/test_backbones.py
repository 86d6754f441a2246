from importlib import import_module

import keras
import numpy as np
import pytest

from keras_retinanet import losses, models
from keras_retinanet.models.backbones import BACKBONES, Backbone
from keras_retinanet.models.densenet import DenseNetBackbone, densenet_retinanet
from keras_retinanet.models.effnet import (
    EfficientNetB3_retinanet,
    EfficientNetBackbone,
    effnet_retinanet,
)
from keras_retinanet.models.mobilenet import MobileNetBackbone, mobilenet_retinanet
from keras_retinanet.models.resnet import ResNetBackbone, resnet_retinanet
from keras_retinanet.models.senet import SeBackbone, senet_retinanet
from keras_retinanet.models.vgg import VGGBackbone, vgg_retinanet
from keras_retinanet.utils.model import freeze
from tests import tiny


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_of_the_table_is_there(name):
    backbone = models.backbone(name)
    assert backbone.backbone == name
    backbone.validate()
    assert {"Anchors", "_focal", "PriorProbability"} <= set(backbone.custom_objects)
    for make in losses.CLASSIFICATION_LOSSES.values():  # as Keras names them in a file
        assert backbone.custom_objects[make().__name__].__name__ == make().__name__


def test_each_backbone_is_fed_what_its_weights_expect():
    pixel = np.array([[[0, 127.5, 255]]], "float32")  # blue, green, red
    caffe = models.backbone("resnet50").preprocess_image(pixel)
    np.testing.assert_allclose(caffe, [[[-103.939, 10.721, 131.32]]], atol=1e-3)
    rgb = models.backbone("mobilenet_v2").preprocess_image(pixel)
    np.testing.assert_allclose(rgb, [[[1, 0, -1]]])
    torch = models.backbone("densenet121").preprocess_image(pixel)
    np.testing.assert_allclose(
        torch, [[[(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, -0.406 / 0.225]]], rtol=1e-5
    )
    np.testing.assert_array_equal(
        models.backbone("seresnet18").preprocess_image(pixel), [[[255, 127.5, 0]]]
    )


def test_unknown_backbone_is_named_with_the_close_ones_and_all():
    with pytest.raises(
        ValueError, match="'resnet5O'.*did you mean 'resnet50'.*: resnet18, .*vgg19"
    ):
        models.backbone("resnet5O")


def test_the_table_is_open(monkeypatch):
    monkeypatch.setitem(BACKBONES, tiny.NAME, tiny.ENTRY)
    model = models.backbone("tiny").retinanet(num_classes=2, pyramid_levels=[2, 3, 4, 5])
    assert model.output_shape == [(None, None, 4), (None, None, 2)]
    assert model.info == models.ModelInfo(
        "tiny", 2, anchors=None, pyramid_levels=(2, 3, 4, 5), normalisation="tf_rgb"
    )


class _MyBackbone(Backbone):
    names = ("mine", "resnet50")

    def download_imagenet(self):
        return "here"


def test_a_class_of_ones_own():
    assert _MyBackbone("mine").download_imagenet() == "here"
    assert _MyBackbone("resnet50").normalisation == "caffe"
    with pytest.raises(ValueError, match=r"Backbone \('yours'\) not in allowed .*: mine, resnet50"):
        _MyBackbone("yours")


def test_old_classes_and_functions_take_the_names_of_their_family(monkeypatch):
    assert MobileNetBackbone("mobilenet160_0.25").backbone == "mobilenet160_0.25"
    for kind, build, name in [
        (DenseNetBackbone, densenet_retinanet, "vgg16"),
        (VGGBackbone, vgg_retinanet, "densenet121"),
        (MobileNetBackbone, mobilenet_retinanet, "mobilenet_v2"),
        (EfficientNetBackbone, effnet_retinanet, "efficientnet_v2_b0"),
        (SeBackbone, senet_retinanet, "resnext50"),
        (ResNetBackbone, resnet_retinanet, "resnet18"),
    ]:
        with pytest.raises(ValueError, match=f"'{name}'.* not in allowed"):
            kind(name)
        with pytest.raises(ValueError, match=f"'{name}'.* not in allowed"):
            build(2, backbone=name)
    monkeypatch.setitem(BACKBONES, "EfficientNetB3", tiny.ENTRY)
    model = EfficientNetB3_retinanet(5)
    assert (model.info.backbone, model.info.num_classes) == ("EfficientNetB3", 5)
    assert EfficientNetB3_retinanet.__name__ == "EfficientNetB3_retinanet"


@pytest.mark.parametrize(
    "name", ["resnet18_0.5", "mobilenet128_0.25", "mobilenet_v3_small", "resnext50", "seresnet18"]
)
def test_parameters_of_the_table(name):
    module = import_module(BACKBONES[name].module)
    model = module.features(name, keras.Input((None, None, 3)))
    assert model.count_params() == BACKBONES[name].parameters


def test_modifier_freezes_the_backbone_only():
    model = models.backbone("mobilenet_v2").retinanet(num_classes=1, modifier=freeze)
    trainable = {layer.name for layer in model.layers if layer.trainable_weights}
    assert trainable == {
        *("C3_reduced", "C4_reduced", "C5_reduced", "P3", "P4", "P5", "P6", "P7"),
        *("regression_submodel", "classification_submodel"),
    }


def test_the_input_may_be_given():
    inputs = keras.Input((64, 64, 3), name="photo")
    model = models.backbone("mobilenet_v2").retinanet(2, inputs=inputs, pyramid_levels=[3, 4, 5])
    assert model.input.name == "photo"
    assert model.output_shape == [(None, 9 * (64 + 16 + 4), 4), (None, 9 * (64 + 16 + 4), 2)]
    assert model.info.pyramid_levels == (3, 4, 5)


def test_a_removed_name_says_what_to_use_instead():
    with pytest.raises(ImportError, match="use mobilenet_retinanet"):
        from keras_retinanet.models.mobilenet import MobileNetRetinaNet  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'anything'"):
        from keras_retinanet.models.mobilenet import anything  # noqa: F401
