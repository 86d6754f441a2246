import contextlib
import signal
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_retinanet.callbacks import states
from keras_retinanet.callbacks.states import ContinueEpoch, OutOfTimeError, SaveState
from keras_retinanet.system.interrupts import interrupts


def train(callbacks, epochs=2, steps=4, initial_epoch=0):
    """Train a small model for some steps; return it."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.ones((steps, 1))
    model.fit(
        *(x, x),
        batch_size=1,
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=callbacks,
        verbose=0,
    )
    return model


def saved(epochs=2, steps=4, first=(0, 0), **settings):
    """Return the states that a training saves."""
    states = []
    with interrupts() as signals:
        saving = SaveState(
            lambda *state: states.append(state),
            signals,
            epochs=epochs,
            steps=steps,
            first_epoch=first[0],
            first_step=first[1],
            **settings,
        )
        before = [ContinueEpoch(steps - first[1], lambda: None)] if first[1] else []
        train([*before, saving], epochs, steps, first[0])
    return states


def test_states_are_saved_after_each_epoch():
    assert saved() == [(1, 0, False), (2, 0, True)]


def test_states_are_saved_inside_epochs_too():
    inside = [(0, 2, False), (1, 0, False), (1, 2, False), (2, 0, True)]
    assert saved(every=2) == inside
    assert saved(every=9) == saved()
    # The count goes on where an earlier run stopped.
    assert saved(every=2, first=(0, 1)) == inside
    assert saved(every=2, first=(1, 3)) == inside[3:]
    assert saved(every=2, first=(0, 2)) == inside[1:]


def test_an_evaluation_is_not_begun_with_an_epoch_that_is_not_saved():
    assert saved(evaluates=True) == [(0, 3, False), (1, 0, False), (1, 3, False), (2, 0, True)]
    assert saved(evaluates=True, steps=1) == saved(steps=1)


class Stop(keras.callbacks.Callback):
    """Ends the run with its first epoch."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)
        self.model.stop_training = True


def test_an_early_end_is_the_end():
    states = []
    with interrupts() as signals:
        saving = SaveState(lambda *state: states.append(state), signals, epochs=9, steps=4)
        train([Stop(), saving], epochs=9)
    assert states == [(1, 0, True)]


class Interrupt(keras.callbacks.Callback):
    """Sends SIGINT after a step, or when an epoch ends; once, since a second one is deadly."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def send(self):
        self.step = 0
        signal.raise_signal(signal.SIGINT)

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.step:
            self.send()

    def on_epoch_end(self, epoch, logs=None):
        if self.step is None:
            self.send()


@pytest.mark.parametrize(
    ("step", "evaluates", "expected"),
    [
        (2, False, [(0, 2, False)]),
        (4, False, [(1, 0, False)]),  # the epoch ends at once
        (None, False, [(1, 0, False)]),
        (2, True, [(0, 2, False)]),
        (3, True, [(0, 3, False)]),
        (4, True, [(0, 3, False)]),  # the evaluation is not begun
        (None, True, [(0, 3, False)]),  # nor awaited
    ],
)
def test_a_signal_ends_training_after_a_state_is_saved(step, evaluates, expected):
    states = []
    with pytest.raises(KeyboardInterrupt), interrupts() as signals:
        saving = SaveState(
            lambda *state: states.append(state), signals, epochs=2, steps=4, evaluates=evaluates
        )
        train([Interrupt(step), saving])
    assert states == expected


@pytest.mark.parametrize(
    ("other", "error"), [((2, 0), KeyboardInterrupt), ((0, 1), OutOfTimeError)]
)
def test_what_another_worker_has_to_end_for_ends_this_one(monkeypatch, other, error):
    asked = []

    def maximum(values):
        asked.append(values)
        return other if len(asked) == 2 else values

    monkeypatch.setattr(states, "maximum_over_workers", maximum)
    saved = []
    with pytest.raises(error), interrupts() as signals:
        saving = SaveState(lambda *state: saved.append(state), signals, epochs=2, steps=4)
        train([saving])
    assert saved == [(0, 2, False)]
    assert asked == [(0, False), (0, False)]


class Clock(keras.callbacks.Callback):
    """A clock by which a step takes a second, and the end of an epoch three."""

    def __init__(self, monkeypatch):
        super().__init__()
        self.now = 0.0
        monkeypatch.setattr(states, "time", SimpleNamespace(monotonic=lambda: self.now))

    def on_train_batch_end(self, batch, logs=None):
        self.now += 1

    def on_epoch_end(self, epoch, logs=None):
        self.now += 3


# Without an evaluation steps end at 1, 2, 3, 4, 8, 9, 10, 11, and epochs at 7 and 14.
@pytest.mark.parametrize(
    ("deadline", "first", "evaluates", "expected"),
    [
        (0, (0, 0), False, [(0, 1, False)]),
        (2, (0, 0), False, [(0, 2, False)]),
        (1.5, (0, 0), False, [(0, 2, False)]),
        (4, (0, 0), False, [(1, 0, False)]),  # the epoch ends at once
        (7, (0, 0), False, [(1, 0, False)]),
        (8, (0, 0), False, [(1, 0, False), (1, 1, False)]),
        (2, (0, 0), True, [(0, 2, False)]),
        (4, (0, 0), True, [(0, 3, False)]),  # the evaluation is not begun
        (5, (0, 0), True, [(0, 3, False), (1, 0, False)]),  # how long it takes is not known yet
        (0, (0, 3), True, [(1, 0, False)]),  # a run of the last step alone would end nowhere
        (14, (0, 0), True, [(0, 3, False), (1, 0, False), (1, 3, False)]),  # now it is
        (15, (0, 0), True, None),
    ],
)
def test_a_run_stops_in_time_and_saved(monkeypatch, deadline, first, evaluates, expected):
    found = []
    stops = contextlib.nullcontext() if expected is None else pytest.raises(OutOfTimeError)
    with stops, interrupts() as signals:
        saving = SaveState(
            lambda *state: found.append(state),
            signals,
            epochs=2,
            steps=4,
            first_epoch=first[0],
            first_step=first[1],
            evaluates=evaluates,
            deadline=deadline,
        )
        before = [ContinueEpoch(4 - first[1], lambda: None)] if first[1] else []
        train([*before, Clock(monkeypatch), saving], initial_epoch=first[0])
    assert found == (expected or [(0, 3, False), (1, 0, False), (1, 3, False), (2, 0, True)])


def test_a_run_that_is_done_in_time_is_done(monkeypatch):
    found = []
    with interrupts() as signals:
        saving = SaveState(
            lambda *state: found.append(state), signals, epochs=1, steps=4, deadline=4
        )
        train([Clock(monkeypatch), saving], epochs=1)
    assert found == [(1, 0, True)]


def test_an_epoch_goes_on_and_the_next_is_whole():
    class Count(keras.callbacks.Callback):
        steps: list

        def __init__(self):
            super().__init__()
            self.steps = []

        def on_epoch_begin(self, epoch, logs=None):
            self.steps.append(0)

        def on_train_batch_end(self, batch, logs=None):
            self.steps[-1] += 1

    count, begun = Count(), []
    train([ContinueEpoch(1, lambda: begun.append(True)), count], epochs=3)
    assert count.steps == [1, 4, 4]
    assert begun == [True]


def test_who_ends_the_run_with_the_epoch_that_goes_on_is_heard():
    stop = Stop()
    train([ContinueEpoch(1, lambda: None), stop], epochs=5)
    assert stop.epochs == [0]
