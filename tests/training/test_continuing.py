"""Runs that go on from a snapshot."""

import json
from dataclasses import replace

import pytest

from keras_retinanet import models
from keras_retinanet.preprocessing.data import CSVData
from keras_retinanet.training import continuing, run
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.record import RunRecord
from tests import tiny


def silent(text):
    """Take what a run says, and say nothing."""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A plan for four images with a bright square each."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    annotations, classes = tiny.write_squares(tmp_path)
    return TrainingPlan(
        data=CSVData(annotations, classes),
        backbone="tiny",
        imagenet_weights=False,
        evaluation=False,
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
