"""Ending a run whose loss has left all bounds, before anything is made of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import keras

from keras_retinanet.optimizers import current_rate
from keras_retinanet.system.messages import shorten

# A loss of this size never comes back; a usual one is below 10.
MAX_LOSS = 1e10
_MAX_TEXT = 4000  # characters of the paths in a message


class StopOnDivergence(keras.callbacks.Callback):
    """A callback that raises at the first step whose loss is NaN, infinite, or above `MAX_LOSS`.

    At the end of an epoch it looks at the weights, too: a finite loss may already have ruined them,
    which only the next one would show. So it comes before what evaluates and saves them.

    Args:
        first_step: steps of the first epoch that an earlier run has done.
        find_images: step of the run, counted from 0 -> the paths of the images in its batch; None
            if they are not known.
    """

    def __init__(
        self, first_step: int = 0, find_images: Callable[[int], Sequence[str]] | None = None
    ) -> None:
        super().__init__()
        self._find_images = find_images
        self._epoch = 0
        self._done = first_step  # steps of the epoch
        self._sum = 0.0  # of their losses
        self._rate = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Take the sum of the losses over the steps that an earlier run has done."""
        self._epoch = epoch
        self._sum = 0.0
        if self._done:
            self._sum = self._done * float(self.model.get_metrics_result()["loss"])

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Remember the learning rate of the step."""
        self._rate = current_rate(self.model.optimizer)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Check the loss of the step.

        Raises:
            ValueError: naming step, rate and images, if the loss is out of bounds.
        """
        self._done += 1
        # Keras logs the mean over the steps of the epoch, whose batches are of one size.
        total = self._done * float((logs or {}).get("loss", 0.0))
        loss, self._sum = total - self._sum, total
        if not abs(loss) <= MAX_LOSS:  # NaN fails every comparison
            raise self._error(f"the loss became {loss:.3g}")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Check the weights.

        Raises:
            ValueError: see `check_weights`.
        """
        self.check_weights()
        self._done = 0

    def check_weights(self) -> None:
        """Check that the weights of the model and the state of its optimizer are finite.

        Raises:
            ValueError: naming the first that is not, and the step, rate and images of the last
                step.
        """
        for variable in (*self.model.weights, *self.model.optimizer.variables):
            if not bool(keras.ops.all(keras.ops.isfinite(variable))):
                raise self._error(f"{variable.path} is no longer finite")

    def _error(self, problem: str) -> ValueError:
        step = self._epoch * (self.params.get("steps") or 0) + self._done - 1
        paths = self._find_images(step) if self._find_images else ()
        images = f". The images of this step: {shorten(', '.join(paths), _MAX_TEXT)}"
        return ValueError(
            f"{problem} at step {self._done} of epoch {self._epoch + 1}, with a learning rate of "
            f"{self._rate:.3g}: the run stops, and its last snapshot and state are from before. "
            f"Lower the learning rate (--lr), or look for wrong boxes in the data"
            f"{images if paths else ''}"
        )
