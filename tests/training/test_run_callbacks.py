from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_retinanet.callbacks.averages import SwapAverages
from keras_retinanet.callbacks.coco import CocoEval
from keras_retinanet.callbacks.eval import Evaluate
from keras_retinanet.preprocessing.data import CocoData
from keras_retinanet.training import data_sets, trackers
from keras_retinanet.training.run_callbacks import make_callbacks, without_output
from keras_retinanet.training.settings import SettingError


def silent(text):
    """Take what a run says, and say nothing."""


def test_callbacks_follow_the_plan(plan):
    training, validation = data_sets.open_data(plan, None, silent)
    kinds = [type(call).__name__ for call in make_callbacks(plan, "tiny", validation)]
    assert kinds == [
        *("LogSpeed", "StopOnDivergence", "Evaluate", "KeepCounters", "SaveSnapshots"),
        "WriteHistory",
    ]
    more = replace(plan, lr_schedule="plateau", early_stopping=True, snapshots=False)
    callbacks = make_callbacks(more, "tiny", validation)
    kinds = [type(call) for call in callbacks]
    assert keras.callbacks.ReduceLROnPlateau in kinds and keras.callbacks.EarlyStopping in kinds
    coco = replace(plan, data=CocoData("there"))
    for data, expected in ((plan, Evaluate), (coco, CocoEval)):
        assert expected in {type(call) for call in make_callbacks(data, "tiny", validation)}
    assert len(make_callbacks(replace(plan, evaluation=False), "tiny", validation)) == 5


def test_averages_are_exchanged_around_all_that_evaluates_or_saves(plan):
    _, validation = data_sets.open_data(plan, None, silent)
    callbacks = make_callbacks(replace(plan, ema=0.9), "tiny", validation)
    first, *others, last = callbacks
    assert isinstance(first, SwapAverages) and first.validates
    assert isinstance(last, SwapAverages) and not last.validates
    kinds = [type(call) for call in others]
    usual = [type(call) for call in make_callbacks(plan, "tiny", validation)]
    assert kinds == usual and Evaluate in usual


def test_without_tensorboard_its_folder_is_refused(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match="^tensorboard_dir: .*pip install tensorboard"):
        make_callbacks(replace(plan, tensorboard_dir=str(tmp_path)), "tiny", None)


def test_a_worker_that_is_not_the_chief_decides_and_is_silent(plan):
    _, validation = data_sets.open_data(plan, None, silent)
    plan = replace(plan, lr_schedule="plateau", early_stopping=True, ema=0.9)
    kept = without_output(make_callbacks(plan, "tiny", validation, verbose=1))
    assert [type(call).__name__ for call in kept] == [
        *("SwapAverages", "LogSpeed", "StopOnDivergence", "Evaluate", "ReduceLROnPlateau"),
        *("EarlyStopping", "KeepCounters", "SwapAverages"),
    ]
    assert not any(getattr(call, "verbose", 0) for call in kept)


@pytest.mark.parametrize("verbose", [0, 1])
def test_all_that_print_can_be_silent(plan, verbose):
    _, validation = data_sets.open_data(plan, None, silent)
    plan = replace(plan, lr_schedule="plateau")
    callbacks = make_callbacks(plan, "tiny", validation, verbose=verbose)
    printing = {type(call).__name__: call.verbose for call in callbacks if hasattr(call, "verbose")}
    assert printing == dict.fromkeys(("Evaluate", "ReduceLROnPlateau", "SaveSnapshots"), verbose)


def test_numbers_of_classes_go_on_where_the_run_does(plan, tmp_path):
    path = tmp_path / "out" / "class_ap.csv"
    path.parent.mkdir()
    path.write_text("epoch,AP_a\n1,0.5\n2,0.25\n")
    _, validation = data_sets.open_data(plan, None, silent)
    evaluation = make_callbacks(plan, "tiny", validation, epochs_done=1)[2]
    assert evaluation.class_history.path == path
    assert [row["epoch"] for row in evaluation.class_history.rows] == ["1"]


def test_detections_that_count_follow_the_data(plan, monkeypatch):
    _, validation = data_sets.open_data(plan, None, silent)
    evaluate = make_callbacks(plan, "tiny", validation)[2]
    assert evaluate.max_detections == 100
    monkeypatch.setattr(validation, "load_annotations", lambda _: {"labels": np.zeros(140)})
    assert make_callbacks(plan, "tiny", validation)[2].max_detections == 140
    given = replace(plan, max_detections=7)
    assert make_callbacks(given, "tiny", validation)[2].max_detections == 7
