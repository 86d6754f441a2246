"""callbacks.timing: where the time of a step goes, with waits that are known."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.callbacks.timing import LogSpeed

PAUSE = 0.05  # seconds: much longer than a step of the model takes


class Pause(keras.layers.Layer):
    """Takes its time in each step."""

    def call(self, inputs):
        def wait(array):
            time.sleep(PAUSE)
            return array

        # Depends on the data, so that it cannot begin before these are there.
        outputs = tf.numpy_function(wait, [tf.stop_gradient(inputs)], "float32")
        return tf.ensure_shape(outputs, inputs.shape)


def compiled(*layers, **options):
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.125), "mse", **options)
    return model


def batches(pause=0.0, sizes=(3,)):
    """Batches of ones of these sizes, again and again."""

    def make():
        for index in range(200):
            time.sleep(pause)
            size = sizes[index % len(sizes)]
            yield np.ones((size, 2), "float32"), np.ones((size, 1), "float32")

    spec = tf.TensorSpec((None, 2)), tf.TensorSpec((None, 1))
    return tf.data.Dataset.from_generator(make, output_signature=spec).prefetch(2)


def fit(model, data, steps=8, epochs=2, **options):
    return model.fit(
        data,
        steps_per_epoch=steps,
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=[LogSpeed()],
        **options,
    ).history


def test_a_model_that_waits_for_slow_data():
    history = fit(compiled(), batches(PAUSE))
    assert min(history["data_wait"]) > 0.6
    assert max(history["data_wait"]) <= 1
    assert max(history["images_per_second"]) < 3 / PAUSE * 1.5
    assert history["learning_rate"] == [0.125, 0.125]


def test_a_slow_model_does_not_wait_for_fast_data():
    history = fit(compiled(Pause()), batches())
    assert max(history["data_wait"]) < 0.4
    assert max(history["images_per_second"]) < 3 / PAUSE


def test_images_count_not_batches(monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr("keras_retinanet.callbacks.timing.time.perf_counter", lambda: next(now))
    # A step looks at the clock three times: 2 seconds, of which it waits for one.
    history = fit(compiled(), batches(sizes=(1, 4, 6)), steps=3, epochs=1)
    assert history["images_per_second"] == [10 / 4]  # without the first step
    assert history["data_wait"] == [0.5]
    history = fit(compiled(), batches(sizes=(5,)), steps=1)
    assert history["images_per_second"] == [2.5, 2.5]  # there is no other


def test_weights_are_those_of_a_run_without_it():
    weights = []
    for callbacks in ([], [LogSpeed()]):
        keras.utils.set_random_seed(3)
        model = compiled()
        options = {"steps_per_epoch": 4, "epochs": 2, "verbose": 0, "shuffle": False}
        model.fit(batches(sizes=(3, 5)), callbacks=callbacks, **options)
        weights.append(model.get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_network_is_traced_once_for_batches_of_all_sizes():
    traces = []

    class Counting(keras.layers.Layer):
        def call(self, inputs):
            traces.append(inputs.shape[0])
            return inputs

    model = compiled(Counting())
    traces.clear()
    fit(model, batches(sizes=(3, 5, 7)), steps=6)
    assert len([size for size in traces if size is None]) == len(traces) <= 2


def test_an_eager_model_stays_eager():
    eager = []

    class Noting(keras.layers.Layer):
        def call(self, inputs):
            eager.append(tf.executing_eagerly())
            return inputs

    model = compiled(Noting())
    model.run_eagerly = True
    eager.clear()
    history = fit(model, batches(sizes=(3, 5)), steps=4, epochs=1)
    assert eager == [True] * 4
    assert history["images_per_second"][0] > 0


def test_an_error_in_fit_leaves_a_model_that_can_train_again():
    class Fail(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = compiled()
    with pytest.raises(KeyboardInterrupt):
        callbacks = [LogSpeed(), Fail()]
        model.fit(batches(), steps_per_epoch=2, verbose=0, shuffle=False, callbacks=callbacks)
    assert len(fit(model, batches())["data_wait"]) == 2


def test_several_steps_in_one_call_are_refused():
    with pytest.raises(ValueError, match="^steps_per_execution: expected 1, got 2"):
        fit(compiled(steps_per_execution=2), batches())


def test_validation_does_not_count():
    options = {"validation_data": batches(), "validation_steps": 2}
    history = fit(compiled(), batches(PAUSE), epochs=1, **options)
    assert history["data_wait"][0] > 0.6
    assert "val_loss" in history
