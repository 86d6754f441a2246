"""detector: a model that knows how its images are prepared, and one that does not."""

import copy
import os
import pickle
import signal
from functools import partial

import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.detection.detector import Detector, filter_for, resizing, with_sides
from keras_retinanet.geometry.filter_settings import FilterSettings
from tests.fakes import (
    FindRectangle,
    detailed_finder,
    picture,
    rectangle_finder,
    tiny_retinanet,
)


@pytest.fixture(scope="module")
def training_model():
    return tiny_retinanet()


def photos(*sizes):
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (*size, 3), "uint8") for size in sizes]


def test_a_training_model_is_converted_and_shares_its_weights(training_model):
    detector = Detector(training_model, score_threshold=0.0)
    batch = np.random.default_rng(0).uniform(-100, 100, (2, 64, 96, 3)).astype("float32")
    converted = models.convert_model(training_model, score_threshold=0.0)
    before = detector.run_network(batch)
    for ours, theirs in zip(before, converted.predict_on_batch(batch), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    kernel = training_model.get_layer("regression_submodel").get_layer("pyramid_regression").bias
    kernel.assign_add(keras.ops.ones_like(kernel))
    assert np.abs(detector.run_network(batch)[0] - before[0]).max() > 1
    kernel.assign_sub(keras.ops.ones_like(kernel))


def test_an_inference_model_is_taken_as_it_is(training_model):
    inference = models.convert_model(training_model, score_threshold=0.0)
    first, second = Detector(inference), Detector(training_model, score_threshold=0.0)
    assert first.model is inference
    for one, other in zip(
        first.detect(photos((40, 60))), second.detect(photos((40, 60))), strict=True
    ):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-4)


def test_images_are_prepared_as_the_details_say(training_model):
    detector = Detector(training_model)
    images = photos((40, 60), (100, 50))
    small, tall = (detector.prepare(image) for image in images)
    # Sides 64 and 96: 40x60 grows 1.6 times; 100x50 is held back by its long side.
    assert (small.image.shape, small.scale, small.size) == ((64, 96, 3), 1.6, (40, 60))
    assert (tall.image.shape, tall.scale, tall.size) == ((96, 48, 3), 0.96, (100, 50))


def test_detections_stay_inside_their_image_and_come_best_first(training_model):
    detector = Detector(training_model, score_threshold=0.0)
    images = photos((40, 60), (100, 50), (40, 60))
    found = detector.detect(images, score_threshold=0.0, max_detections=50)
    for image, one in zip(images, found, strict=True):
        assert len(one) == 50
        assert (np.diff(one.scores) <= 0).all()
        assert one.boxes.min() >= 0
        assert (one.boxes.max(axis=0) <= np.array(image.shape[1::-1] * 2)).all()
    np.testing.assert_allclose(
        found[2].boxes, detector.detect(images[2:], 0.0, 50)[0].boxes, atol=1e-3
    )
    few = Detector(training_model, score_threshold=0.0, max_detections=100)
    with pytest.warns(UserWarning, match="an image has 100 detections, the maximum of this model"):
        assert len(few.detect(images, score_threshold=0.0, max_detections=None)[0]) == 100
    with pytest.warns(UserWarning, match="the maximum of this model"):
        few.detect(images, score_threshold=0.0, max_detections=101)
    assert len(few.detect(images, score_threshold=0.0, max_detections=100)[0]) == 100
    # Without a warning: nothing with such a score was cut off.
    assert [len(one) for one in detector.detect(images, score_threshold=0.99)] == [0, 0, 0]


def test_tiles_share_a_quarter_unless_told_otherwise(training_model):
    assert Detector(training_model, tile=100).overlap == 25
    assert Detector(training_model, tile=100, overlap=0).overlap == 0
    with pytest.raises(ValueError, match="overlap: 20 has no effect without tile"):
        Detector(training_model, overlap=20)


def test_a_box_may_reach_the_far_edge_of_the_image():
    detector = Detector(rectangle_finder(), lambda image: (image, 1.0), lambda image: image)
    found = detector.detect([picture(30, 50, (20, 10, 50, 30))])[0]
    assert found.boxes.tolist() == [[20, 10, 50, 30]]


def test_boxes_go_back_by_the_factor_of_their_axis():
    def resize(image):
        return image.repeat(3, axis=0).repeat(2, axis=1), np.array([2.0, 3, 2, 3])

    detector = Detector(rectangle_finder(), resize, lambda image: image)
    found = detector.detect([picture(30, 50, (20, 10, 50, 30)), picture(30, 50, (1, 2, 3, 5))])
    assert [one.boxes.tolist() for one in found] == [[[20, 10, 50, 30]], [[1, 2, 3, 5]]]


@pytest.mark.parametrize(
    ("rule", "size", "dtype"),
    [
        ("keras_retinanet", (80, 108), "uint8"),
        ("torchvision", (80, 107), "float32"),
        ("detectron2", (80, 108), "uint8"),
        ("mmdet", (80, 108), "uint8"),
    ],
)
def test_images_are_resized_by_the_rule_of_the_model(rule, size, dtype):
    info = {"no_resize": False, "image_min_side": 80, "image_max_side": 133, "resize_rule": rule}
    detector = Detector(detailed_finder(**info))
    image = picture(203, 274, (30, 20, 200, 180))  # 80 pixels high, it is 107.98 wide
    prepared = detector.prepare(image)
    assert (prepared.image.shape[:2], prepared.image.dtype) == (size, dtype)
    # Within a resized pixel, and half a new one that is dark by interpolation.
    np.testing.assert_allclose(detector.detect([image])[0].boxes, [[30, 20, 200, 180]], atol=2.6)


