"""How fast a run trains, and how long it waits for data."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet.optimizers import current_rate


class LogSpeed(keras.callbacks.Callback):
    """A callback that adds the learning rate, the speed and the wait for data to an epoch's logs.

    - `learning_rate`: that of the next step.
    - `images_per_second`: images trained per second of the steps, of all replicas together.
    - `data_wait`: the share of that time, 0 to 1, in which the model waited for the next batch.

    What runs between the steps, such as saving, and after them, such as evaluation, does not count;
    neither does the first step of a run, in which TensorFlow traces the network, unless its epoch
    has no other.

    Keras's training function fetches a batch and trains on it in one call. While `fit` runs, this
    callback splits the call in two, so that the first can be timed. It comes before the callbacks
    that do much after a step.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_first = True
        self._step_began = 0.0
        # Of each step of the epoch: images, seconds waited, seconds in all.
        self._steps: list[tuple[float, float, float]] = []
        self._images = self._waited = 0.0  # of the current step

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Split the training function.

        Raises:
            ValueError: if the model makes several steps in one call.
        """
        if self.model.steps_per_execution != 1:
            raise ValueError(
                f"steps_per_execution: expected 1, got {self.model.steps_per_execution}"
            )
        self.model.make_train_function(force=True)  # an error may have left an earlier one split
        self.model.train_function = self._split(self.model.train_function)

    def _split(self, train: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a training function that does the same, and measures."""
        strategy = self.model.distribute_strategy
        compiled: list[Callable[[Any], Any]] = []

        @tf.function
        def fetch(iterator: Any) -> Any:
            return iterator.get_next()

        def measured(iterator: Any) -> Any:
            if not compiled:
                # Given a list, Keras trains on its first batch. One trace for batches of all
                # shapes, as there is for an iterator.
                step = lambda batch: train([batch])  # noqa: E731
                signature = [iterator.element_spec]
                is_eager = self.model.run_eagerly
                compiled.append(step if is_eager else tf.function(step, signature))
            batch = fetch(iterator)
            self._waited = time.perf_counter() - self._step_began
            images = strategy.experimental_local_results(batch[0])
            per_replica = sum(int(part.shape[0]) for part in images) / len(images)
            self._images = per_replica * strategy.num_replicas_in_sync
            return compiled[0](batch)

        return measured

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._step_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Stop the clock; the losses have been read, so the step has ended on a GPU too."""
        seconds = time.perf_counter() - self._step_began
        self._steps.append((self._images, self._waited, seconds))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the numbers of the epoch to the logs."""
        steps = self._steps[1:] if self._is_first and len(self._steps) > 1 else self._steps
        self._is_first, self._steps = False, []
        images, waited, seconds = np.sum(steps, axis=0).tolist()
        if logs is not None:
            logs["learning_rate"] = current_rate(self.model.optimizer)
            logs["images_per_second"] = images / seconds
            logs["data_wait"] = waited / seconds

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Give the model a training function of Keras again."""
        self.model.make_train_function(force=True)
