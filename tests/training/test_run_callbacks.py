from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_retinanet.callbacks.coco import CocoEval
from keras_retinanet.callbacks.eval import Evaluate
from keras_retinanet.preprocessing.data import CocoData
from keras_retinanet.training import data_sets, run_callbacks
from keras_retinanet.training.run_callbacks import make_callbacks
from keras_retinanet.training.settings import SettingError


def silent(text):
    """Take what a run says, and say nothing."""


def test_callbacks_follow_the_plan(plan):
    training, validation = data_sets.open_data(plan, None, silent)
    kinds = [type(call).__name__ for call in make_callbacks(plan, "tiny", validation)]
    assert kinds == ["StopOnNaN", "Evaluate", "KeepCounters", "SaveSnapshots", "WriteHistory"]
    more = replace(plan, lr_schedule="plateau", early_stopping=True, snapshots=False)
    callbacks = make_callbacks(more, "tiny", validation)
    kinds = [type(call) for call in callbacks]
    assert keras.callbacks.ReduceLROnPlateau in kinds and keras.callbacks.EarlyStopping in kinds
    coco = replace(plan, data=CocoData("there"))
    for data, expected in ((plan, Evaluate), (coco, CocoEval)):
        assert expected in {type(call) for call in make_callbacks(data, "tiny", validation)}
    assert len(make_callbacks(replace(plan, evaluation=False), "tiny", validation)) == 4


def test_without_tensorboard_its_folder_is_refused(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(run_callbacks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match="^tensorboard_dir: .*pip install tensorboard"):
        make_callbacks(replace(plan, tensorboard_dir=str(tmp_path)), "tiny", None)


def test_detections_that_count_follow_the_data(plan, monkeypatch):
    _, validation = data_sets.open_data(plan, None, silent)
    evaluate = make_callbacks(plan, "tiny", validation)[1]
    assert evaluate.max_detections == 100
    monkeypatch.setattr(validation, "load_annotations", lambda _: {"labels": np.zeros(140)})
    assert make_callbacks(plan, "tiny", validation)[1].max_detections == 140
    given = replace(plan, max_detections=7)
    assert make_callbacks(given, "tiny", validation)[1].max_detections == 7
