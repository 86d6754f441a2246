import keras
import numpy as np
import pytest

from keras_retinanet import losses
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.optimizers import SGD, Adam, AdamW
from keras_retinanet.preprocessing.data import CSVData
from keras_retinanet.training import compiling
from keras_retinanet.training.plan import SettingError, TrainingPlan
from tests.fakes import tiny_retinanet

DATA = CSVData("a.csv", "classes.csv")
INFO = ModelInfo("resnet50", 2, class_names=("cat", "dog"))


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


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "adam", "learning_rate": 0.05},
        {"name": "adamw", "learning_rate": 0.05, "weight_decay": 0.01},
        {"name": "sgd", "learning_rate": 0.05, "weight_decay": 1e-4, "clipnorm": 0},
        {"name": "sgd", "learning_rate": 0.2, "momentum": 0, "clipnorm": 1},
        {"name": "adam", "learning_rate": 0.1, "accumulate": 2, "ema": 0.5},
    ],
    ids=str,
)
def test_both_losses_are_minimised(settings):
    keras.utils.set_random_seed(0)
    network = model()
    compiling.compile_model(network, optimizer=compiling.make_optimizer(**settings))
    x = np.ones((1, 3, 4), "float32")
    history = network.fit(x, targets(), epochs=30, verbose=0).history
    for name in ("regression_loss", "classification_loss"):
        assert history[name][-1] < 0.5 * history[name][0]


@pytest.mark.parametrize("name", losses.CLASSIFICATION_LOSSES)
def test_a_model_trains_with_each_loss(name):
    keras.utils.set_random_seed(0)
    network = model()
    plan = TrainingPlan(data=DATA, loss=name, loss_normaliser="image")
    loss = compiling.make_classification_loss(plan, INFO)
    compiling.compile_model(network, 0.05, classification_loss=loss, loss_normaliser="image")
    x = np.ones((1, 3, 4), "float32")
    history = network.fit(x, targets(), epochs=30, verbose=0).history
    assert history["classification_loss"][-1] < 0.5 * history["classification_loss"][0]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, losses.focal()),
        ({"alpha": 0.5, "gamma": 3}, losses.focal(0.5, 3)),
        ({"gamma": 0}, losses.focal(0.25, 0)),
        ({"loss": "focal-star"}, losses.focal_star()),
        ({"loss": "focal-star", "gamma": 4, "beta": 0}, losses.focal_star(4, 0)),
        ({"loss": "balanced-ce", "alpha": 0.75}, losses.balanced_cross_entropy(0.75)),
        ({"loss": "ce"}, losses.cross_entropy()),
        ({"loss_normaliser": "image"}, losses.focal(normaliser="image")),
        ({"class_weights": {"dog": 3}}, losses.focal(class_weights=[1, 3])),
        ({"loss": "ce", "class_weights": {"cat": 0}}, losses.cross_entropy(class_weights=[0, 1])),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_the_loss_is_that_of_the_plan(settings, expected):
    y_true = np.array([[[1], [2], [0]], [[2], [0], [0]]])
    y_pred = np.random.default_rng(2).uniform(0.1, 0.9, (2, 3, 2)).astype("float32")
    plan = TrainingPlan(data=DATA, **settings)
    loss = compiling.make_classification_loss(plan, INFO)
    assert float(loss(y_true, y_pred)) == float(expected(y_true, y_pred))
    # All of them differ.
    assert (float(loss(y_true, y_pred)) == float(losses.focal()(y_true, y_pred))) == (not settings)


def test_class_weights_are_for_classes_of_the_model():
    plan = TrainingPlan(data=DATA, class_weights={"cow": 2})
    with pytest.raises(SettingError, match="^class_weights: .* one of cat, dog, got cow"):
        compiling.make_classification_loss(plan, INFO)
    with pytest.raises(SettingError, match="^class_weights: "):
        compiling.make_classification_loss(plan, None)


def test_the_box_loss_is_normalised_as_the_plan_says():
    network = tiny_retinanet()
    for normaliser in losses.NORMALISERS:
        compiling.compile_model(network, loss_normaliser=normaliser)
        y_true = np.random.default_rng(3).normal(0, 1, (2, 4, 5)).astype("float32")
        y_true[:, :, 4] = [[1, 1, 1, 0], [1, 0, 0, 0]]
        expected = losses.smooth_l1(normaliser=normaliser)(y_true, np.zeros((2, 4, 4), "float32"))
        labels, scores = np.full((2, 4, 1), -1), np.full((2, 4, 2), 0.5, "float32")
        found = network.compute_loss(y=[y_true, labels], y_pred=[np.zeros((2, 4, 4)), scores])
        assert float(found) == pytest.approx(float(expected), rel=1e-5)


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


