import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models import backbones
from keras_retinanet.models.backbones import BACKBONES, Backbone
from keras_retinanet.utils.model import freeze


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_of_the_table_is_there(name):
    backbone = models.backbone(name)
    assert backbone.backbone == name
    backbone.validate()
    assert {"Anchors", "_focal", "PriorProbability"} <= set(backbone.custom_objects)


def test_each_backbone_is_fed_what_its_weights_expect():
    pixel = np.array([[[0, 127.5, 255]]], "float32")  # blue, green, red
    caffe = models.backbone("resnet50").preprocess_image(pixel)
    np.testing.assert_allclose(caffe, [[[-103.939, 10.721, 131.32]]], atol=1e-3)
    rgb = models.backbone("mobilenet_v2").preprocess_image(pixel)
    np.testing.assert_allclose(rgb, [[[1, 0, -1]]])


def test_unknown_backbone_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="'resnet5O'.*did you mean 'resnet50'"):
        models.backbone("resnet5O")


def test_the_table_is_open(monkeypatch):
    monkeypatch.setitem(BACKBONES, "mine", (__name__, "_MyBackbone"))
    assert isinstance(models.backbone("mine"), _MyBackbone)


class _MyBackbone(Backbone):
    def validate(self):
        backbones.validate_name(self.backbone, ["mine"])


def test_methods_to_override():
    backbone = _MyBackbone("mine")
    with pytest.raises(NotImplementedError):
        backbone.retinanet(num_classes=1)
    with pytest.raises(NotImplementedError):
        backbone.download_imagenet()
    with pytest.raises(ValueError, match=r"Backbone \('yours'\) not in allowed"):
        _MyBackbone("yours")


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
    assert model.details.pyramid_levels == (3, 4, 5)
