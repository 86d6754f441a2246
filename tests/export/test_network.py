from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import models
from keras_retinanet.detection.detector import Detector
from keras_retinanet.detection.keras_runner import KerasRunner
from keras_retinanet.export.check import TOLERANCES, compare
from keras_retinanet.export.network import build, save_frozen
from keras_retinanet.geometry.filter_settings import FIXED_TOP_K
from keras_retinanet.models.precision import set_precision

EXACT = TOLERANCES["float32"]


class Raw(KerasRunner):
    is_raw = True


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize("clip", ["pixels", "edges", "last"])
def test_finds_what_the_exact_model_finds(trained, images, clip, is_raw):
    network = build(trained, is_raw=is_raw, clip=clip, drop_empty=clip != "pixels")
    runner = Raw(network.model) if is_raw else KerasRunner(network.model)
    expected = Detector(network.exact).detect(images)
    difference = compare(expected, Detector(runner).detect(images), EXACT, 0.05)
    assert difference.compared > 50
    assert difference.unmatched == 0


def test_takes_images_as_they_are_read_and_says_so(trained):
    network = build(trained, score_threshold=0.2)
    assert network.record.input_type == "uint8"
    assert network.signature() == tf.TensorSpec((None, None, None, 3), "uint8", name="images")
    info = network.record.info
    assert info.normalisation == "network"
    assert info.filter_settings.score_threshold == 0.2
    assert info.filter_settings.pre_nms_top_k == FIXED_TOP_K
    assert (info.image_min_side, info.image_max_side) == (64, 96)
    assert not network.exact.info.filter_settings.fixed_shapes
    assert network.exact.info.filter_settings.pre_nms_top_k == FIXED_TOP_K
    assert network.unlimited.info.filter_settings.pre_nms_top_k is None
    for options in ({"is_raw": True}, {"pre_nms_top_k": 7}):
        network = build(trained, **options)
        assert network.unlimited is network.exact


def test_images_that_are_resized_to_fractions_stay_so(trained, images):
    model = models.RetinaNet(trained.inputs[0], trained.outputs)
    models.set_info(model, replace(trained.info, resize_rule="torchvision"))
    network = build(model)
    assert network.record.input_type == network.model.inputs[0].dtype == "float32"
    found = Detector(KerasRunner(network.model)).detect(images)
    difference = compare(Detector(network.exact).detect(images), found, EXACT, 0.05)
    assert difference.compared > 50
    assert difference.unmatched == 0


def test_a_converted_model_keeps_its_settings(trained):
    converted = models.convert_model(trained, score_threshold=0.3, max_detections=7)
    network = build(converted, max_detections=9)
    settings = network.record.info.filter_settings
    assert (settings.score_threshold, settings.max_detections) == (0.3, 9)


def test_a_model_without_info_is_refused(trained):
    with pytest.raises(ValueError, match="which know how their images are prepared"):
        build(models.RetinaNet(trained.inputs[0], trained.outputs))


def test_a_model_in_half_precision_is_exported_in_float32(trained, images):
    half = models.convert_model(trained)
    set_precision(half, "bfloat16")
    found = Detector(KerasRunner(build(half).model)).detect(images)
    difference = compare(Detector(models.convert_model(trained)).detect(images), found, EXACT, 0.05)
    assert difference.compared > 50
    assert difference.unmatched == 0


def test_a_frozen_network_has_no_variables_and_named_outputs(trained, images, tmp_path):
    network = build(trained, input_size=(64, 96))
    save_frozen(network, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert not loaded.signatures["serve"].variables
    found = loaded.signatures["serve"](images=tf.constant(images[0][None]))
    expected = network.serve(tf.constant(images[0][None]))
    assert set(found) == set(expected) == {"boxes", "scores", "labels"}
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-3)