def test_float_images_are_rounded_for_a_network_that_takes_uint8():
    inputs = keras.Input((None, None, 3), dtype="uint8")
    model = keras.Model(inputs, FindRectangle()(keras.layers.Rescaling(1.0)(inputs)))
    detector = Detector(model, lambda image: (image - np.float32(0.4), 1.0), lambda image: image)
    found = detector.detect([picture(30, 50, (20, 10, 50, 30), score=1.0)])[0]
    assert found.boxes.tolist() == [[20, 10, 50, 30]]
    assert found.scores.tolist() == [1]  # 254.6 became 255


def test_images_keep_their_size_if_they_were_trained_so_and_there_may_be_none():
    model = tiny_retinanet()
    models.set_info(model, models.ModelInfo("resnet50", 2, no_resize=True))
    detector = Detector(model)
    assert detector.prepare(photos((40, 60))[0]).image.shape == (40, 60, 3)
    assert detector.detect([]) == []


def test_a_model_without_details_needs_to_be_told():
    with pytest.raises(ValueError, match=r"model\.info"):
        Detector(rectangle_finder())


def test_given_sides_take_precedence_with_a_warning():
    info = models.ModelInfo("resnet50", 2, image_min_side=64, image_max_side=96)
    assert with_sides(info) == with_sides(info, 64) == with_sides(info, 64, 96) == info
    with pytest.warns(UserWarning, match="detecting with sides 64 and 80; .* sides 64 and 96"):
        changed = with_sides(info, max_side=80)
    assert (changed.image_min_side, changed.image_max_side) == (64, 80)
    assert resizing(changed)(np.zeros((20, 40, 3), "uint8"))[1] == 2
    with pytest.warns(UserWarning, match="detecting with unresized images; .* sides 64 and 96"):
        unresized = with_sides(info, 32, no_resize=True)
    assert unresized.no_resize
    assert with_sides(unresized, no_resize=True) == with_sides(unresized) == unresized
    with pytest.warns(UserWarning, match="sides 50 and 96; .* trained with unresized images"):
        assert not with_sides(unresized, 50).no_resize
    assert with_sides(info, input_size=(60, 80)) == info
    for options in ({"min_side": 50}, {"max_side": 90}, {"no_resize": True}):
        with pytest.warns(UserWarning, match="no effect on a model that takes images of 60x80"):
            assert with_sides(info, **options, input_size=(60, 80)) == info


@pytest.mark.parametrize("count", [0, -1])
def test_a_detector_finds_at_least_one_object(count):
    with pytest.raises(ValueError, match=f"max_detections: expected at least 1, got {count}"):
        Detector.load("no-such-model.keras", max_detections=count)


@pytest.mark.parametrize("tile", [None, 32])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_what_comes_before_a_bad_image_is_found(training_model, batch_size, tile):
    image = np.zeros((40, 60, 3), "uint8")
    detector = Detector(training_model, tile=tile)
    found = detector(iter([image, image, "missing.jpg", image]), batch_size=batch_size)
    assert [len(next(found).boxes.shape) for _ in range(2)] == [2, 2]
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg"):
        next(found)


def test_a_converted_model_keeps_what_is_asked_for_and_no_less_than_usual():
    assert filter_for(0.5) == {"score_threshold": 0.05, "max_detections": 300}
    assert filter_for(0.01, 500) == {"score_threshold": 0.01, "max_detections": 500}
    kept = FilterSettings(score_threshold=0.02, max_detections=100)
    info = models.ModelInfo("resnet50", 2, filter_settings=kept)
    assert filter_for(0.5, 20, info) == {"score_threshold": 0.02, "max_detections": 100}
    assert filter_for(0.01, 200, info) == {"score_threshold": 0.01, "max_detections": 200}


@pytest.mark.parametrize("send", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_detector_cannot_be_sent_or_copied_and_says_so(send, training_model):
    detector = Detector(training_model)
    for what in (detector, detector.detect):
        with pytest.raises(TypeError, match=r"load it there .*Detector\.load"):
            send(what) if what is detector else pickle.dumps(what)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_each_use_of_a_model_in_a_forked_process_is_refused(training_model):
    image, inference = photos((40, 60))[0], models.convert_model(training_model)
    batch = image[None].astype("float32")
    detector = Detector(inference)
    uses = {
        "detect": lambda: detector.detect([image]),
        "run_network": lambda: detector.run_network(batch),
    }
    for model in (training_model, inference):
        for name in ("__call__", "predict", "predict_on_batch", "fit", "evaluate"):
            uses[f"{type(model).__name__}.{name}"] = partial(getattr(model, name), batch)
        for name in ("train_on_batch", "test_on_batch"):
            uses[f"{type(model).__name__}.{name}"] = partial(getattr(model, name), batch, batch)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(60)  # ends this process where a use hangs
        for name, use in uses.items():
            try:
                use()
            except RuntimeError as error:
                if "get_context('spawn')" in str(error):
                    os.write(writer, f"{name}\n".encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as refused:
        assert refused.read().split() == list(uses)
    os.waitpid(child, 0)
    assert len(detector.detect([image])) == 1  # the parent goes on


def test_models_can_be_pickled_with_their_info(training_model):
    for model in (training_model, models.convert_model(training_model)):
        restored = pickle.loads(pickle.dumps(model))
        assert type(restored) is type(model)
        assert restored.info == model.info
        for found, expected in zip(restored.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(found, expected)
