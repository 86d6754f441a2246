"""callbacks.common: every hook of the redirected callback runs, on the other model."""

import keras
import numpy as np
import pytest

from keras_retinanet.callbacks import RedirectModel

HOOKS = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]


class Recorder(keras.callbacks.Callback):
    """Remembers which hooks ran, with what, and on which model."""

    def __init__(self):
        super().__init__()
        self.calls = []


def _record(name):
    def hook(self, *args, **named):
        self.calls.append((name, self.model))

    return hook


for _name in HOOKS:
    setattr(Recorder, _name, _record(_name))


def small_model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_fit_evaluate_and_predict_reach_every_hook():
    recorder, other, model = Recorder(), small_model(), small_model()
    callback = RedirectModel(recorder, other)
    x, y = np.zeros((4, 2)), np.zeros((4, 1))
    model.fit(x, y, epochs=2, batch_size=2, verbose=0, callbacks=[callback])
    model.evaluate(x, y, batch_size=2, verbose=0, callbacks=[callback])
    model.predict(x, batch_size=2, verbose=0, callbacks=[callback])
    assert callback.model is model
    assert all(seen is other for _, seen in recorder.calls)
    counts = {name: sum(call == name for call, _ in recorder.calls) for name in HOOKS}
    assert counts == {
        "on_batch_begin": 0, "on_batch_end": 0,  # Keras's own hooks call these from the next ones
        "on_epoch_begin": 2, "on_epoch_end": 2,
        "on_train_begin": 1, "on_train_end": 1,
        "on_train_batch_begin": 4, "on_train_batch_end": 4,
        "on_test_begin": 1, "on_test_end": 1,
        "on_test_batch_begin": 2, "on_test_batch_end": 2,
        "on_predict_begin": 1, "on_predict_end": 1,
        "on_predict_batch_begin": 2, "on_predict_batch_end": 2,
    }  # fmt: skip
    assert recorder.params == callback.params


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_called_by_hand(hook):
    recorder, other = Recorder(), small_model()
    callback = RedirectModel(recorder, other)
    callback.set_model(small_model())
    counted = "batch" in hook or "epoch" in hook
    getattr(callback, hook)(*([0] if counted else []))
    assert recorder.calls == [(hook, other)]


def test_on_train_begin_gives_the_model_as_it_always_did():
    recorder, other = Recorder(), small_model()
    RedirectModel(recorder, other).on_train_begin()
    assert recorder.calls == [("on_train_begin", other)]
