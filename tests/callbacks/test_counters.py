import math

import keras
import numpy as np

from keras_retinanet.callbacks.counters import KeepCounters


def train(callbacks, earlier, epochs):
    """Train a model that cannot improve; return what is counted at the end."""
    counters = KeepCounters(callbacks, earlier)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.0
    x = np.ones((2, 1))
    history = model.fit(x, x, epochs=epochs, callbacks=[*callbacks, counters], verbose=0)
    return counters.values(), history


def callbacks():
    return [
        keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=9),
        keras.callbacks.EarlyStopping(monitor="loss", patience=4),
    ]


def test_counting_goes_on_where_an_earlier_run_stopped():
    values, _ = train(callbacks(), {}, epochs=3)
    assert values["ReduceLROnPlateau"]["wait"] == values["EarlyStopping"]["wait"] == 2
    # The loss of another model may be lower: it must not count as progress.
    for counted in values.values():
        counted["best"] = -1.0
    values, history = train(callbacks(), values, epochs=9)
    assert len(history.epoch) == 2  # 4 epochs without progress
    assert values["ReduceLROnPlateau"]["wait"] == 4


def test_what_is_counted_is_plain_and_what_is_malformed_is_left_out():
    values, _ = train(callbacks(), {"EarlyStopping": {"wait": "x", "other": 3}}, epochs=1)
    assert values["EarlyStopping"]["wait"] == 0
    assert math.isfinite(values["EarlyStopping"]["best"])
    assert type(values["EarlyStopping"]["best"]) is float


def test_callbacks_that_count_nothing_are_ignored():
    counters = KeepCounters([keras.callbacks.TerminateOnNaN()], {})
    counters.on_train_begin()
    assert counters.values() == {}
