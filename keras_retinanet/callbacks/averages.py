"""Evaluating and saving the moving average of the weights, while the weights themselves train."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np


class SwapAverages(keras.callbacks.Callback):
    """A callback that exchanges the weights of a model and their moving averages.

    Two of them enclose the callbacks that evaluate and save at the end of an epoch: the first one
    gives the model the averages, and the second one the weights back. At the end of `fit` Keras
    leaves the averages in the model.

    Keras's own `SwapEMAWeights` adds and subtracts, which rounds the weights, and gives them back
    only when the next epoch begins, when the state of the run is already saved.

    Args:
        validates: whether `fit`'s own validation gets the averages, too; for the first one.
    """

    def __init__(self, *, validates: bool = False) -> None:
        super().__init__()
        self.validates = validates

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Exchange them."""
        swap_averages(self.model)

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Give the model the averages."""
        if self.validates:
            swap_averages(self.model)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Give the model its weights back."""
        if self.validates:
            swap_averages(self.model)


def swap_averages(model: keras.Model) -> None:
    """Exchange the trained weights of a model and their averages in its optimizer.

    The statistics of batch normalisation are not trained, so they have no averages.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for weight, average in zip(
        optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
    ):
        value = np.array(weight)
        weight.assign(average)
        average.assign(value)
