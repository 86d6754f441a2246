"""Runs on two devices, and of two processes, beside runs of one."""

import contextlib
import csv
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import models
from keras_retinanet.system.workers import Worker
from keras_retinanet.training import distribution, run
from keras_retinanet.training.record import RunRecord
from keras_retinanet.training.settings import SettingError
from tests import tiny

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.getcwd(),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
}


def test_more_gpus_than_there_are_are_refused(plan, monkeypatch):
    gpus = [tf.config.LogicalDevice(f"/gpu:{i}", "GPU") for i in range(2)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    with pytest.raises(SettingError, match="^multi_gpu: expected at most 2, .* got 4"):
        run.train(replace(plan, multi_gpu=4, batch_size=4), log=lambda text: None)


# Trains the tiny network on a batch of three images with 7, 0 and 2 positive anchors, on one device
# and on two, which have one and two of the images; compares all that comes of it.
TWO_DEVICES = """import keras
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_retinanet import backbone_table, losses, models
from keras_retinanet.detection.detector import Detector, Prepared
from keras_retinanet.training import compiling, distribution
from tests import tiny
backbone_table.BACKBONES[tiny.NAME] = tiny.ENTRY
rng = np.random.default_rng(0)
images = rng.normal(size=(3, 64, 64, 3)).astype("float32")
classes = np.zeros((3, 774, 1), "float32")
classes[0, 5:12], classes[2, 700:702] = 1, 2
offsets = np.concatenate([rng.normal(size=(3, 774, 4)), classes > 0], -1).astype("float32")

def train(devices):
    with distribution.strategy(devices, ["/cpu:0", "/cpu:1"]).scope():
        keras.utils.set_random_seed(0)
        model = models.backbone("tiny").retinanet(num_classes=2, feature_size=8)
        compiling.compile_model(
            model, optimizer=compiling.make_optimizer("adam", 0.01, clipnorm=0.1, ema=0.9)
        )
        start = model.get_weights()
        batch = tf.data.Dataset.from_tensors((images, (offsets, classes)))
        logs = model.fit(
            distribution.distributed(lambda part: batch.repeat()),
            validation_data=distribution.distributed(lambda part: batch),
            validation_steps=1, steps_per_epoch=3, shuffle=False, verbose=0,
        ).history
    return model, logs, start

(one, logs, start), (two, logs_of_two, start_of_two) = train(1), train(2)
assert len(logs) == 6
for name, values in logs.items():
    np.testing.assert_allclose(logs_of_two[name], values, rtol=1e-5, err_msg=name)
for variable in (*two.variables, *two.optimizer.variables):
    np.testing.assert_array_equal(*(copy.numpy() for copy in variable.value.values))
for variable, of_two in zip(one.weights, two.weights, strict=True):
    np.testing.assert_allclose(of_two, variable, atol=3e-5, err_msg=variable.path)
assert max(np.abs(a - b).max() for a, b in zip(start, one.get_weights())) > 0.01

# The loss and its gradient by what the network returns.
parts = [slice(0, 1), slice(1, 3)]
strategy = two.distribute_strategy
returned = rng.uniform(0.1, 0.9, (3, 774, 2)).astype("float32"), offsets[..., :4] * 0.9
for normaliser in losses.NORMALISERS:
    for targets, predictions, loss in (
        (classes, returned[0], losses.focal(normaliser=normaliser)),
        (classes, returned[0], losses.focal_star(normaliser=normaliser)),
        (offsets, returned[1], losses.smooth_l1(normaliser=normaliser)),
    ):
        def run(targets, predictions):
            with tf.GradientTape() as tape:
                tape.watch(predictions)
                value = loss(targets, predictions)
            return value, tape.gradient(value, predictions)
        value, gradient = run(*map(tf.constant, (targets, predictions)))
        on_each = [
            strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(array[parts[context.replica_id_in_sync_group]])
            )
            for array in (targets, predictions)
        ]
        values, gradients = map(strategy.experimental_local_results, strategy.run(run, on_each))
        np.testing.assert_allclose(np.array(values) * 2, value, rtol=1e-5)
        np.testing.assert_allclose(np.concatenate(gradients), gradient, rtol=1e-5, atol=1e-9)

# Three batches: two at once, and one more.
found = []
two.set_weights(one.get_weights())
for model in (one, two):
    detector = Detector(model, lambda x: x, lambda x: x, score_threshold=0.0)
    samples = [(i, Prepared(image, 1.0, (64, 64))) for i, image in enumerate(images)]
    results = {i[0]: found[0] for i, found, _ in detector.detect_batches(samples, 1)}
    found.append([results[i] for i in range(3)])
assert detector.devices == 2
for detections, of_two in zip(*found, strict=True):
    assert len(detections) > 20
    np.testing.assert_array_equal(detections.boxes, of_two.boxes)
    np.testing.assert_array_equal(detections.scores, of_two.scores)
print("equal")
"""


def test_two_devices_train_and_detect_as_one_does_with_the_whole_batch():
    process = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", TWO_DEVICES],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.stdout == "equal\n", process.stderr[-5000:]


# Runs retinanet-train with the tiny backbone.
RUN = """import sys
from keras_retinanet import backbone_table
from tests import tiny
backbone_table.BACKBONES[tiny.NAME] = tiny.ENTRY
from keras_retinanet.bin import train
train.main(sys.argv[1:])
"""
# Images with two objects, none, one and none.
ROWS = """0.png,12,16,52,48,square
0.png,2,2,30,30,square
1.png,,,,,
2.png,12,16,52,48,square
3.png,,,,,
"""


def start(folder, out, cluster=None):
    """Start a run of two epochs of two steps, or one worker of it."""
    return subprocess.Popen(
        [
            *(sys.executable, "-W", "error::UserWarning", "-c", RUN),
            *("csv", str(folder / "ann.csv"), str(folder / "cls.csv")),
            *("--val-annotations", str(folder / "ann.csv"), "--backbone", "tiny", "--no-weights"),
            *("--mixed-precision", "none"),
            *("--image-min-side", "64", "--image-max-side", "96", "--batch-size", "3"),
            *("--epochs", "2", "--steps", "2", "--random-transform", "--lr", "0.003"),
            # With mosaics more gradients are almost 0, and rounding decides where Adam moves them.
            *("--mosaic", "0", "--snapshot-path", str(out)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, **({"TF_CONFIG": json.dumps(cluster)} if cluster else {})},
    )


def free_ports(count):
    """Return ports of this machine that nobody uses."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]


def test_two_workers_train_as_one_process_does(tmp_path, monkeypatch):
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    tiny.write_squares(tmp_path, [(64, 64)] * 4)
    (tmp_path / "ann.csv").write_text(ROWS)
    hosts = [f"localhost:{port}" for port in free_ports(2)]
    processes = [
        start(tmp_path, tmp_path / "two", {"cluster": {"worker": hosts}, "task": task})
        for task in ({"type": "worker", "index": 0}, {"type": "worker", "index": 1})
    ]
    processes.append(start(tmp_path, tmp_path / "one"))
    (of_chief, errors), (of_other, _), _ = (
        process.communicate(timeout=300) for process in processes
    )
    assert [process.returncode for process in processes] == [0, 0, 0], errors[-3000:]
    assert "mAP" in of_chief and not of_other
    one, two = tmp_path / "one", tmp_path / "two"
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    models_of = [models.load_model(folder / "tiny_csv_02.keras") for folder in (one, two)]
    for weights in zip(*(model.get_weights() for model in models_of), strict=True):
        np.testing.assert_allclose(*weights, atol=1e-4)
    records = [RunRecord.of_state(folder) for folder in (one, two)]
    assert records[0].settings == records[1].settings
    rows = [
        list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
        for folder in (one, two)
    ]
    for row, of_two in zip(*rows, strict=True):
        for name in ("loss", "regression_loss", "classification_loss", "mAP"):
            assert float(of_two[name]) == pytest.approx(float(row[name]), rel=1e-4), name


def test_a_cluster_that_is_none_is_refused(monkeypatch):
    assert distribution.worker_of_environment() == Worker(0, 1)
    hosts = {"worker": ["a:1", "b:1"]}
    for config, message in (
        ("{", "TF_CONFIG: "),
        (json.dumps({"cluster": hosts, "task": {"type": "worker", "index": 2}}), "TF_CONFIG: exp"),
        (json.dumps({"cluster": {**hosts, "ps": ["c:1"]}, "task": {"type": "ps", "index": 0}}), ""),
    ):
        monkeypatch.setenv("TF_CONFIG", config)
        with pytest.raises(ValueError, match=f"^TF_CONFIG: {message[11:]}"):
            distribution.worker_of_environment()
    task = {"type": "worker", "index": 1}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": hosts, "task": task}))
    assert distribution.worker_of_environment() == Worker(1, 2)
    monkeypatch.setenv("TF_CONFIG", json.dumps({"task": task}))
    assert distribution.worker_of_environment() == Worker(0, 1)


def test_a_lost_worker_is_an_error_that_says_what_to_do():
    lost = tf.errors.UnavailableError(None, None, "{{node x}} Collective ops is aborted by: y\nz")
    expected = r"start all workers again with --resume \(Collective ops is aborted by: y z\)$"
    two = Worker(0, 2)
    with pytest.raises(ConnectionError, match=expected), distribution.naming_lost_workers(two):
        raise lost
    with pytest.raises(tf.errors.UnavailableError), distribution.naming_lost_workers(Worker()):
        raise lost


def test_workers_that_differ_are_an_error(monkeypatch):
    of_all = []
    monkeypatch.setattr(distribution, "rows_of_workers", lambda rows: of_all.append(rows) or rows)
    distribution.check_agreement({"settings": {"lr": 0.1, "b": 1}, "data": [1]})
    assert len(of_all) == 2

    def rows_of_both(rows):
        return np.concatenate([of_all.pop(0), rows])

    monkeypatch.setattr(distribution, "rows_of_workers", rows_of_both)
    with pytest.raises(ValueError, match="^worker 1 has other data than the chief, worker 0: "):
        distribution.check_agreement({"settings": {"b": 1, "lr": 0.1}, "data": [2]})


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("batch_size", 1, ".* 2"),
        ("jit_compile", True, ".* 2"),
        ("accumulate", 2, "Keras cannot .*, got 2 on 2: use a"),
    ],
)
def test_a_plan_that_several_devices_cannot_do_is_refused(
    plan, monkeypatch, setting, value, problem
):
    plan = replace(plan, **{"batch_size": 2, setting: value})
    distribution.check_plan(plan)
    two = SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: two)
    with pytest.raises(SettingError, match=f"^{setting}: {problem}"):
        distribution.check_plan(plan)
