from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.optimizers import SGD, Adam, AdamW, StepDecay

SETTINGS = {"clipnorm": 0.5, "epsilon": 1e-10, "beta_1": 0.8, "beta_2": 0.99}


def after_steps(optimizer, steps=5, sparse=False):
    """Return two weight tensors, and the optimiser's state, after some steps."""
    rng = np.random.default_rng(0)
    weights = [keras.Variable(rng.normal(size=shape)) for shape in ((3, 4), (5,))]
    for _ in range(steps):
        gradients = [tf.constant(rng.normal(size=w.shape), "float32") for w in weights]
        if sparse:
            gradients[0] = tf.IndexedSlices(gradients[0], [2, 0, 2], (3, 4))
        optimizer.apply(gradients, weights)
    return [np.array(value) for value in (*weights, *optimizer.variables)]


@pytest.mark.parametrize(
    ("settings", "sparse"),
    [
        ({}, False),
        (SETTINGS, False),
        ({"clipnorm": 3}, False),  # longer than some of the gradients
        ({"amsgrad": True}, False),
        ({}, True),
        (SETTINGS, True),
    ],
)
def test_is_the_adam_of_keras(settings, sparse):
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    ours = after_steps(Adam(rate, **settings), sparse=sparse)
    expected = after_steps(keras.optimizers.Adam(rate, **settings), sparse=sparse)
    assert len(ours) == len(expected) > 5
    for found, value in zip(ours, expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "sparse"),
    [
        ({"momentum": 0.9}, False),
        ({"momentum": 0.9, "nesterov": True, "clipnorm": 0.5}, False),
        ({"momentum": 0.0}, False),
        ({"momentum": 0.9}, True),
    ],
)
def test_without_a_penalty_sgd_is_that_of_keras(settings, sparse):
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    ours = after_steps(SGD(rate, **settings), sparse=sparse)
    expected = after_steps(keras.optimizers.SGD(rate, **settings), sparse=sparse)
    assert len(ours) == len(expected)
    for found, value in zip(ours, expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-7)


def trajectory(optimizer, gradients, *, compiled=None):
    """Return a kernel and a bias after each of some steps: rows of 17 numbers."""
    rng = np.random.default_rng(1)
    weights = [keras.Variable(rng.normal(size=s).astype("float32")) for s in ((3, 4), (5,))]
    if isinstance(optimizer, keras.optimizers.AdamW):
        optimizer.exclude_from_weight_decay(weights[1:])
    optimizer.build(weights)

    def step(kernel, bias):
        # The gradients of a loss that is scaled are scaled.
        optimizer.apply([optimizer.scale_loss(kernel), optimizer.scale_loss(bias)], weights)

    if compiled is not None:
        step = tf.function(step, jit_compile=compiled)
    rows = []
    for row in np.asarray(gradients, "float32"):
        step(tf.constant(row[:12].reshape(3, 4)), tf.constant(row[12:]))
        rows.append(flat(weights))
    return np.array(rows)


def flat(tensors):
    return np.concatenate([np.ravel(tensor) for tensor in tensors])


def averages(optimizer):
    return flat(optimizer._model_variables_moving_average)


# Ours, and what it should be equal to.
KINDS = {
    "adam": (Adam, keras.optimizers.Adam),
    "adamw": tuple(partial(cls, weight_decay=0.25) for cls in (AdamW, keras.optimizers.AdamW)),
    "sgd": tuple(partial(cls, momentum=0.9) for cls in (SGD, keras.optimizers.SGD)),
}


