from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models.new_classes import with_classes
from tests.models.conftest import TINY_INFO, build_tiny

PRIOR = 0.3  # of the scores of a new model of `build_tiny`
NAMES = (None, "person", "traffic light", "cat", "person")


@pytest.fixture
def detector():
    model = build_tiny(num_classes=len(NAMES))
    models.set_info(model, replace(TINY_INFO, num_classes=len(NAMES), class_names=NAMES))
    return model


def outputs(model, images):
    return [np.asarray(output) for output in model.predict_on_batch(images)]


def test_known_classes_keep_their_scores_and_new_ones_start_low(detector, images):
    last = detector.get_layer("classification_submodel").get_layer("pyramid_classification")
    rng = np.random.default_rng(0)
    last.set_weights([rng.normal(size=w.shape).astype("float32") for w in last.get_weights()])
    boxes, before = outputs(detector, images)
    names = ["Cat", "helmet", "traffic_light", None]
    model, kept = with_classes(detector, names)
    same_boxes, after = outputs(model, images)
    assert kept == ["Cat", "traffic_light"]
    np.testing.assert_array_equal(same_boxes, boxes)
    np.testing.assert_allclose(after[..., 0], before[..., 3], rtol=1e-5)
    np.testing.assert_allclose(after[..., 2], before[..., 2], rtol=1e-5)
    np.testing.assert_allclose(after[..., [1, 3]], PRIOR, rtol=0.2)
    assert model.info == replace(detector.info, num_classes=4, class_names=tuple(names))
    # The model that was given is as before.
    np.testing.assert_array_equal(outputs(detector, images)[1], before)


def test_of_two_outputs_with_one_name_the_first_is_kept(detector, images):
    _, before = outputs(detector, images)
    model, kept = with_classes(detector, ["person"])
    np.testing.assert_allclose(outputs(model, images)[1][..., 0], before[..., 1], rtol=1e-5)
    assert kept == ["person"]


def test_the_same_classes_need_no_other_model(detector):
    model, kept = with_classes(detector, ["", "person", "traffic-light", "CAT", "person"])
    assert model is detector
    assert kept == ["person", "traffic-light", "CAT", "person"]


def test_learns_saves_and_loads(detector, images, tmp_path):
    model, _ = with_classes(detector, ["dog", "cat"])
    path = tmp_path / "m.keras"
    models.save_model(model, path)
    loaded = models.load_model(path)
    for found, wanted in zip(outputs(loaded, images), outputs(model, images), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert loaded.info.class_names == ("dog", "cat")


def test_refuses_a_model_with_another_head(detector):
    head = detector.get_layer("classification_submodel")
    head.get_layer("pyramid_classification").name = "other"
    with pytest.raises(ValueError, match="its classes cannot be changed"):
        with_classes(detector, ["dog"])
    with pytest.raises(ValueError, match="training model"):
        with_classes(models.convert_model(build_tiny_with_info()), ["dog"])


def build_tiny_with_info():
    model = build_tiny()
    models.set_info(model, TINY_INFO)
    return model
