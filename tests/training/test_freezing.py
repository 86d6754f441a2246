"""Which layers of a backbone train, on networks small enough for tests."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models.freeze import (
    backbone_batch_norms,
    backbone_is_frozen,
    backbone_layers,
)
from keras_retinanet.models.normalization import batch_norm
from keras_retinanet.training import data_sets, run, start_model
from keras_retinanet.training.freezing import freeze_layers
from keras_retinanet.training.plan import SettingError, SettingWarning, TrainingPlan
from tests import tiny


def silent(text):
    """Take what a run says, and say nothing."""


def features(name, inputs, *, freeze_bn=True):
    """Return the tiny network with batch normalisation before each stage."""
    outputs, x = [], inputs
    for stage, filters in ((2, 8), (3, 16), (4, 16), (5, 16)):
        x = batch_norm(f"bn{stage}", epsilon=1e-5, frozen=freeze_bn)(x)
        strides = 4 if stage == 2 else 2
        x = keras.layers.Conv2D(filters, 5, strides, padding="same", name=f"C{stage}")(x)
        outputs.append(x)
    return keras.Model(inputs, outputs)


@pytest.fixture
def normalised(plan, monkeypatch):
    """A plan whose backbone has batch normalisation, small in all that costs time."""
    monkeypatch.setattr(tiny, "features", features)
    return replace(plan, feature_size=8, epochs=1, steps=1, evaluation=False)


def with_statistics(path, *, freeze_bn=True, mean=0.5):
    """Save a model whose batch normalisation has other means than a new one; return its path."""
    model = models.backbone("tiny").retinanet(num_classes=1, freeze_bn=freeze_bn, feature_size=8)
    for norm in backbone_batch_norms(model):
        norm.moving_mean.assign(np.full(norm.moving_mean.shape, mean))
    models.set_info(model, replace(model.info, image_min_side=64, image_max_side=96))
    models.save_model(model, path)
    return str(path)


def trains(model):
    """Return whether the backbone's batch normalisation learns its means, and its scales."""
    norms = backbone_batch_norms(model)
    assert len(norms) == 4
    before = [np.array(norm.moving_mean) for norm in norms]
    model(np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32"), training=True)
    learnt = {
        not np.array_equal(a, norm.moving_mean) for a, norm in zip(before, norms, strict=True)
    }
    listed = {id(weight) for weight in model.trainable_weights}
    (means,), (scales,) = learnt, {id(norm.gamma) in listed for norm in norms}
    return means, scales


@pytest.mark.parametrize("freeze_bn", [None, True, False])
def test_batch_normalisation_of_weights_is_frozen_unless_it_shall_train(
    normalised, tmp_path, freeze_bn
):
    weights, lines = with_statistics(tmp_path / "w.keras"), []
    plan = replace(normalised, weights=weights, freeze_bn=freeze_bn)
    training, _ = data_sets.open_data(plan, None, silent)
    model = start_model.build_model(plan, training, silent)
    freeze_layers(plan, model, lines.append)
    is_trained = freeze_bn is False
    assert lines == ["Batch normalisation of the backbone trains: 4 layers"] * is_trained
    assert trains(model) == (is_trained, is_trained)
    if freeze_bn is not None:
        return
    # A snapshot remembers that it trains.
    freeze_layers(replace(plan, freeze_bn=False), model, silent)
    models.save_model(model, tmp_path / "s.keras")
    loaded = models.load_model(tmp_path / "s.keras")
    freeze_layers(plan, loaded, silent)
    assert trains(loaded) == (True, True)
    freeze_layers(replace(plan, freeze_bn=True), loaded, silent)
    assert trains(loaded) == (False, False)


def test_a_run_trains_the_batch_normalisation_of_a_snapshot_and_remembers_it(normalised, tmp_path):
    snapshot = with_statistics(tmp_path / "s.keras")
    plan = replace(normalised, snapshot=snapshot, backbone=None, feature_size=256, freeze_bn=False)
    model = run.train(plan, log=silent).model
    assert not any(np.isclose(norm.moving_mean, 0.5).any() for norm in backbone_batch_norms(model))
    goes_on = {"snapshot": f"{plan.snapshot_path}/tiny_csv_01.keras", "epochs": 2}
    assert TrainingPlan.for_data(plan.data, **goes_on).freeze_bn is False
    begins = {**goes_on, "initial_epoch": 0}
    assert TrainingPlan.for_data(plan.data, **begins).freeze_bn is None


def test_a_frozen_backbone_stays_as_it_is(normalised, tmp_path):
    plan = replace(normalised, freeze_backbone=True)
    training, _ = data_sets.open_data(plan, None, silent)
    model = start_model.build_model(plan, training, silent)
    freeze_layers(plan, model, silent)
    assert backbone_is_frozen(model)
    frozen = {layer.name for layer in model.layers if not layer.trainable}
    assert {"C3", "C4", "C5", "bn2"} <= frozen
    assert not frozen & {"P3", "C3_reduced", "regression_submodel"}
    assert model.get_layer("P3").filters == 8
    with pytest.raises(SettingError, match="^freeze_bn: cannot go with freeze_backbone"):
        replace(plan, freeze_bn=False)
    # The model of a snapshot may be frozen without the plan.
    with pytest.raises(SettingError, match="^freeze_bn: the backbone of s.keras is frozen"):
        freeze_layers(replace(normalised, snapshot="s.keras", freeze_bn=False), model, silent)


def test_without_statistics_batch_normalisation_cannot_train(normalised, tmp_path):
    weights = with_statistics(tmp_path / "w.keras", mean=0)
    plan = replace(normalised, weights=weights, freeze_bn=False)
    model = models.load_model(weights)
    with pytest.raises(SettingError, match="^freeze_bn: .* of .*w.keras is a scale and an offset"):
        freeze_layers(plan, model, silent)
    model = models.load_model(with_statistics(tmp_path / "w.keras"))
    model.get_layer("bn3").epsilon = 0
    with pytest.raises(SettingError, match="^freeze_bn: .* without statistics or epsilon"):
        freeze_layers(plan, model, silent)
    # One that trains already has been without.
    model = models.load_model(with_statistics(tmp_path / "w.keras", mean=0, freeze_bn=False))
    freeze_layers(plan, model, silent)
    assert all(layer.trainable for layer in backbone_layers(model))


def test_a_backbone_without_batch_normalisation_is_named(plan):
    model = models.backbone("tiny").retinanet(num_classes=1, feature_size=8)
    for freeze_bn in (False, True):
        with pytest.warns(SettingWarning, match="^freeze_bn: has no effect: the network has no b"):
            freeze_layers(replace(plan, freeze_bn=freeze_bn), model, silent)
