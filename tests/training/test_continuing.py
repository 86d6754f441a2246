"""Runs that go on from a snapshot."""

import json
from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet import losses, models
from keras_retinanet.preprocessing.data import CSVData
from keras_retinanet.training import continuing, run
from keras_retinanet.training.plan import SettingError, SettingWarning, TrainingPlan
from keras_retinanet.training.record import RunRecord
from tests import tiny
from tests.fakes import tiny_retinanet


def silent(text):
    """Take what a run says, and say nothing."""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A plan for four images with a bright square each."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    tiny.train_eagerly(monkeypatch)
    annotations, classes = tiny.write_squares(tmp_path)
    return TrainingPlan(
        data=CSVData(annotations, classes),
        backbone="tiny",
        imagenet_weights=False,
        feature_size=8,
        evaluation=False,
        mixed_precision="none",
        image_min_side=64,
        image_max_side=96,
        snapshot_path=str(tmp_path / "out"),
    )


def test_what_differs_from_the_snapshots_run_is_said(plan):
    lines = []
    settings = {**plan.kept_settings(), "lr": 0.5}
    earlier = RunRecord(3, json.loads(json.dumps(settings)), {})  # as in a file
    continued = replace(plan, snapshot="s.keras", initial_epoch=3)
    continuing.log_start(continued, earlier, lines.append)
    assert lines == [
        "Continuing s.keras after epoch 3 of 50",
        "Changed since then: lr 0.0001 (was 0.5)",
    ]
    with pytest.warns(
        UserWarning, match="after epoch 4, but the snapshot was written after epoch 3"
    ):
        continuing.log_start(replace(continued, initial_epoch=4), earlier, silent)


def test_the_losses_are_those_of_the_plan(plan):
    # Two positive anchors in the first image, three in the second; the second class is a cat.
    labels = np.array([[[2], [0], [1]], [[2], [2], [2]]])
    distances = np.broadcast_to([[[0.5]], [[1.5]]], (2, 3, 4))
    boxes = np.concatenate([distances, np.minimum(labels, 1)], axis=-1)
    scores, offsets = np.full((2, 3, 2), 0.3, "float32"), np.zeros((2, 3, 4), "float32")
    plan = replace(plan, loss="focal-star", gamma=4, beta=0, class_weights={"cat": 3})
    for normaliser in losses.NORMALISERS:
        model = tiny_retinanet()
        models.set_info(model, replace(model.info, class_names=("dog", "cat")))
        continuing.compile_model(replace(plan, loss_normaliser=normaliser), model, 1)
        star = losses.focal_star(4, 0, class_weights=[1, 3], normaliser=normaliser)
        box = losses.smooth_l1(normaliser=normaliser)
        expected = float(star(labels, scores)) + float(box(boxes, offsets))
        found = model.compute_loss(y=[boxes, labels], y_pred=[offsets, scores])
        assert float(found) == pytest.approx(expected, rel=1e-5)


# Snapshots hold no state of the optimizer.
ANEW = pytest.mark.filterwarnings("default:.* has no state of the optimizer that fits")


@ANEW
@pytest.mark.filterwarnings("default:the learning rate goes on")
def test_a_plateau_keeps_its_reductions_and_counters(plan, tmp_path):
    lines = []
    plateau = replace(
        *(plan,),
        **{"lr_schedule": "plateau", "lr": 1e-8, "reduce_lr_patience": 1, "evaluation": False},
        **{"epochs": 3, "steps": 1, "feature_size": 8},
    )
    first = run.train(plateau, log=lines.append)
    assert float(first.model.optimizer.learning_rate) < 1e-8
    snapshot = str(tmp_path / "out" / "tiny_csv_03.keras")
    counters = RunRecord.read(snapshot).counters["ReduceLROnPlateau"]
    assert {"best", "wait", "cooldown_counter"} == set(counters)
    again = TrainingPlan.for_data(
        plan.data, snapshot=snapshot, epochs=4, evaluation=False, snapshot_path=tmp_path / "out"
    )
    assert (again.lr, again.lr_schedule, again.steps) == (1e-8, "plateau", 1)
    second = run.train(again, log=lines.append)
    assert second.history["learning_rate"] == [
        pytest.approx(float(first.model.optimizer.learning_rate))
    ]
    assert f"Continuing {snapshot} after epoch 3 of 4" in lines
    assert "Changed since then: epochs 4 (was 3)" in lines


@ANEW
def test_a_rate_that_jumps_is_named(plan, tmp_path):
    plan = replace(plan, feature_size=8, epochs=3, steps=1, evaluation=False)
    run.train(plan, log=silent)
    snapshot = str(tmp_path / "out" / "tiny_csv_02.keras")
    kept = {"evaluation": False, "snapshot_path": tmp_path / "out"}
    # After the warm-up of one step: half of two steps are done; of four it is a quarter.
    with pytest.warns(UserWarning, match="rate goes on at 8.55e-05 instead of 5.05e-05"):
        plan = TrainingPlan.for_data(plan.data, snapshot=snapshot, epochs=5, **kept)
        run.train(plan, log=silent)


