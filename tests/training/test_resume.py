"""Runs that are killed and go on, as processes of their own; and what keeps them from going on."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.callbacks.divergence import StopOnDivergence
from keras_retinanet.config import Config
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.preprocessing.data import CSVData
from keras_retinanet.system.interrupts import interrupts
from keras_retinanet.training import resume, run
from keras_retinanet.training.plan import SettingError, TrainingPlan
from keras_retinanet.training.record import PREVIOUS_STATE, STATE, VARIABLES, RunRecord
from keras_retinanet.training.state import find_state
from tests import tiny
from tests.training.states import write_record

# Runs retinanet-train with the tiny backbone, which gets a signal after some steps.
RUN = """import os, signal, sys
from keras_retinanet import backbone_table
from tests import tiny
backbone_table.BACKBONES[tiny.NAME] = tiny.ENTRY
from keras_retinanet.bin import train
from keras_retinanet.callbacks.states import SaveState
left, number = int(sys.argv[1]), int(sys.argv[2])
usual = SaveState.on_train_batch_end
def interrupted(self, batch, logs=None):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), number)
    usual(self, batch, logs)
SaveState.on_train_batch_end = interrupted
train.main(sys.argv[3:])
"""


def start(folder, out, *more, after=0, number=signal.SIGKILL):
    """Start a run of 3 epochs of 3 steps that gets a signal after some steps."""
    return subprocess.Popen(
        [
            *(sys.executable, "-W", "error::UserWarning", "-c", RUN, str(after), str(int(number))),
            *("csv", str(folder / "ann.csv"), str(folder / "cls.csv")),
            *("--val-annotations", str(folder / "ann.csv"), "--backbone", "tiny", "--no-weights"),
            *("--mixed-precision", "none"),
            *("--image-min-side", "64", "--image-max-side", "96", "--batch-size", "2"),
            *("--epochs", "3", "--steps", "3", "--random-transform", "--lr", "0.003"),
            *("--lr-schedule", "plateau", "--reduce-lr-patience", "0", "--early-stopping"),
            *("--accumulate", "2", "--ema", "0.5"),
            *("--snapshot-path", str(out), *more),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def result(process):
    """Wait for a run; return its exit code and output."""
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def final(folder):
    """Return the variables of the last state, its record, and the history but for its times."""
    with zipfile.ZipFile(folder / STATE) as archive:
        variables = archive.read(VARIABLES)
    record = replace(RunRecord.of_state(folder), settings={}, snapshots={})
    with open(folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    times = {"images_per_second", "data_wait"}
    return variables, record, [{k: row[k] for k in row.keys() - times} for row in rows]


def test_a_run_that_is_killed_goes_on_to_the_same_weights_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    tiny.write_squares(tmp_path)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    with start(tmp_path, whole, "--deterministic") as at_once:
        more = ("--resume", "--deterministic", "--save-steps", "1")
        code, output, _ = result(start(tmp_path, parts, *more, after=3))
        assert code == -signal.SIGKILL
        assert f"No state in {parts}: a new run" in output
        code, output, errors = result(start(tmp_path, parts, *more, after=3, number=signal.SIGTERM))
        assert code == 128 + signal.SIGTERM
        assert f"Going on from {parts / STATE} after 0 and 2 steps of 3 epochs" in output
        assert "\nTo go on: " in output and output.endswith(" --save-steps 1\n")
        assert errors.endswith("\nterminated\n")
        code, output, _ = result(start(tmp_path, parts, *more))
        assert code == 0, output
        # Between the two batches of an update.
        assert f"Going on from {parts / STATE} after 1 and 2 steps of 3 epochs" in output
        assert result(at_once)[0] == 0
    assert final(parts) == final(whole)
    assert final(whole)[1].is_done
    one, other = (models.load_model(folder / "tiny_csv_03.keras") for folder in (whole, parts))
    for weights in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(*weights)


def is_same(model, other):
    """Return whether two models have the same weights."""
    return all(map(np.array_equal, model.get_weights(), other.get_weights()))


def silent(text):
    """Take what a run says, and say nothing."""


@pytest.fixture(scope="module")
def half_done(tmp_path_factory):
    """A plan, and the folder of its run, of which one of two epochs is done."""
    folder = tmp_path_factory.mktemp("run")
    annotations, classes = tiny.write_squares(folder)
    plan = TrainingPlan(
        data=CSVData(annotations, classes, annotations),
        backbone="tiny",
        imagenet_weights=False,
        feature_size=8,
        image_min_side=64,
        image_max_side=96,
        epochs=2,
        steps=2,
        lr_schedule="constant",
        early_stopping=True,
        accumulate=2,
        ema=0.5,
        lr=1e-5,  # so that mAP stalls
        snapshot_path=folder / "out",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
        tiny.train_eagerly(patch)
        run.train(replace(plan, epochs=1), log=silent)
    return plan


@pytest.fixture
def plan(half_done, tmp_path, monkeypatch):
    """The plan of a run that goes on, in a copy of that folder."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    tiny.train_eagerly(monkeypatch)
    shutil.copytree(half_done.snapshot_path, tmp_path / "out")
    return replace(half_done, snapshot_path=tmp_path / "out", resume=True)