@pytest.mark.parametrize(("clip", "compiled"), [(None, None), (2.0, True)], ids=["eager", "xla"])
@pytest.mark.parametrize("kind", KINDS)
def test_accumulated_gradients_make_the_step_of_their_mean(kind, clip, compiled):
    ours, keras_own = KINDS[kind]
    gradients = np.random.default_rng(0).normal(size=(8, 17))
    means = gradients[:6].reshape(2, 3, 17).mean(axis=1)
    # In Keras a schedule counts batches: the rates of two steps are those of the third and sixth.
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    of_updates = keras.optimizers.schedules.PiecewiseConstantDecay(
        [0], [float(rate(2)), float(rate(5))]
    )
    norms = np.linalg.norm(means[:, :12], axis=1)
    assert norms.min() < 2 < norms.max()
    expected = trajectory(keras_own(of_updates, clipnorm=clip), means)
    optimizer = ours(rate, clipnorm=clip, gradient_accumulation_steps=3)
    found = trajectory(optimizer, gradients, compiled=compiled)
    np.testing.assert_allclose(found[[2, 5]], expected, rtol=1e-4, atol=1e-6)
    for still in ([0, 1], [2, 3, 4], [5, 6, 7]):  # between the updates nothing moves
        np.testing.assert_array_equal(found[still], found[still[:1] * len(still)])
    accumulated = flat(optimizer._accumulated_gradients)
    np.testing.assert_allclose(accumulated, gradients[6:].sum(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("batches", "compiled"), [(None, None), (3, True)], ids=["eager", "xla"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_average_moves_with_the_weights(kind, batches, compiled):
    gradients = np.random.default_rng(0).normal(size=(14, 17))
    settings = {"use_ema": True, "ema_momentum": 0.2, "gradient_accumulation_steps": batches}
    optimizer = KINDS[kind][0](0.1, **settings)
    weights = trajectory(optimizer, gradients, compiled=compiled)
    average, every = 0.0, batches or 1
    for update, row in enumerate(weights[every - 1 :: every]):
        decay = min(0.2, update / (update + 9))  # 0, 1/10, 2/11, then 0.2
        average = decay * average + (1 - decay) * row
    np.testing.assert_allclose(averages(optimizer), average, rtol=1e-4, atol=1e-6)
    # The average changes nothing of what is trained.
    alone = KINDS[kind][0](0.1, gradient_accumulation_steps=batches)
    np.testing.assert_array_equal(weights, trajectory(alone, gradients, compiled=compiled))


def test_an_average_of_a_run_that_goes_on_begins_with_its_weights():
    weight = keras.Variable(np.array([2.0, 4.0]))
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.75)
    optimizer.build([weight])
    optimizer.iterations.assign(1000)
    optimizer.apply([tf.constant([1.0, 0.0])], [weight])
    np.testing.assert_allclose(averages(optimizer), [1.75, 4.0])  # of Keras's zeros [0.25, 1]


@pytest.mark.parametrize("settings", [{}, {"gradient_accumulation_steps": 2, "use_ema": True}])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_whose_gradients_overflow_are_left_out(kind, settings):
    gradients = np.random.default_rng(0).normal(size=(6, 17))
    with_overflow = np.insert(gradients, 3, np.inf, axis=0)
    scaled = keras.optimizers.LossScaleOptimizer(KINDS[kind][0](0.1, **settings), 2.0**8, 3)
    found = trajectory(scaled, with_overflow, compiled=False)
    alone = KINDS[kind][0](0.1, **settings)
    expected = trajectory(alone, gradients)
    np.testing.assert_allclose(found[[0, 1, 2, 4, 5, 6]], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found[3], found[2])
    if settings:
        np.testing.assert_allclose(averages(scaled.inner_optimizer), averages(alone), rtol=1e-4)
    # Twice as much after three steps, half of it after the overflow, twice after three more.
    assert float(scaled.dynamic_scale) == 2.0**9
    assert int(scaled.inner_optimizer._iterations) == 6


@pytest.mark.parametrize("sparse", [False, True])
def test_the_penalty_of_sgd_passes_through_the_momentum(sparse):
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(3, 4)), rng.normal(size=5)
    steps = [0.0, 0.0]
    for _ in range(5):  # the formula in float64; `after_steps` has the same random numbers
        gradients = [rng.normal(size=(3, 4)), rng.normal(size=5)]
        if sparse:
            first = gradients[0]
            gradients[0] = np.stack([first[1], np.zeros(4), first[0] + first[2]])
        steps[0] = 0.9 * steps[0] - 0.1 * (gradients[0] + 0.3 * kernel)
        steps[1] = 0.9 * steps[1] - 0.1 * gradients[1]
        kernel, bias = kernel + steps[0], bias + steps[1]
    found = after_steps(SGD(0.1, 0.3, momentum=0.9), sparse=sparse)
    np.testing.assert_allclose(found[0], kernel, rtol=1e-4)
    np.testing.assert_allclose(found[1], bias, rtol=1e-4)


@pytest.mark.parametrize(
    ("optimizer", "share"),
    [
        (AdamW(0.1, weight_decay=0.5), 0.05),
        (SGD(0.1, 0.5, momentum=0.9), 0.05),
        (SGD(0.1, 0.5), 0.05),
        (Adam(0.1), 0),
        (SGD(0.1, momentum=0.9), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_biases_and_normalisation_do_not_decay(optimizer, share):
    layers = [
        keras.layers.Conv2D(4, 3),
        keras.layers.BatchNormalization(),
        keras.layers.GroupNormalization(2),
        keras.layers.DepthwiseConv2D(3),
        keras.layers.Conv2D(2, 1),
    ]
    model = keras.Sequential([keras.Input((9, 9, 3)), *layers])
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(1, 2, weight.shape) for weight in model.weights])
    before = [np.array(weight) for weight in model.trainable_weights]
    optimizer.build(model.trainable_variables)
    zeros = [tf.zeros(weight.shape) for weight in model.trainable_weights]
    optimizer.apply(zeros, model.trainable_variables)
    decayed = []
    for weight, old in zip(model.trainable_weights, before, strict=True):
        keeps = 1 - share if weight.name in ("kernel", "depthwise_kernel") else 1
        np.testing.assert_allclose(weight, keeps * old, rtol=1e-6, err_msg=weight.path)
        decayed.append(keeps != 1)
    assert sum(decayed) == (3 if share else 0)
    assert len(decayed) == 10


def test_a_loaded_optimizer_leaves_biases_alone_too():
    optimizer = AdamW.from_config(AdamW(0.1, weight_decay=0.5).get_config())
    kernel, bias = keras.Variable(np.ones((2, 2))), keras.Variable(np.ones(2))
    optimizer.apply([tf.zeros((2, 2)), tf.zeros(2)], [kernel, bias])
    np.testing.assert_allclose(kernel, np.full((2, 2), 0.95))
    np.testing.assert_array_equal(bias, np.ones(2))


def test_the_rate_of_the_paper_by_hand():
    schedule = StepDecay(0.01, drops=[60_000, 80_000], warmup_steps=500)
    expected = {
        0: 0.01 / 500,
        250: 0.01 * (1 / 500 + 499 / 500 / 2),
        500: 0.01,
        59_999: 0.01,
        60_000: 0.001,
        79_999: 0.001,
        80_000: 0.0001,
        16_000_001: 0.0001,
    }
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate), step
    again = StepDecay.from_config(schedule.get_config())
    assert float(again(70_000)) == pytest.approx(0.001)


def test_a_rate_without_drops_and_warm_up_is_constant():
    assert [float(StepDecay(0.3)(step)) for step in (0, 9, 10**6)] == pytest.approx([0.3] * 3)
    assert float(StepDecay(0.4, [2], 0.5)(2)) == pytest.approx(0.2)


def test_the_first_step_by_hand():
    weight = keras.Variable(np.array([1.0, 1.0, 1.0]))
    Adam(0.1).apply([tf.constant([2.0, -3.0, 0.0])], [weight])
    # The moments of one gradient are itself and its square: a step of the rate against its sign.
    np.testing.assert_allclose(weight, [0.9, 1.1, 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (Adam(0.1), 0.8),
        # In each of two steps a share of 0.1 * 0.5 of the weight, and about the rate.
        (AdamW(0.1, weight_decay=0.5), (1 * 0.95 - 0.1) * 0.95 - 0.1),
        # The gradient of (x + y)^2 by x is 4 at (1, 1), its penalty 0.5; the second step is from
        # 0.55 with 4 * 0.55 + 0.5 * 0.55, and half of the first step.
        (SGD(0.1, 0.5, momentum=0.5), 0.55 - 0.1 * 4.5 * 0.55 - 0.5 * 0.45),
    ],
    ids=lambda value: type(value).__name__,
)
def test_works_on_several_devices(optimizer, expected):
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    settings = optimizer.get_config()
    with strategy.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        model.compile(type(optimizer).from_config(settings), loss="mse")
    model.set_weights([np.ones((2, 1))])
    model.fit(np.ones((4, 2)), np.zeros((4, 1)), batch_size=4, epochs=2, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=2e-3)


@pytest.mark.parametrize(
    "optimizer",
    [
        Adam(0.1, clipnorm=0.25),
        AdamW(StepDecay(0.1, [3, 5], 0.5, 2), weight_decay=0.25),
        SGD(StepDecay(0.1), 0.25, momentum=0.5),
        Adam(0.1, use_ema=True, ema_momentum=0.5, gradient_accumulation_steps=2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_snapshots_hold_it(tmp_path, optimizer):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, loss=keras.losses.MeanSquaredError())
    model.fit(np.ones((4, 2)), np.zeros((4, 1)), verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras").optimizer
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    for found, expected in zip(again.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
