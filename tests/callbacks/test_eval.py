"""callbacks.eval, and what it shares with callbacks.coco: logs, printed lines, TensorBoard."""

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import models
from keras_retinanet.callbacks import RedirectModel
from keras_retinanet.callbacks.coco import CocoEval
from keras_retinanet.callbacks.eval import Evaluate
from keras_retinanet.callbacks.history import WriteHistory
from keras_retinanet.evaluation.metrics import COCO_KEYS
from keras_retinanet.system.workers import Worker
from tests.fakes import MemoryGenerator, picture, tiny_retinanet, truth


def run(callback, model, logs=None):
    logs = {} if logs is None else logs
    callback.set_model(model)
    callback.on_epoch_end(2, logs)
    return logs


def test_evaluate_logs_and_prints(generator, finder, capsys):
    callback = Evaluate(generator)
    logs = run(callback, finder, {"loss": 1.0})
    assert logs == {"loss": 1.0, "mAP": pytest.approx((2 / 3 + 1) / 2)}
    assert callback.mean_ap == logs["mAP"]
    assert capsys.readouterr().out == (
        "\n3 instances of class cat with average precision: 0.6667\n"
        "1 instances of class dog with average precision: 1.0000\n"
        "mAP: 0.8333\n"
    )


def test_evaluate_weighted_and_silent(generator, finder, capsys):
    logs = run(Evaluate(generator, weighted_average=True, verbose=0), finder)
    assert logs == {"mAP": pytest.approx((3 * 2 / 3 + 1) / 4)}
    assert capsys.readouterr() == ("", "")


def test_evaluate_hands_its_settings_on(generator, finder, tmp_path):
    options = {"verbose": 0, "save_path": str(tmp_path)}
    assert run(Evaluate(generator, score_threshold=1.0, **options), finder)["mAP"] == 0
    with pytest.warns(UserWarning, match="objects, but at most 0 detections"):
        assert run(Evaluate(generator, max_detections=0, **options), finder)["mAP"] == 0
    assert run(Evaluate(generator, iou_threshold=1.0, **options), finder)["mAP"] > 0.8
    assert len(list(tmp_path.iterdir())) == 4


def test_a_data_set_without_boxes_has_map_zero(finder):
    generator = MemoryGenerator([picture(16, 16)], [truth()])
    assert run(Evaluate(generator, weighted_average=True, verbose=0), finder) == {"mAP": 0.0}


