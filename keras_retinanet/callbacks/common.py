"""What the callbacks share: running another callback on another model, and evaluating a model."""

from __future__ import annotations

import os
from collections.abc import Mapping

import keras

_PHASES = ("train", "test", "predict")
_HOOKS = (
    *("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end"),
    *("on_train_end", "on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end"),
    *(f"on_{phase}_batch_{moment}" for phase in _PHASES for moment in ("begin", "end")),
)


class RedirectModel(keras.callbacks.Callback):
    """Runs a callback as if another model were trained, such as the one whose weights are shared.

    Args:
        callback: the callback; all its hooks run.
        model: the model it sees.
    """

    # Hooks of a batch must not run beside the training step: the callback may read the weights.
    async_safe = False

    def __init__(self, callback: keras.callbacks.Callback, model: keras.Model) -> None:
        super().__init__()
        self.callback = callback
        self.redirect_model = model

    def set_params(self, params: dict) -> None:
        """Hand the parameters of the run on."""
        super().set_params(params)
        self.callback.set_params(params)

    def set_model(self, model: keras.Model) -> None:
        """Remember the trained model; the callback gets the other one."""
        super().set_model(model)
        self.callback.set_model(self.redirect_model)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Call the callback's on_train_begin, after making sure that it has its model."""
        if self.callback.model is not self.redirect_model:
            self.callback.set_model(self.redirect_model)
        self.callback.on_train_begin(logs)


def _forwarded(name: str):
    def hook(self: RedirectModel, *args, **named) -> None:
        getattr(self.callback, name)(*args, **named)

    hook.__name__ = name
    hook.__doc__ = f"Call the callback's {name}."
    return hook


for _name in _HOOKS:
    setattr(RedirectModel, _name, _forwarded(_name))


class Evaluation(keras.callbacks.Callback):
    """Base of the callbacks that evaluate the model on a data set.

    A training model is converted once; the inference model shares its weights, so every later epoch
    uses the same graph.

    Args:
        generator: the data set.
        tensorboard: the `TensorBoard` callback in whose folder numbers are written, or None.
    """

    def __init__(self, generator: object, tensorboard: object | None = None) -> None:
        super().__init__()
        self.generator = generator
        self.tensorboard = tensorboard
        self._writer = None
        self._detector_of = (None, None)

    def detector(self):
        """Return the `Detector` of the current model."""
        from keras_retinanet.evaluation.measure import as_detector

        model, detector = self._detector_of
        if detector is None or model is not self.model:
            detector = as_detector(self.model, self.generator)
            self._detector_of = (self.model, detector)
        return detector

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        """Write numbers to TensorBoard, if it is in use."""
        if not self.tensorboard:
            return
        import tensorflow as tf

        if self._writer is None:
            folder = os.path.join(self.tensorboard.log_dir, "evaluation")
            self._writer = tf.summary.create_file_writer(folder)
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=epoch)
        self._writer.flush()
