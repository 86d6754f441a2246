"""Keras models as graphs: on one device, or on all devices of a process at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet.detection.runners import Runner
from keras_retinanet.models import convert_model, is_training_model
from keras_retinanet.system.processes import refuse_after_fork


class KerasRunner(Runner):
    """A Keras model that runs batches, as many at once as the strategy of the model has devices.

    Attributes:
        model: the inference model.
    """

    def __init__(self, model: keras.Model, **convert_options: Any) -> None:
        """Convert a training model by `convert_model`, with the options; trace the graphs."""
        strategy = getattr(model, "distribute_strategy", None)
        if is_training_model(model):
            model = convert_model(model, **convert_options)
        self.model = model
        self.info = getattr(model, "info", None)
        self.input_type = model.inputs[0].dtype
        self._run = compiled(model)
        if strategy is not None and strategy.num_replicas_in_sync > 1:
            self.devices = len(strategy.extended.worker_devices)
            self._run_all = compiled_for_devices(model, strategy)

    def run(self, batch: np.ndarray) -> Sequence[Any]:
        """Run a batch."""
        return self._run(batch)

    def run_all(self, batches: Sequence[np.ndarray]) -> list[Sequence[Any]]:
        """Run as many batches as there are devices at once."""
        return super().run_all(batches) if self.devices == 1 else self._run_all(batches)


def compiled(model: keras.Model) -> Callable[[np.ndarray], Sequence[Any]]:
    """Return a function that runs a batch, traced once for all sizes that the input allows."""
    run = tf.function(lambda batch: model(batch, training=False), input_signature=[_spec(model)])
    graph = run.get_concrete_function()

    def run_graph(batch: np.ndarray) -> Sequence[Any]:
        refuse_after_fork()
        return graph(tf.convert_to_tensor(batch))

    return run_graph


def compiled_for_devices(
    model: keras.Model, strategy: tf.distribute.Strategy
) -> Callable[[Sequence[np.ndarray]], list[Sequence[Any]]]:
    """Return a function of as many batches as this process has devices, which runs all at once.

    Args:
        model: the model, whose variables are those of the strategy.
        strategy: a strategy with several devices.
    """
    count = len(strategy.extended.worker_devices)

    @tf.function(input_signature=[[_spec(model)] * count])
    def run(batches: Sequence[tf.Tensor]) -> Sequence[Any]:
        on_devices = strategy.experimental_distribute_values_from_function(
            lambda context: batches[context.replica_id_in_sync_group % count]
        )
        return strategy.run(lambda batch: model(batch, training=False), args=(on_devices,))

    def run_graph(batches: Sequence[np.ndarray]) -> list[Sequence[Any]]:
        refuse_after_fork()
        outputs = run([tf.convert_to_tensor(batch) for batch in batches])
        return list(zip(*map(strategy.experimental_local_results, outputs), strict=True))

    return run_graph


def _spec(model: keras.Model) -> tf.TensorSpec:
    return tf.TensorSpec(model.inputs[0].shape, model.inputs[0].dtype)