def test_optimizers_get_their_settings():
    make, settings = compiling.make_optimizer, {"momentum": 0.5, "weight_decay": 0.25}
    sgd = make("sgd", 0.1, clipnorm=0, **settings)
    assert (type(sgd), sgd.clipnorm, sgd.momentum, sgd.l2_decay) == (SGD, None, 0.5, 0.25)
    adamw = make("adamw", 0.1, clipnorm=2, **settings)
    assert (type(adamw), adamw.clipnorm, adamw.weight_decay) == (AdamW, 2, 0.25)
    assert adamw.epsilon == compiling.EPSILON
    adam = make("adam", 0.1)
    assert (type(adam), adam.clipnorm, adam.weight_decay) == (Adam, 0.001, None)
    assert (adam.use_ema, adam.gradient_accumulation_steps) == (False, None)
    for name in ("adam", "adamw", "sgd"):
        found = make(name, 0.1, accumulate=4, ema=0.75)
        assert (found.use_ema, found.ema_momentum) == (True, 0.75)
        assert (found.gradient_accumulation_steps, found.ema_overwrite_frequency) == (4, None)
    with pytest.raises(ValueError, match=r"^optimizer: expected adam without .* with 0.25"):
        make("adam", 0.1, **settings)
    with pytest.raises(ValueError, match="got rmsprop"):
        make("rmsprop", 0.1)


def test_optimizer_state_goes_over_to_a_new_run():
    network = model()
    compiling.compile_model(network, 0.1)
    network.fit(np.ones((1, 3, 4), "float32"), targets(), epochs=3, verbose=0)
    before = [np.array(variable) for variable in network.optimizer.variables]
    earlier = network.optimizer
    compiling.compile_model(network, 0.2)
    # The rate depends on the steps done by this run's count, whose epochs may be longer.
    assert compiling.restore_optimizer(network, earlier, 99)
    assert float(network.optimizer.learning_rate) == pytest.approx(0.2)
    assert int(network.optimizer.iterations) == 99
    for old, new in zip(before[2:], network.optimizer.variables[2:], strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("scaled", [False, True])
def test_without_state_the_batches_are_counted_on(scaled):
    network = model()
    optimizer = compiling.make_optimizer("adam", 0.1, accumulate=4, ema=0.5)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    compiling.compile_model(network, optimizer=optimizer)
    assert not compiling.restore_optimizer(network, None, 42)
    assert int(network.optimizer.iterations) == 10  # updates


def test_state_goes_over_with_averages_and_without_the_scale_of_the_loss():
    network = model()
    scaled = keras.optimizers.LossScaleOptimizer(compiling.make_optimizer("adam", 0.1, ema=0.5))
    compiling.compile_model(network, optimizer=scaled)
    network.fit(np.ones((1, 3, 4), "float32"), targets(), epochs=2, verbose=0)
    again = compiling.make_optimizer("adam", 0.1, ema=0.5)
    compiling.compile_model(network, optimizer=again)
    assert compiling.restore_optimizer(network, scaled, 7)
    for old, new in zip(scaled.inner_optimizer.variables[2:], again.variables[2:], strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("before", "after", "fits"),
    [("adam", "adamw", True), ("sgd", "sgd", True), ("adam", "sgd", False), ("sgd", "adam", False)],
)
def test_state_goes_over_to_an_optimizer_of_the_same_kind(before, after, fits):
    # Both Adam and SGD have a variable called momentum for each tensor of weights.
    network = model()
    compiling.compile_model(network, optimizer=compiling.make_optimizer(before, 0.1))
    network.fit(np.ones((1, 3, 4), "float32"), targets(), verbose=0)
    earlier = network.optimizer
    compiling.compile_model(network, optimizer=compiling.make_optimizer(after, 0.1))
    assert compiling.restore_optimizer(network, earlier, 1) == fits
    momentum = np.array(network.optimizer.variables[2])
    assert np.any(momentum) == fits
    if fits:
        np.testing.assert_array_equal(momentum, earlier.variables[2])
