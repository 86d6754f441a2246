"""Saving the state of a run after each epoch and inside it, and going on inside an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import keras

from keras_retinanet.system.interrupts import Interrupts
from keras_retinanet.system.workers import maximum_over_workers

# Saves the state: number of epochs done, steps done of the next one, whether the run is done.
Save = Callable[[int, int, bool], None]


class OutOfTimeError(Exception):
    """The time that a run may take is over; its state is saved."""


class ContinueEpoch(keras.callbacks.Callback):
    """A callback that lets the first epoch have the steps that an earlier run left of it.

    It comes before all others: what ends the epoch early, `stop_training`, is theirs again when
    they see its end.

    Args:
        steps: number of steps that are left.
        on_begin: called when the epoch has begun and Keras has reset its metrics.
    """

    def __init__(self, steps: int, on_begin: Callable[[], None]) -> None:
        super().__init__()
        self._steps = steps
        self._on_begin = on_begin
        self._is_first = True

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Continue the means of the losses."""
        if self._is_first:
            self._on_begin()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """End the epoch after the steps that are left."""
        if self._is_first and batch + 1 >= self._steps:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Let the other epochs be as usual."""
        if self._is_first:
            self._is_first = False
            self.model.stop_training = False


class SaveState(keras.callbacks.Callback):
    """A callback that saves the state of a run, and lets signals end it between two steps.

    It comes after all others. The state is saved after each epoch, after every so many steps, and
    when a signal has come or the time is over. If there is an evaluation at the end of the epoch,
    which may take long, the state is also saved before the last step, and a signal does not wait
    for the evaluation. None is begun that would end too late, if it takes as long as the one
    before.

    Args:
        save: saves the state.
        interrupts: the signals.
        epochs: number of epochs to reach.
        steps: steps per epoch.
        first_epoch: number of epochs done by an earlier run.
        first_step: steps of the next epoch that it has done too.
        every: steps from one state to the next; None for no more than the others.
        evaluates: whether there is an evaluation at the end of the epoch.
        deadline: when the run has to stop, in seconds of `time.monotonic`.
    """

    def __init__(
        self,
        save: Save,
        interrupts: Interrupts,
        *,
        epochs: int,
        steps: int,
        first_epoch: int = 0,
        first_step: int = 0,
        every: int | None = None,
        evaluates: bool = False,
        deadline: float = math.inf,
    ) -> None:
        super().__init__()
        self._save = save
        self._interrupts = interrupts
        self._epochs = epochs
        self._steps = steps
        self._every = every
        self._evaluates = evaluates
        self._deadline = deadline
        self._epoch = first_epoch
        self._done = first_step
        self._done_here = 0  # steps of this process
        self._last_step = 0.0  # when the last step of the epoch was done
        self._end_seconds = 0.0  # from there to the end of the epoch before

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Let signals wait."""
        self._epoch = epoch
        self._interrupts.wait = True

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the state if it is time to.

        Raises:
            KeyboardInterrupt: if a signal asked to end the program.
            OutOfTimeError: if the time is over.
        """
        self._done += 1
        self._done_here += 1
        left = self._steps - self._done
        now = self._last_step = time.monotonic()
        is_over = self._agree(now + (0 if left else self._end_seconds) >= self._deadline)
        if left:
            is_time = self._every is not None and self._done % self._every == 0
            is_last_chance = left == 1 and self._evaluates
            if is_time or is_last_chance or is_over or self._interrupts.received:
                self._save(self._epoch, self._done, False)
        self._interrupts.wait = left > 0 or not self._evaluates
        if left or self._evaluates:
            self._interrupts.deliver()
            # The step before the evaluation is done again. A run that did nothing else would never
            # come to its end, however often it goes on.
            if is_over and (left or self._done_here > 1):
                raise OutOfTimeError

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the state of an epoch.

        Raises:
            KeyboardInterrupt: if a signal asked to end the program.
            OutOfTimeError: if the time is over, and the run is not done.
        """
        self._done = 0
        self._interrupts.wait = True
        is_done = self.model.stop_training or epoch + 1 == self._epochs
        self._save(epoch + 1, 0, is_done)
        now = time.monotonic()
        self._end_seconds = now - self._last_step
        is_over = self._agree(now >= self._deadline)
        self._interrupts.deliver()
        if is_over and not is_done:
            raise OutOfTimeError

    def _agree(self, is_over: bool) -> bool:
        """Let all workers stop if one has to; return whether the time of one is over."""
        number, over = maximum_over_workers((self._interrupts.number, is_over))
        self._interrupts.receive(int(number))
        return bool(over)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Let signals end the program at once."""
        self._interrupts.wait = False
