import keras
import numpy as np
import pytest

from keras_retinanet.training import compiling
from tests.fakes import tiny_retinanet


def rate(schedule, step):
    return float(schedule(step))


def test_rate_warms_up_and_falls_along_a_cosine():
    schedule = compiling.cosine_schedule(1e-3, 10_000)
    assert rate(schedule, 250) == pytest.approx(0.5e-3, rel=0.01)
    assert rate(schedule, 500) == pytest.approx(1e-3)
    assert rate(schedule, 500 + 4750) == pytest.approx(0.505e-3)
    assert rate(schedule, 10_000) == pytest.approx(1e-5)
    assert rate(schedule, 20_000) == pytest.approx(1e-5)


def test_a_short_run_warms_up_for_a_tenth():
    schedule = compiling.cosine_schedule(1e-3, 50)
    assert rate(schedule, 0) < rate(schedule, 4) < 1e-3
    assert rate(schedule, 5) == pytest.approx(1e-3)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_run_of_a_step_is_possible(steps):
    assert np.isfinite(rate(compiling.cosine_schedule(1e-3, steps), 0))


def model():
    anchor = keras.Input((3, 4))
    regression = keras.layers.Dense(4, name="regression")(anchor)
    classification = keras.layers.Dense(2, activation="sigmoid", name="classification")(anchor)
    return keras.Model(anchor, [regression, classification])


def targets():
    return np.ones((1, 3, 5), "float32"), np.ones((1, 3, 1), "int32")


def test_the_step_is_traced_once():
    network, traced = model(), []
    compiling.compile_model(network)
    step = network.train_step
    network.train_step = lambda data: traced.append(1) or step(data)
    network.fit(np.ones((1, 3, 4), "float32"), targets(), epochs=2, verbose=0)
    assert len(traced) == 1


def test_both_losses_are_minimised():
    keras.utils.set_random_seed(0)
    network = model()
    compiling.compile_model(network, learning_rate=0.05)
    x = np.ones((1, 3, 4), "float32")
    history = network.fit(x, targets(), epochs=30, verbose=0).history
    for name in ("regression_loss", "classification_loss"):
        assert history[name][-1] < 0.5 * history[name][0]


def two_steps(**compilation):
    """Return the losses of two steps of a small network, and the network."""
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 96, 3)).astype("float32")
    network = tiny_retinanet()
    count = network.compute_output_shape(images.shape)[0][1]
    regression = np.zeros((2, count, 5), "float32")
    classification = np.zeros((2, count, 1), "int32")
    regression[:, 5:9], classification[:, 5:9] = 1, 2
    compiling.compile_model(network, learning_rate=0.01, **compilation)
    history = network.fit(images, (regression, classification), epochs=2, verbose=0).history
    return history["loss"], network


def test_xla_trains_as_tensorflow_does():
    plain, _ = two_steps()
    compiled, network = two_steps(jit_compile=True)
    assert network.jit_compile
    np.testing.assert_allclose(compiled, plain, rtol=1e-4)
    assert compiled[1] < compiled[0]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_trains(policy):
    keras.config.set_dtype_policy(policy)
    try:
        found, _ = two_steps()
    finally:
        keras.config.set_dtype_policy("float32")
    plain, _ = two_steps()
    np.testing.assert_allclose(found, plain, rtol=0.05)


def test_optimizer_state_goes_over_to_a_new_run():
    network = model()
    compiling.compile_model(network, 0.1)
    network.fit(np.ones((1, 3, 4), "float32"), targets(), epochs=3, verbose=0)
    before = [np.array(variable) for variable in network.optimizer.variables]
    earlier = network.optimizer.variables
    compiling.compile_model(network, 0.2)
    # The rate depends on the steps done by this run's count, whose epochs may be longer.
    assert compiling.restore_optimizer(network, earlier, 99)
    assert float(network.optimizer.learning_rate) == pytest.approx(0.2)
    assert int(network.optimizer.iterations) == 99
    for old, new in zip(before[2:], network.optimizer.variables[2:], strict=True):
        np.testing.assert_array_equal(old, new)


def test_without_state_the_steps_are_counted_on():
    network = model()
    compiling.compile_model(network)
    assert not compiling.restore_optimizer(network, None, 42)
    assert int(network.optimizer.iterations) == 42
