"""The base of the evaluating callbacks, and a callback that runs another one on another model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_retinanet.callbacks.history import WriteHistory
from keras_retinanet.callbacks.pictures import choose_images, draw_images
from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import Detector, filter_for
from keras_retinanet.evaluation import measure
from keras_retinanet.evaluation.measure import DEFAULT_LIMIT, as_detector
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.reports.progress import progress_bar
from keras_retinanet.system.workers import this_worker

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
        tensorboard: the `TensorBoard` callback in whose folder the numbers are written, with
            pictures of some images; None for none.
        score_threshold: the detector keeps at least the detections with scores above this.
        max_detections: the detector keeps at least this many detections per image.
        class_history: writes the average precision of each class, as `AP_` and its name; None for
            nobody.
    """

    def __init__(
        self,
        generator: Generator,
        tensorboard: keras.callbacks.TensorBoard | None = None,
        score_threshold: float = 0.05,
        max_detections: int = DEFAULT_LIMIT,
        class_history: WriteHistory | None = None,
    ) -> None:
        super().__init__()
        self.generator = generator
        self._filter = filter_for(score_threshold, max_detections)
        self.tensorboard = tensorboard
        self.class_history = class_history
        self._writer: tf.summary.SummaryWriter | None = None
        self._shown: list[int] = []  # the images of which there are pictures
        self._detector: Detector | None = None
        self._detector_model: keras.Model | None = None  # what `_detector` was made from

    def detector(self) -> Detector:
        """Return the `Detector` of the current model."""
        if self._detector is None or self._detector_model is not self.model:
            self._detector = as_detector(self.model, self.generator, **self._filter)
            self._detector_model = self.model
        return self._detector

    def detect(
        self, title: str, score_threshold: float, max_detections: int | None, *, shown: bool
    ) -> list[Detections]:
        """Return the detections of each image of the data set.

        Args:
            title: text before the progress bar.
            score_threshold: scores must be above this.
            max_detections: maximum number of detections per image; None for all.
            shown: whether there is a progress bar.
        """
        size = self.generator.size()
        with progress_bar(title, size, transient=True, shown=shown) as progress:
            detections, _ = measure.detect_dataset(
                self.generator,
                self.detector(),
                score_threshold,
                max_detections,
                getattr(self.generator, "batch_size", 1),  # one for keras-retinanet 1.0.0 has none
                progress,
            )
        return detections

    def log(
        self,
        values: Mapping[str, float],
        epoch: int,
        precisions: Mapping[int, float],
        detections: Sequence[Detections],
    ) -> None:
        """Write what is known of an epoch to TensorBoard and to the file of all classes.

        Of several workers, all of which evaluate, the chief writes.

        Args:
            values: name -> number.
            epoch: counted from 0.
            precisions: label -> average precision, of the classes that have ground truth boxes.
            detections: those of each image.
        """
        if not this_worker().is_chief:
            return
        names = {label: self.generator.label_to_name(label) for label in precisions}
        classes = {f"AP_{names[label]}": ap for label, ap in precisions.items()}
        if self.class_history:
            self.class_history.on_epoch_end(epoch, classes)
        if not self.tensorboard:
            return
        if self._writer is None:
            folder = os.path.join(self.tensorboard.log_dir, "evaluation")
            self._writer = tf.summary.create_file_writer(folder)
            self._shown = choose_images(self.generator)
        with self._writer.as_default(step=epoch):
            for name, value in {**values, **classes}.items():
                tf.summary.scalar(name, value)
            for index, picture in draw_images(self.generator, self._shown, detections):
                tf.summary.image(f"image {index}", picture[None, :, :, ::-1])
        self._writer.flush()