def test_a_run_goes_on_with_counters_and_history_and_is_done_once(plan):
    lines = []
    plan = replace(plan, keep=1)
    best = RunRecord.of_state(plan.snapshot_path).counters["SaveSnapshots"]["best"]
    result = run.train(plan, log=lines.append)
    assert f"Going on from {plan.snapshot_path / STATE} after 1 of 2 epochs" in lines
    assert any(f"{plan.snapshot_path} will take up to " in line for line in lines)
    assert len(result.history["loss"]) == 1
    record = RunRecord.of_state(plan.snapshot_path)
    assert (record.epoch, record.step, record.is_done) == (2, 0, True)
    assert record.counters["EarlyStopping"]["wait"] >= 1
    assert record.counters["SaveSnapshots"]["best"] == max(best, *result.history["mAP"])
    assert set(record.snapshots) == {"best.keras", "tiny_csv_02.keras"}
    assert set(record.snapshots) == {path.name for path in plan.snapshot_path.glob("*.keras")}
    assert int(result.model.optimizer.iterations) == 2  # of two batches each
    # The average is saved and returned; the weights train on.
    assert is_same(models.load_model(plan.snapshot_path / "tiny_csv_02.keras"), result.model)
    assert not is_same(find_state(plan.snapshot_path).load_model(), result.model)
    rows = (plan.snapshot_path / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "1", "2"]
    # Once more: nothing is left but to tell how good it is.
    again = run.train(plan, log=lines.append)
    assert again.history == {}
    assert is_same(again.model, result.model)
    assert again.coco == pytest.approx(result.coco, abs=1e-3)
    assert rows == (plan.snapshot_path / "history.csv").read_text().splitlines()


def test_a_run_stops_in_time_and_goes_on(plan):
    lines = []
    before = RunRecord.read(plan.snapshot_path / "tiny_csv_01.keras")
    result = run.train(replace(plan, max_time=1e-9), log=lines.append)
    assert not result.is_done
    assert (result.coco, result.history) == (None, {})
    assert "Stopped after 1e-09 hours: the state after 1 epochs and 1 steps of 2 " in lines[-1]
    assert RunRecord.of_state(plan.snapshot_path).step == 1
    assert RunRecord.read(plan.snapshot_path / "tiny_csv_01.keras") == before
    # The last step would be in vain without the evaluation after it.
    assert run.train(replace(plan, max_time=1e-9), log=silent).is_done


def test_a_state_of_ruined_weights_is_not_saved(plan, tmp_path):
    class Ruin(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.weights[0].assign(np.full((1, 1), np.nan))

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    folder = tmp_path / "new"
    with interrupts() as signals:
        callbacks = resume.with_state(
            *(replace(plan, snapshot_path=folder, save_steps=1), model),
            *([Ruin(), StopOnDivergence()], signals, 4),
            **{"evaluates": False, "data": None, "state": None},
        )
        x = np.ones((4, 1))
        with pytest.raises(ValueError, match="kernel is no longer finite at step 2 of epoch 1"):
            model.fit(*(x, x), batch_size=1, callbacks=callbacks, verbose=0)
    assert RunRecord.of_state(folder).step == 1


def test_a_damaged_state_gives_way_to_the_one_before_it(plan):
    out = plan.snapshot_path
    shutil.copy(out / STATE, out / PREVIOUS_STATE)
    (out / STATE).write_bytes(b"x")
    with pytest.warns(UserWarning, match=f"{out / STATE}: damaged .* the state before it"):
        run.train(plan, log=silent)
    assert RunRecord.of_state(out).epoch == 2


def test_a_run_without_a_state_says_so(plan, tmp_path):
    lines = []
    new = replace(plan, snapshot_path=tmp_path / "new", epochs=1, steps=1, accumulate=1)
    run.train(replace(new, evaluation=False, early_stopping=False), log=lines.append)
    assert lines[0] == f"No state in {tmp_path / 'new'}: a new run"
    assert (tmp_path / "new" / STATE).exists()


def test_a_new_run_beside_the_state_of_another_says_so(plan, tmp_path):
    lines = []
    write_record(plan.snapshot_path, RunRecord(1))
    small = replace(plan, resume=False, steps=1, evaluation=False, early_stopping=False)
    run.train(small, log=lines.append)
    assert "interrupted in epoch 2; this new run will replace it (--resume goes on" in lines[0]
    assert not (plan.snapshot_path / PREVIOUS_STATE).exists() or (
        RunRecord.of_state_file(plan.snapshot_path / PREVIOUS_STATE).epoch == 1
    )


def test_settings_that_contradict_the_state_are_refused(plan):
    with pytest.raises(SettingError, match="^lr: the run to go on with has 1e-05, got 0.5"):
        run.train(replace(plan, lr=0.5), log=silent)


def test_other_anchors_are_refused(plan):
    usual = AnchorParameters.default
    half = AnchorParameters(
        [size / 2 for size in usual.sizes], usual.strides, usual.ratios, usual.scales
    )
    for config in (Config(anchor_params=half), Config(pyramid_levels=(3, 4, 5))):
        with pytest.raises(SettingError, match="^config: expected the anchors and pyramid levels"):
            run.train(replace(plan, config=config), log=silent)


def test_other_data_are_refused(plan, tmp_path):
    annotations, classes = tiny.write_squares(tmp_path, tiny.SIZES[:3])
    with pytest.raises(ValueError, match="the data are not those of .*: 3 images of 1 classes ins"):
        run.train(replace(plan, data=CSVData(annotations, classes, annotations)), log=silent)


def test_without_snapshots_there_is_no_state(plan, tmp_path):
    with pytest.raises(SettingError, match="^resume: needs the state of a run"):
        replace(plan, snapshots=False)
    new = replace(plan, resume=False, snapshots=False, snapshot_path=tmp_path / "new", epochs=1)
    run.train(replace(new, evaluation=False, early_stopping=False), log=silent)
    assert not (tmp_path / "new" / STATE).exists()
