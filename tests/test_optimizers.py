import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.optimizers import Adam

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


def test_the_first_step_by_hand():
    weight = keras.Variable(np.array([1.0, 1.0, 1.0]))
    Adam(0.1).apply([tf.constant([2.0, -3.0, 0.0])], [weight])
    # The moments of one gradient are itself and its square: a step of the rate against its sign.
    np.testing.assert_allclose(weight, [0.9, 1.1, 1.0], rtol=1e-6)


def test_works_on_several_devices():
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    with strategy.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        model.compile(Adam(0.1), loss="mse")
    model.set_weights([np.ones((2, 1))])
    model.fit(np.ones((4, 2)), np.zeros((4, 1)), batch_size=4, epochs=2, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], 0.8, rtol=1e-3)


def test_snapshots_hold_it(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(Adam(0.1, clipnorm=0.25), loss=keras.losses.MeanSquaredError())
    model.fit(np.ones((4, 2)), np.zeros((4, 1)), verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras").optimizer
    assert type(again) is Adam
    assert again.clipnorm == 0.25
    for found, expected in zip(again.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
