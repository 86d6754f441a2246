import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.callbacks.snapshots import SaveSnapshots
from keras_retinanet.models.precision import set_precision
from keras_retinanet.preprocessing.data import ShapesData
from keras_retinanet.training import compiling, precision
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.precision import choose
from keras_retinanet.training.record import RunRecord
from keras_retinanet.training.run import train
from keras_retinanet.training.settings import SettingWarning
from keras_retinanet.training.state import find_state

PLAN = TrainingPlan(data=ShapesData(), mixed_precision="auto")


@pytest.mark.parametrize(
    ("capabilities", "speedup", "expected"),
    [
        ([], 0.6, "none"),
        ([], 1.2, "none"),
        ([], 1.4, "bfloat16"),
        ([], 9.0, "bfloat16"),
        ([(9, 0)], 0.6, "bfloat16"),
        ([(8, 0), (8, 6)], 0.6, "bfloat16"),
        ([(9, 0), (7, 5)], 9.0, "none"),
        ([(0, 0)], 9.0, "none"),
    ],
)
def test_bfloat16_is_chosen_where_it_is_fast(capabilities, speedup, expected):
    chosen, why = choose(capabilities, lambda: speedup)
    assert chosen == expected
    assert ("compute capability" if capabilities else f"{speedup:.2g} times as fast") in why


def test_a_gpu_is_not_measured():
    def speedup():
        raise AssertionError

    assert choose([(8, 0)], speedup)[0] == "bfloat16"


def test_the_capabilities_are_those_of_the_gpus_in_use(monkeypatch):
    details = {"A100": {"compute_capability": (8, 0)}, "other": {}}
    monkeypatch.setattr(tf.config, "get_visible_devices", {"GPU": list(details)}.get)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.get)
    assert precision.gpu_capabilities() == [(8, 0), (0, 0)]


def test_the_speedup_is_a_ratio_of_times_after_the_first(monkeypatch):
    clock, done = [0.0], []

    def convolve(dtype):
        clock[0] += {"float32": 3.0, "bfloat16": 2.0}[dtype] + 100 * (dtype not in done)
        done.append(dtype)

    monkeypatch.setattr(precision, "_convolve", convolve)
    monkeypatch.setattr(precision.time, "process_time", lambda: clock[0])
    assert precision.bfloat16_speedup() == pytest.approx(1.5)
    assert done[:4] == ["float32", "bfloat16"] * 2


def test_the_speedup_can_be_measured():
    assert 0.01 < precision.bfloat16_speedup() < 100


def resolved(monkeypatch, chosen="bfloat16", state=None, **settings):
    """Return the precision of a plan with the line that is said, where `chosen` is fast."""
    monkeypatch.setattr(precision, "choose", lambda *facts: (chosen, "of this test"))
    lines = []
    plan = precision.resolve(replace(PLAN, **settings), state, lines.append)
    assert plan == replace(PLAN, **{**settings, "mixed_precision": plan.mixed_precision})
    return plan.mixed_precision, *lines


def test_what_is_chosen_is_said_and_part_of_the_plan(monkeypatch):
    line = "Mixed precision: bfloat16, as of this test"
    assert resolved(monkeypatch) == ("bfloat16", line)
    for name in ("none", "bfloat16"):
        assert resolved(monkeypatch, mixed_precision=name) == (name,)


def test_float16_is_for_gpus(monkeypatch):
    with pytest.warns(SettingWarning, match="takes many times as long without a GPU"):
        assert resolved(monkeypatch, mixed_precision="float16") == ("float16",)
    monkeypatch.setattr(precision, "gpu_capabilities", lambda: [(7, 5)])
    assert resolved(monkeypatch, mixed_precision="float16") == ("float16",)


def test_workers_compute_in_half_precision_if_it_is_fast_on_all(monkeypatch):
    asked = []

    def maximum_over_workers(values):
        asked.append(list(values))
        return [1.0]  # another worker is slow

    monkeypatch.setattr(precision, "maximum_over_workers", maximum_over_workers)
    line = "Mixed precision: none, as another worker is not faster in bfloat16"
    assert resolved(monkeypatch, "bfloat16") == ("none", line)
    assert resolved(monkeypatch, "none") == ("none", "Mixed precision: none, as of this test")
    assert asked == [[False], [True]]


def test_a_run_that_goes_on_keeps_its_precision(monkeypatch):
    for name in ("none", "bfloat16"):
        state = RunRecord(1, {"mixed_precision": name})
        found = resolved(monkeypatch, "float16", state)
        assert found == (name, f"Mixed precision: {name}, as the run has so far")
    assert resolved(monkeypatch, state=RunRecord(1))[0] == "none"  # of an earlier version


def test_a_deterministic_run_depends_on_no_measurement(monkeypatch):
    assert resolved(monkeypatch, deterministic=True)[0] == "none"
    assert resolved(monkeypatch, deterministic=True, mixed_precision="bfloat16") == ("bfloat16",)


