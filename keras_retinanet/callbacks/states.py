"""Saving the state of a run after each epoch and inside it, and going on inside an epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras

from keras_retinanet.system.interrupts import Interrupts

# Saves the state: number of epochs done, steps done of the next one, whether the run is done.
Save = Callable[[int, int, bool], None]


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
    when a signal has come. If there is an evaluation at the end of the epoch, which may take long,
    the state is also saved before the last step, and a signal does not wait for the evaluation.

    Args:
        save: saves the state.
        interrupts: the signals.
        epochs: number of epochs to reach.
        steps: steps per epoch.
        first_epoch: number of epochs done by an earlier run.
        first_step: steps of the next epoch that it has done too.
        every: steps from one state to the next; None for no more than the others.
        evaluates: whether there is an evaluation at the end of the epoch.
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
    ) -> None:
        super().__init__()
        self._save = save
        self._interrupts = interrupts
        self._epochs = epochs
        self._steps = steps
        self._every = every
        self._evaluates = evaluates
        self._epoch = first_epoch
        self._done = first_step

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Let signals wait."""
        self._epoch = epoch
        self._interrupts.wait = True

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the state if it is time to.

        Raises:
            KeyboardInterrupt: if a signal asked to end the program.
        """
        self._done += 1
        left = self._steps - self._done
        if left:
            is_time = self._every is not None and self._done % self._every == 0
            if is_time or self._interrupts.received or (left == 1 and self._evaluates):
                self._save(self._epoch, self._done, False)
        self._interrupts.wait = left > 0 or not self._evaluates
        if left or self._evaluates:
            self._interrupts.deliver()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the state of an epoch.

        Raises:
            KeyboardInterrupt: if a signal asked to end the program.
        """
        self._done = 0
        self._interrupts.wait = True
        is_done = self.model.stop_training or epoch + 1 == self._epochs
        self._save(epoch + 1, 0, is_done)
        self._interrupts.deliver()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Let signals end the program at once."""
        self._interrupts.wait = False
