"""Runs without the command line, on a backbone small enough for tests."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.augmentation.settings import AugmentationSettings
from keras_retinanet.config import Config
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.metrics import COCO_KEYS
from keras_retinanet.models.freeze import backbone_layers
from keras_retinanet.preprocessing.data import CSVData
from keras_retinanet.training import data_sets, run
from keras_retinanet.training.plan import SettingError, SettingWarning
from tests import tiny


def silent(text):
    """Take what a run says, and say nothing."""


def test_a_run_gives_model_history_and_numbers_and_says_what_it_does(plan, tmp_path):
    lines = []
    result = run.train(replace(plan, epochs=2, batch_size=2), log=lines.append)
    assert isinstance(result.model, models.RetinaNet)
    assert len(result.history["loss"]) == len(result.history["mAP"]) == 2
    assert tuple(result.coco) == COCO_KEYS
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("tiny_csv_01.keras", "tiny_csv_02.keras", "best.keras"),
        *("history.csv", "class_ap.csv", "curves.png", "detections.png"),
        *("state.zip", "state-previous.zip"),
    }
    assert "Training tiny on 4 images of 1 classes: 2 epochs of 2 steps" in lines
    assert any(line.startswith("Anchor sizes ") for line in lines)


def test_the_plan_says_what_is_written(plan, tmp_path):
    result = run.train(replace(plan, epochs=1, evaluation=False, snapshots=False), log=silent)
    assert result.coco is None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"history.csv", "curves.png"}


def test_the_same_plan_gives_the_same_weights(plan):
    plan = replace(plan, epochs=1, evaluation=False, snapshots=False, workers=1)
    first, second = (run.train(plan, log=silent).model.get_weights() for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_changes_the_process_is_undone(plan):
    before = cv2.getNumThreads()
    run.train(replace(plan, epochs=1, evaluation=False, snapshots=False, workers=2), log=silent)
    assert cv2.getNumThreads() == before


def test_augmentation_reaches_the_training_set_alone(plan):
    changes = AugmentationSettings(random_crop=1, scale_range=(0.5, 0.5))
    training, validation = data_sets.open_data(replace(plan, augmentation=changes), None, silent)
    assert training.random_crop.chance == 1
    assert training.visual_effect_generator is None
    assert training.sample(2, 0)[0].shape == (32, 32, 3)
    np.testing.assert_array_equal(validation.sample(2, 0)[0], validation.sample(2, 1)[0])
    assert validation.sample(2, 0)[0].shape == (64, 64, 3)


def test_buckets_and_caches_reach_the_generators(plan, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    plan = replace(plan, pad_to_buckets=True, cache="disk")
    training, validation = data_sets.open_data(plan, None, silent)
    # Photos, 4:3, have sides of 64 and 85, which is rounded up.
    for generator in (training, validation):
        shapes = {generator[i][0].shape[1:3] for i in range(4)}
        assert shapes == {(64, 64), (64, 96), (96, 64)}
    # The set to evaluate on is read once an epoch and not cached.
    assert len(list((tmp_path / "home").rglob("*.pixels"))) == 4
    (tmp_path / "home" / "decoded_images").rename(tmp_path / "gone")
    validation.load_image_group(range(4))
    assert not list((tmp_path / "home").rglob("*.pixels"))


def test_more_images_a_batch_than_there_are_is_refused(plan):
    with pytest.raises(SettingError, match="^batch_size: expected at most 4.*got 5"):
        data_sets.open_data(replace(plan, batch_size=5), None, silent)


def test_anchors_of_the_plan_take_precedence_with_a_warning(plan, tmp_path):
    default = AnchorParameters.default
    half = AnchorParameters(
        [size / 2 for size in default.sizes], default.strides, default.ratios, default.scales
    )
    snapshot = tiny.save_model(tmp_path / "a.keras")
    resumed = replace(plan, snapshot=snapshot, config=Config(anchor_params=half))
    with pytest.warns(UserWarning, match="the given anchors are not those of .*a.keras"):
        assert (
            data_sets.choose_config(resumed, models.load_model(snapshot).info).anchor_params == half
        )
    unknown = replace(models.load_model(snapshot).info, anchors=None)
    assert data_sets.choose_config(resumed, unknown).anchor_params == half
    with pytest.raises(ValueError, match="does not hold its anchors"):
        data_sets.choose_config(replace(plan, snapshot=snapshot), unknown)


def test_class_names_are_compared(plan, tmp_path):
    snapshot = tiny.save_model(tmp_path / "a.keras", class_names=("circle",))
    resumed = replace(plan, snapshot=snapshot)
    with pytest.warns(UserWarning, match=r"classes are \['circle'\], the data set's \['square'\]"):
        data_sets.open_data(resumed, models.load_model(snapshot).info, silent)


def weights_that_train(model):
    """The names of the trained weights of the backbone, and of the others."""
    names = [layer.name for layer in backbone_layers(model) if layer.trainable_weights]
    total = sum(len(layer.trainable_weights) > 0 for layer in model.layers)
    return len(names), total - len(names)


@pytest.mark.filterwarnings("default:.* has no state of the optimizer that fits")
def test_a_backbone_is_frozen_in_a_snapshot_too_and_stays_so(plan, tmp_path):
    lines = []
    plan = replace(plan, feature_size=8, epochs=1, steps=1, evaluation=False)
    free = run.train(plan, log=lines.append)
    assert weights_that_train(free.model)[0] > 0
    snapshot = str(tmp_path / "out" / "tiny_csv_01.keras")
    more = {"snapshot": snapshot, "backbone": None, "initial_epoch": 1, "epochs": 2}
    more["feature_size"] = 256
    frozen = run.train(replace(plan, **more, freeze_backbone=True), log=lines.append)
    assert weights_that_train(frozen.model) == (0, weights_that_train(free.model)[1])
    for layer in backbone_layers(frozen.model):
        for weight, other in zip(layer.weights, free.model.get_layer(layer.name).weights, strict=1):
            np.testing.assert_array_equal(weight, other)
    # Without the option, the model itself tells.
    more |= {"snapshot": str(tmp_path / "out" / "tiny_csv_02.keras"), "initial_epoch": 0}
    run.train(replace(plan, **more), log=lines.append)
    counts = [line for line in lines if "weights train" in line]
    assert [line.startswith("backbone frozen: ") for line in counts] == [False, True, True]
    assert counts[1] == counts[2]
    trained = sum(math.prod(weight.shape) for weight in frozen.model.trainable_weights)
    total = frozen.model.count_params()
    assert counts[1] == f"backbone frozen: {trained:,} of {total:,} weights train"


def test_a_set_without_boxes_is_refused(plan, tmp_path):
    annotations = tmp_path / "none.csv"
    annotations.write_text("0.png,,,,,\n1.png,,,,,\n")
    empty = replace(plan, data=CSVData(str(annotations), plan.data.classes))
    with pytest.raises(SettingError, match="^allow_empty: expected a data set with boxes"):
        data_sets.open_data(empty, None, silent)
    training, _ = data_sets.open_data(replace(empty, allow_empty=True), None, silent)
    assert training.size() == 2


def test_void_settings_are_named(plan):
    lost = replace(plan, data=CSVData(plan.data.annotations, plan.data.classes), epochs=1, steps=1)
    with pytest.warns(SettingWarning, match="^early_stopping: has no effect: there is no eval"):
        run.train(replace(lost, early_stopping=True), log=silent)