@pytest.mark.filterwarnings("default:the learning rate goes on")
def test_a_new_run_from_a_snapshot_begins_anew(plan, tmp_path):
    lines = []
    plan = replace(plan, feature_size=8, epochs=2, steps=1, evaluation=False)
    run.train(plan, log=silent)
    snapshot = str(tmp_path / "out" / "tiny_csv_02.keras")
    plan = replace(plan, snapshot=snapshot, backbone=None, feature_size=256, epochs=1)
    result = run.train(plan, log=lines.append)
    assert int(result.model.optimizer.iterations) == 1
    assert any(line.startswith("A new run begins with the model in") for line in lines)


@pytest.mark.parametrize(
    ("suffix", "settings", "rate"),
    [
        # A warm-up to 1e-3 in a step, and a tenth of it in the third of three.
        ("keras", {"optimizer": "sgd", "lr_schedule": "step", "lr_drops": (2,)}, 1e-4),
        # In the third, two parts of three of the warm-up from a third.
        ("h5", {"optimizer": "adamw", "lr_schedule": "constant", "warmup_steps": 3}, 7 / 9 * 1e-3),
    ],
)
def test_an_optimizer_and_its_schedule_go_on(plan, tmp_path, suffix, settings, rate):
    first = replace(plan, epochs=3, steps=1, **settings, weight_decay=1e-3, lr=1e-3)
    model = models.backbone("tiny").retinanet(num_classes=1, feature_size=8)
    continuing.compile_model(first, model, 1)
    rng = np.random.default_rng(0)
    for _ in range(2):
        weights = model.trainable_variables
        model.optimizer.apply([rng.normal(size=v.shape).astype("float32") for v in weights])
    record = RunRecord(2, first.kept_settings(), {}).to_dict()
    models.set_info(model, replace(model.info, run=record))
    path = str(tmp_path / f"s.{suffix}")
    models.save_model(model, path)
    again = TrainingPlan.for_data(plan.data, snapshot=path)
    assert again.kept_settings() == first.kept_settings()
    loaded = models.load_model(path, compile=True)
    # Without a warning that state is missing, or that the rate jumps.
    continuing.compile_model(again, loaded, 1, RunRecord.read(path))
    assert float(loaded.optimizer.learning_rate) == pytest.approx(rate)
    assert int(loaded.optimizer.iterations) == 2
    pairs = zip(model.optimizer.variables, loaded.optimizer.variables, strict=True)
    for old, new in list(pairs)[2:]:
        np.testing.assert_array_equal(old, new)


def test_more_batches_than_the_run_has_cannot_be_accumulated(plan):
    plan = replace(plan, epochs=2, steps=3)
    with pytest.raises(SettingError, match="^accumulate: expected at most the 6 steps .*, got 7"):
        continuing.compile_model(replace(plan, accumulate=7), tiny_retinanet(), 1)


def test_another_optimizer_begins_with_the_weights_alone(plan):
    model = models.backbone("tiny").retinanet(num_classes=1, feature_size=8)
    adam = replace(plan, epochs=4, steps=1)
    continuing.compile_model(adam, model, 1)
    model.optimizer.variables[2].assign(model.optimizer.variables[2] + 1)
    earlier = RunRecord(2, json.loads(json.dumps(adam.kept_settings())))
    settings = {"momentum": 0.5, "weight_decay": 0.25, "optimizer_clipnorm": 0}
    sgd = replace(adam, optimizer="sgd", snapshot="s.keras", initial_epoch=2, **settings)
    lines = []
    continuing.log_start(sgd, earlier, lines.append)
    assert lines[1] == (
        "Changed since then: optimizer sgd (was adam), momentum 0.5 (was 0.9), weight_decay 0.25 "
        "(was 0.0), optimizer_clipnorm 0 (was 0.001)"
    )
    with pytest.warns(UserWarning, match="^s.keras has no state of the optimizer that fits"):
        continuing.compile_model(sgd, model, 1)
    found = model.optimizer
    assert (found.l2_decay, found.momentum, found.clipnorm) == (0.25, 0.5, None)
    assert not np.any(model.optimizer.variables[2])
    assert int(model.optimizer.iterations) == 2


def test_a_run_of_sgd_learns_and_says_which_drops_it_does_not_reach(plan):
    plan = replace(plan, feature_size=16, batch_size=4, epochs=12, steps=1, snapshots=False)
    step = {"lr_schedule": "step", "lr_drops": (11, 60), "hidden_initializer": "normal"}
    # As in the recipes; the derivative of GIoU is a tenth of this one's.
    step["box_loss"] = "smooth-l1"
    plan = replace(plan, optimizer="sgd", lr=0.02, optimizer_clipnorm=0, **step)
    with pytest.warns(SettingWarning, match="^lr_drops: not all .*: the run ends after 12 steps"):
        result = run.train(plan, log=silent)
    losses = result.history["loss"]
    assert losses[-1] < 0.95 * losses[0]
    # The heads started as the plan says; He's deviation of 144 inputs is 0.12.
    hidden = result.model.get_layer("regression_submodel").get_layer("pyramid_regression_0")
    assert np.std(hidden.kernel) == pytest.approx(0.01, rel=0.1)
