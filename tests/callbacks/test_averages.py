import keras
import numpy as np
import pytest

from keras_retinanet.callbacks.averages import SwapAverages, swap_averages
from keras_retinanet.optimizers import SGD

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class Recorder(keras.callbacks.Callback):
    """Keeps the weights of the model at some moments."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def on_train_batch_end(self, batch, logs=None):
        self.seen.setdefault("train", []).append(self.model.get_weights())

    def on_test_batch_end(self, batch, logs=None):
        self.seen.setdefault("test", []).append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.seen.setdefault("end", []).append(self.model.get_weights())


def fit(*callbacks, optimizer):
    """Return a model that was trained for two epochs of two steps, with validation."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile(optimizer, loss="mse")
    model.fit(X, Y, 4, 2, 0, list(callbacks), validation_data=(X, Y), shuffle=False)
    return model


@pytest.mark.parametrize("scaled", [False, True])
def test_averages_are_evaluated_and_saved_and_weights_train_on(scaled):
    def optimizer(**settings):
        inner = SGD(0.1, momentum=0.9, **settings)
        return keras.optimizers.LossScaleOptimizer(inner, 1.0) if scaled else inner

    plain, inside, after = Recorder(), Recorder(), Recorder()
    fit(plain, optimizer=optimizer())
    model = fit(
        *(SwapAverages(validates=True), inside, SwapAverages(), after),
        optimizer=optimizer(use_ema=True, ema_momentum=0.2),
    )
    trained = plain.seen["train"]
    # As if nothing had been exchanged.
    for found in (inside.seen["train"], after.seen["train"]):
        assert_same(found, trained)
    assert_same(after.seen["end"], trained[1::2])
    # After a step of 4 the decay is 0, 1/10, 2/11, 0.2.
    average, averages = 0.0, []
    for step, (gamma, beta, mean, variance, kernel, bias) in enumerate(trained):
        decay = min(0.2, step / (step + 9))
        values = np.concatenate([gamma, beta, kernel[:, 0], bias])
        average = decay * average + (1 - decay) * values
        # Statistics have no average.
        averages.append([*np.split(average, [3, 6, 9]), mean, variance])
    for seen in (inside.seen["end"], inside.seen["test"][1::2], after.seen["test"][1::2]):
        for found, expected in zip(seen, averages[1::2], strict=True):
            gamma, beta, mean, variance, kernel, bias = found
            for one, other in zip(
                (gamma, beta, kernel[:, 0], bias, mean, variance), expected, strict=True
            ):
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert_same([model.get_weights()], inside.seen["end"][-1:])


def assert_same(ones, others):
    for one, other in zip(ones, others, strict=True):
        for found, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_exchanging_twice_changes_nothing():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.compile(SGD(use_ema=True))
    model.optimizer.build(model.trainable_variables)
    kernel, average = model.weights[0], model.optimizer._model_variables_moving_average[0]
    # Adding and subtracting would lose the smaller one.
    kernel.assign([[1e8, 1.0]])
    average.assign([[1.0, 1e8]])
    swap_averages(model)
    np.testing.assert_array_equal(kernel, [[1.0, 1e8]])
    np.testing.assert_array_equal(average, [[1e8, 1.0]])
    swap_averages(model)
    np.testing.assert_array_equal(kernel, [[1e8, 1.0]])
    np.testing.assert_array_equal(average, [[1.0, 1e8]])