def small_network():
    """Return a network with the outputs of a training model, in float16, and a batch for it."""
    keras.utils.set_random_seed(0)
    anchors = keras.Input((3, 4))
    hidden = keras.layers.Dense(8, activation="relu")(anchors)
    regression = keras.layers.Dense(4, name="regression")(hidden)
    logits = keras.layers.Dense(2)(hidden)
    classification = keras.layers.Activation("sigmoid", name="classification")(logits)
    network = keras.Model(anchors, [regression, classification])
    set_precision(network, "float16")
    targets = {"regression": np.ones((1, 3, 5)), "classification": np.ones((1, 3, 1))}
    return network, (np.ones((1, 3, 4), "float32"), targets)


def test_a_step_whose_gradient_overflows_is_left_out():
    network, batch = small_network()
    optimizer = compiling.make_optimizer("adam", 0.1, scale_loss=True)
    compiling.compile_model(network, optimizer=optimizer)
    expected = network.evaluate(*batch, verbose=0)
    before = network.get_weights()
    optimizer.dynamic_scale.assign(2.0**40)
    logged = network.fit(*batch, verbose=0).history["loss"]
    # What is logged is the loss without the scale.
    np.testing.assert_allclose(logged, expected[:1], rtol=1e-6)
    assert float(optimizer.dynamic_scale) == 2.0**39
    assert int(optimizer.iterations) == 0
    for now, then in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    optimizer.dynamic_scale.assign(2.0**10)
    network.fit(*batch, epochs=3, verbose=0)
    assert int(optimizer.iterations) == 3
    assert network.evaluate(*batch, verbose=0)[0] < logged[0]


@pytest.mark.parametrize("settings", [{}, {"accumulate": 2}, {"ema": 0.5}], ids=str)
def test_the_scale_does_not_change_what_the_optimizer_does(settings):
    found = []
    for scale_loss in (False, True):
        weight = keras.Variable(np.ones((2, 2), "float32"))
        optimizer = compiling.make_optimizer(
            "sgd", 0.5, clipnorm=1.0, scale_loss=scale_loss, **settings
        )
        optimizer.build([weight])
        for factor in (1.0, 10.0, 0.01, 3.0):  # clipped and not
            scaled = optimizer.scale_loss(tf.fill((2, 2), factor))
            assert scale_loss == (float(scaled[0, 0]) > 100)
            optimizer.apply([scaled], [weight])
        optimizer.finalize_variable_values([weight])
        found.append(np.array(weight))
    np.testing.assert_array_equal(*found)
    assert (found[0] < 1).all()


TWO_DEVICES = """
import keras
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_retinanet.training import compiling

strategy = tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])


@tf.function
def step(gradients):
    def apply():
        device = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer.apply([tf.fill((2,), gradients[device])], [weight])

    strategy.run(apply)


with strategy.scope():
    weight = keras.Variable(np.ones(2, "float32"))
    optimizer = compiling.make_optimizer("sgd", 0.5, clipnorm=0, momentum=0, scale_loss=True)
    optimizer.build([weight])
    for gradients in ([1, np.inf], [np.inf, 1], [np.nan, 1], [1, 2]):
        scale = float(optimizer.dynamic_scale + 0)
        step(tf.constant(gradients, "float32") * scale)
        print(float(weight[0]), float(optimizer.dynamic_scale + 0) / scale)
"""


def test_a_gradient_that_overflows_on_one_of_two_devices_is_left_out_on_both():
    found = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], text=True, capture_output=True, check=False
    )
    assert found.stdout.split("\n")[:-1] == ["1.0 0.5"] * 3 + ["-0.5 1.0"], found.stderr


def test_a_plateau_sets_the_rate():
    network, batch = small_network()
    compiling.compile_model(
        network, optimizer=compiling.make_optimizer("adam", 0.5, scale_loss=True)
    )
    stalls = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    network.fit(*batch, epochs=3, verbose=0, callbacks=[stalls])
    assert float(network.optimizer.learning_rate) == 0.125


def test_a_run_in_half_precision_saves_a_model_in_float32(plan, monkeypatch):
    types = []

    def save(callback, epoch, logs=None):
        types.append({layer.compute_dtype for layer in callback.model.layers})
        on_epoch_end(callback, epoch, logs)

    on_epoch_end = SaveSnapshots.on_epoch_end
    monkeypatch.setattr(SaveSnapshots, "on_epoch_end", save)
    monkeypatch.setattr(precision, "choose", lambda *facts: ("bfloat16", "of this test"))
    lines = []
    plan = replace(plan, mixed_precision="auto", epochs=1, steps=1, feature_size=8)
    result = train(plan, log=lines.append)
    assert types == [{"float32", "bfloat16"}]
    assert "Precision: bfloat16, with weights" in "\n".join(lines)
    snapshot = keras.models.load_model(f"{plan.snapshot_path}/tiny_csv_01.keras")
    state = find_state(plan.snapshot_path)
    for model in (result.model, snapshot, state.load_model()):
        assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert snapshot.info.run["settings"]["mixed_precision"] == "bfloat16"
    # The same command goes on with what was chosen, whatever this machine would choose.
    monkeypatch.setattr(precision, "choose", SimpleNamespace)
    again = TrainingPlan.for_data(
        plan.data, resume=True, snapshot_path=plan.snapshot_path, mixed_precision="auto"
    )
    goes_on = precision.resolve(again, state.record, lines.append)
    assert goes_on.mixed_precision == "bfloat16"
