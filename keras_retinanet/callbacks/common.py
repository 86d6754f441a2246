"""The base of the evaluating callbacks, and a callback that runs another one on another model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_retinanet.detection.detector import Detector, filter_for
from keras_retinanet.evaluation.measure import DEFAULT_LIMIT, as_detector
from keras_retinanet.preprocessing.generator import Generator

_PHASES = ("train", "test", "predict")
_HOOKS = (
    *("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end"),
    *("on_train_end", "on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end"),
    *(f"on_{phase}_batch_{moment}" for phase in _PHASES for moment in ("begin", "end")),
)


class RedirectModel(keras.callbacks.Callback):
    """A callback that runs another callback as if a given model were the one in training.

    Use it where the model to save or evaluate shares its weights with the model in training.

    Args:
        callback: the callback to run; all its hooks are called.
        model: the model that it sees.
    """

    # Keras must not run the hooks of a batch while the next training step is under way: the
    # callback may read the weights.
    async_safe = False

    def __init__(self, callback: keras.callbacks.Callback, model: keras.Model) -> None:
        super().__init__()
        self.callback = callback
        self.redirect_model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Pass the parameters of the run to the callback."""
        super().set_params(params)
        self.callback.set_params(params)

    def set_model(self, model: keras.Model) -> None:
        """Remember the model in training; the callback gets the other one."""
        super().set_model(model)
        self.callback.set_model(self.redirect_model)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Call the callback's on_train_begin, after making sure that it has its model."""
        if self.callback.model is not self.redirect_model:
            self.callback.set_model(self.redirect_model)
        self.callback.on_train_begin(logs)


def _forwarding(name: str) -> Callable[..., None]:
    """Return a method that calls the same hook of the redirected callback."""

    def hook(self: RedirectModel, *args: Any, **kwargs: Any) -> None:
        getattr(self.callback, name)(*args, **kwargs)

    hook.__name__ = name
    hook.__doc__ = f"Call the callback's {name}."
    return hook


# Keras looks at the class to see which hooks of a batch are overridden, so each is a real method.
for _name in _HOOKS:
    setattr(RedirectModel, _name, _forwarding(_name))


class Evaluation(keras.callbacks.Callback):
    """Base of the callbacks that evaluate the model on a data set.

    A training model is converted once; the inference model shares its weights, so later epochs use
    the same graph.

    Args:
        generator: the data set.
        tensorboard: the `TensorBoard` callback in whose folder the numbers are written; None for
            none.
        score_threshold: the detector keeps at least the detections with scores above this.
        max_detections: the detector keeps at least this many detections per image.
    """

    def __init__(
        self,
        generator: Generator,
        tensorboard: keras.callbacks.TensorBoard | None = None,
        score_threshold: float = 0.05,
        max_detections: int = DEFAULT_LIMIT,
    ) -> None:
        super().__init__()
        self.generator = generator
        self._filter = filter_for(score_threshold, max_detections)
        self.tensorboard = tensorboard
        self._writer: tf.summary.SummaryWriter | None = None
        self._detector: Detector | None = None
        self._detector_model: keras.Model | None = None  # what `_detector` was made from

    def detector(self) -> Detector:
        """Return the `Detector` of the current model."""
        if self._detector is None or self._detector_model is not self.model:
            self._detector = as_detector(self.model, self.generator, **self._filter)
            self._detector_model = self.model
        return self._detector

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        """Write numbers to TensorBoard, if it is in use."""
        if not self.tensorboard:
            return
        if self._writer is None:
            folder = os.path.join(self.tensorboard.log_dir, "evaluation")
            self._writer = tf.summary.create_file_writer(folder)
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=epoch)
        self._writer.flush()
