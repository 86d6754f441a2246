import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models.classes import NotATrainingModelError
from tests.models.conftest import TINY_INFO, build_tiny


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


def test_the_info_goes_through_the_configuration(tiny):
    copy = models.RetinaNet.from_config(tiny.get_config())
    assert copy.info == tiny.info
    assert [layer.name for layer in copy.layers] == [layer.name for layer in tiny.layers]


def test_an_inference_model_without_filter_settings_in_its_info_has_those_of_its_layer(tiny):
    """Files written before the info had them."""
    model = models.convert_model(tiny, score_threshold=0.3, nms=False)
    config = model.get_config()
    del config["details"]["filter_settings"]
    assert models.RetinaNetBBox.from_config(config).info == model.info


def test_a_model_without_an_info_stays_one():
    model = models.convert_model(build_tiny(), anchor_params=TINY_INFO.anchors)
    assert model.info is None
    assert models.RetinaNetBBox.from_config(model.get_config()).info is None


def test_only_our_models_have_an_info():
    with pytest.raises(ValueError, match="expected a RetinaNet"):
        models.set_info(keras.Sequential(), models.ModelInfo("resnet50", 1))


def weights_of(model):
    return {variable.path: np.array(variable) for variable in model.weights}


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_weights_by_name_as_old_programs_read_them(tiny, tmp_path, suffix):
    path = str(tmp_path / f"tiny.{suffix}")
    models.save_model(tiny, path)
    other = build_tiny(num_classes=3)
    before = weights_of(other)
    with pytest.raises(ValueError, match="of another shape: pyramid_classification/"):
        build_tiny(num_classes=3).load_weights(path, by_name=True)
    with pytest.warns(UserWarning, match=r"2 of another shape \(pyramid_classification/kernel"):
        other.load_weights(path, by_name=True, skip_mismatch=True)
    known, after = weights_of(tiny), weights_of(other)
    assert set(known) == set(after)
    for name, value in after.items():
        expected = before if "pyramid_classification/" in name else known
        np.testing.assert_array_equal(value, expected[name])


def test_weights_as_keras_keeps_them(tiny, tmp_path):
    path = str(tmp_path / "tiny.weights.h5")
    tiny.save_weights(path)
    other = build_tiny()
    other.load_weights(path)
    for one, two in zip(other.get_weights(), tiny.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