@pytest.mark.parametrize("kind", [Evaluate, CocoEval])
def test_numbers_go_to_tensorboard(generator, finder, tmp_path, kind):
    pytest.importorskip("tensorboard")
    tensorboard = keras.callbacks.TensorBoard(str(tmp_path))
    bright = generator.images[3][..., 2] > 0
    generator.images[3][bright, 2] = 204  # a score of 0.8
    logs = run(kind(generator, tensorboard=tensorboard, verbose=0), finder)
    (path,) = (tmp_path / "evaluation").iterdir()
    written = {
        value.tag: (event.step, tf.make_ndarray(value.tensor))
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {step for step, _ in written.values()} == {2}
    assert written["mAP"][1] == pytest.approx(logs["mAP"])
    assert written["AP_cat"][1] == pytest.approx(2 / 3 if kind is Evaluate else 67 / 101)
    assert written["AP_dog"][1] == pytest.approx(1)
    if kind is CocoEval:
        assert written["AR10"][1] == pytest.approx(logs["AR10"])
    # Of the images there are pictures, with green boxes on the left, others on the right.
    assert {tag for tag in written if tag.startswith("image")} == {f"image {i}" for i in range(4)}
    width, height, png = written["image 3"][1]
    sheet = cv2.imdecode(np.frombuffer(png, "uint8"), cv2.IMREAD_COLOR)
    assert sheet.shape == (int(height), int(width), 3) == (328, 652, 3)
    green = (sheet == (0, 255, 0)).all(axis=2)
    assert green[:, :326].sum() > 100 and not green[:, 326:].any()
    assert sheet[160, 100].tolist() == [255, 80, 204]  # in their order, blue first


@pytest.mark.parametrize("kind", [Evaluate, CocoEval])
def test_numbers_of_all_classes_go_to_a_file(generator, finder, tmp_path, kind):
    path = tmp_path / "class_ap.csv"
    path.write_text("epoch,AP_cat\n1,0.5\n2,0.25\n3,0.125\n")
    generator.names = ("cat", "dog", "owl")
    run(kind(generator, class_history=WriteHistory(path, 2), verbose=0), finder)
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    assert header == ["epoch", "AP_cat", "AP_dog"]  # there is no owl to find
    assert rows[:2] == [["1", "0.5", ""], ["2", "0.25", ""]]
    cats = 2 / 3 if kind is Evaluate else 67 / 101
    assert [float(cell) for cell in rows[2]] == [3, pytest.approx(cats), pytest.approx(1)]


def test_a_worker_that_is_not_the_chief_writes_nothing(generator, finder, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_retinanet.callbacks.common.this_worker", lambda: Worker(1, 2))
    tensorboard = keras.callbacks.TensorBoard(str(tmp_path))
    history = WriteHistory(tmp_path / "class_ap.csv")
    options = {"tensorboard": tensorboard, "class_history": history, "verbose": 0}
    assert run(Evaluate(generator, **options), finder)["mAP"] == pytest.approx(5 / 6)
    assert list(tmp_path.iterdir()) == []


def test_of_hundreds_of_classes_some_are_printed(finder, tmp_path, capsys):
    names = [f"class{i}" for i in range(500)]
    images = [picture(16, 16, (2, 2, 12, 12), label=i % 4) for i in range(100)]
    generator = MemoryGenerator(images, [truth((2, 2, 12, 12, i)) for i in range(100)], names)
    history = WriteHistory(tmp_path / "class_ap.csv")
    run(Evaluate(generator, class_history=history), finder)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 10 + 1 + 10 + 1
    assert lines[1] == "1 instances of class class0 with average precision: 1.0000"
    assert lines[11] == (
        f"... 80 classes between these and 400 classes without boxes (all are in {history.path})"
    )
    assert len(history.path.read_text().splitlines()[0].split(",")) == 1 + 100


def test_a_training_model_is_converted_once_and_its_weights_are_followed(
    generator, finder, monkeypatch
):
    converted = []
    convert = models.convert_model
    monkeypatch.setattr(
        "keras_retinanet.detection.keras_runner.convert_model",
        lambda *args, **options: converted.append(1) or convert(*args, **options),
    )
    model = tiny_retinanet()
    # Without the weights of its last layer, every anchor scores what the bias says: sigmoid(-4.6).
    last = model.get_layer("classification_submodel").get_layer("pyramid_classification")
    last.kernel.assign(np.zeros(last.kernel.shape))
    callback = Evaluate(generator, verbose=0, iou_threshold=0.01)
    assert run(callback, model)["mAP"] == 0
    last.bias.assign(np.full(last.bias.shape, 3.0))
    assert run(callback, model)["mAP"] > 0
    assert len(converted) == 1
    assert run(callback, finder)["mAP"] == pytest.approx(5 / 6)
    assert len(converted) == 1


def test_in_fit_the_numbers_reach_the_history(generator, finder):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    evaluate = RedirectModel(Evaluate(generator, verbose=0), finder)
    stop = keras.callbacks.EarlyStopping("mAP", mode="max", patience=0)
    history = model.fit(
        np.zeros((2, 2)), np.zeros((2, 1)), epochs=5, verbose=0, callbacks=[evaluate, stop]
    ).history
    assert history["mAP"] == [pytest.approx(5 / 6)] * 2  # it stalls, so training stops


def events(folder):
    """The numbers in a folder of TensorBoard's, as its own reader gives them."""
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator(str(folder))
    reader.Reload()
    return {
        tag: [(event.step, float(tf.make_ndarray(event.tensor_proto))) for event in found]
        for tag in reader.Tags()["tensors"]
        if not tag.startswith("image ")
        for found in [reader.Tensors(tag)]
    }


@pytest.mark.parametrize("kind", [Evaluate, CocoEval])
def test_in_fit_with_tensorboard_on_a_redirected_model(
    generator, finder, tmp_path, monkeypatch, kind
):
    monkeypatch.chdir(tmp_path)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    tensorboard = keras.callbacks.TensorBoard("logs")
    evaluate = RedirectModel(kind(generator, tensorboard=tensorboard), finder)
    history = model.fit(
        np.zeros((2, 2)),
        np.zeros((2, 1)),
        epochs=2,
        verbose=0,
        callbacks=[evaluate, tensorboard],
    ).history
    expected = 5 / 6 if kind is Evaluate else (67 / 101 + 1) / 2
    assert history["mAP"] == [pytest.approx(expected)] * 2
    written = events(tmp_path / "logs" / "evaluation")
    assert written["mAP"] == [(step, pytest.approx(expected)) for step in (0, 1)]
    more = set() if kind is Evaluate else set(COCO_KEYS)
    assert set(written) == {"mAP", "AP_cat", "AP_dog", *more}
    # Nothing but the logs: results are returned, not left behind.
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_class_without_ground_truth_counts_for_nothing(finder, weighted):
    images = [picture(32, 32, (2, 2, 20, 20)), picture(32, 32, (4, 4, 9, 9), label=1)]
    generator = MemoryGenerator(images, [truth((2, 2, 20, 20, 0)), truth()], ("cat", "dog", None))
    logs = run(Evaluate(generator, weighted_average=weighted, verbose=0), finder)
    # The dog that is found where there is none costs dogs nothing: no dog could have been found.
    assert logs == {"mAP": 1.0}
    assert run(CocoEval(generator, verbose=0), finder)["mAP"] == pytest.approx(1.0)
