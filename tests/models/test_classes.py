import keras
import pytest

from keras_retinanet import models
from keras_retinanet.models.classes import NotATrainingModelError


def test_training_models_are_told_from_others(tiny):
    inference = models.convert_model(tiny)
    assert models.is_training_model(tiny)
    assert not models.is_training_model(inference)
    models.assert_training_model(tiny)
    for check in (models.assert_training_model, models.check_training_model):
        with pytest.raises(NotATrainingModelError, match="got an inference model"):
            check(inference)
        with pytest.raises(AssertionError, match="got a model with the outputs"):
            check(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))


def test_details_go_through_the_configuration(tiny):
    copy = models.RetinaNet.from_config(tiny.get_config())
    assert copy.details == tiny.details
    assert [layer.name for layer in copy.layers] == [layer.name for layer in tiny.layers]


def test_details_are_of_our_models_only():
    with pytest.raises(ValueError, match="expected a RetinaNet"):
        models.set_details(keras.Sequential(), models.Details("resnet50", 1))
