"""callbacks.coco: the COCO numbers in logs and on the screen; see test_eval.py for TensorBoard."""

import pytest

from keras_retinanet.callbacks.coco import CocoEval
from keras_retinanet.evaluation.metrics import COCO_KEYS
from tests.fakes import MemoryGenerator, picture, truth


def run(callback, model, logs=None):
    logs = {} if logs is None else logs
    callback.set_model(model)
    callback.on_epoch_end(2, logs)
    return logs


def test_coco_logs_and_prints(generator, finder, capsys):
    logs = run(CocoEval(generator), finder)
    # Two of three cats at precision 1: recall points 0 to 0.66 of 101.
    expected = (67 / 101 + 1) / 2
    assert logs["AP"] == logs["mAP"] == logs["AP50"] == pytest.approx(expected)
    assert logs["AR100"] == pytest.approx((2 / 3 + 1) / 2)
    assert logs["APl"] == -1
    assert set(logs) == {"mAP", *COCO_KEYS}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ""
    assert lines[1].endswith("= 0.832")
    assert run(CocoEval(generator, threshold=1.0, verbose=0), finder)["AP"] == 0
    assert capsys.readouterr().out == ""


def test_a_data_set_without_boxes_tells_coco_nothing(finder):
    generator = MemoryGenerator([picture(16, 16)] * 2, [truth()] * 2)
    logs = run(CocoEval(generator, verbose=0), finder)
    assert logs == dict.fromkeys(["mAP", *COCO_KEYS], -1.0)
