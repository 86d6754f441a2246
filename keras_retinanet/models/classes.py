"""The two model classes: for training and for detection."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import keras
import tensorflow as tf

from keras_retinanet.layers import FilterDetections, FilterSettings
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.models.hdf5 import naming_model_file, open_hdf5
from keras_retinanet.system.processes import refuse_after_fork
from keras_retinanet.system.types import StrPath

# The key of the info in a model's configuration, and so in every file of it.
_INFO_KEY = "details"


def _refused_after_fork(name: str) -> Callable[..., Any]:
    """Return the method of `keras.Model` of a name, for a process where TensorFlow works."""

    @wraps(getattr(keras.Model, name))
    def method(self: "_SelfDescribingModel", *args: Any, **kwargs: Any) -> Any:
        refuse_after_fork()
        # Not `keras.Model`: Keras puts its functional class between the two.
        return getattr(super(_SelfDescribingModel, self), name)(*args, **kwargs)

    return method


class _SelfDescribingModel(keras.Model):
    """A functional model whose configuration, and so every file of it, holds its `ModelInfo`.

    It has no `__init__` on purpose: Keras restores a subclass as a functional model only if it is
    created with the arguments of a functional model.
    """

    _info: ModelInfo | None = None

    @property
    def info(self) -> ModelInfo | None:
        """What using the model takes besides its weights; None until `set_info` is called."""
        return self._info

    # Each way to run the network.
    __call__ = _refused_after_fork("__call__")
    predict = _refused_after_fork("predict")
    predict_on_batch = _refused_after_fork("predict_on_batch")
    fit = _refused_after_fork("fit")
    evaluate = _refused_after_fork("evaluate")
    train_on_batch = _refused_after_fork("train_on_batch")
    test_on_batch = _refused_after_fork("test_on_batch")

    def load_weights(
        self, filepath: StrPath, skip_mismatch: bool = False, by_name: bool = False, **kwargs: Any
    ) -> None:
        """Read weights as Keras does, or with `by_name` as `models.load_weights` does.

        Keras 3's own `by_name` pairs the layers inside the heads by position, and is silent about
        what did not match.

        Args:
            filepath: the file.
            skip_mismatch: whether tensors of another shape keep their values, with a warning.
            by_name: whether to match layers by name, as for the weights of a backbone alone or a
                snapshot of keras-retinanet 1.0.0.
            **kwargs: for `keras.Model.load_weights`.

        Raises:
            OSError: if there is no such file.
            ValueError: if nothing matches, or a shape differs and is not to be skipped.
        """
        if not by_name:
            self._load_weights_in_order(filepath, skip_mismatch, kwargs)
            return
        from keras_retinanet.models.weights import load_weights

        report = load_weights(self, filepath, skip_mismatch=skip_mismatch)
        if report.mismatched:
            warnings.warn(f"{filepath}: {report.summary()}", stacklevel=2)

    def _load_weights_in_order(
        self, filepath: StrPath, skip_mismatch: bool, arguments: dict[str, Any]
    ) -> None:
        """Read weights as Keras does, from a file after everything in it is checked."""
        with naming_model_file(filepath):
            if str(filepath).endswith((".keras", ".h5", ".hdf5")):
                with open_hdf5(filepath):
                    pass
            super().load_weights(filepath, skip_mismatch=skip_mismatch, **arguments)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration of the layers and the info."""
        return {**super().get_config(), _INFO_KEY: self._info.to_dict() if self._info else None}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> keras.Model:
        """Return a model with new weights from what `get_config` returned."""
        layers = {name: value for name, value in config.items() if name != _INFO_KEY}
        model = super().from_config(layers, custom_objects=custom_objects)
        if config.get(_INFO_KEY):
            set_info(model, ModelInfo.from_dict(config[_INFO_KEY]))
        return model


@keras.saving.register_keras_serializable(package="keras_retinanet")
class RetinaNet(_SelfDescribingModel):
    """A training model: images in; `regression` and `classification` of every anchor out."""

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Build what is not built, as Keras does for a model with a strategy.

        For this Keras begins the data set once more, and adds up the batches of all devices, whose
        shapes may differ. It fails with several workers.
        """
        if not (self._compile_loss and self._compile_loss.built and self.optimizer.built):
            super()._maybe_symbolic_build(iterator, data_batch)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on a batch; return the means of the losses."""
        return self._as_rows_of_workers(super().train_step(data))

    def test_step(self, data: Any) -> dict[str, Any]:
        """Compute the losses of a batch; return their means."""
        return self._as_rows_of_workers(super().test_step(data))

    def _as_rows_of_workers(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Return logs with a first axis, over which Keras takes the mean if there are workers."""
        if isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return {name: keras.ops.reshape(value, (1,)) for name, value in logs.items()}
        return logs

    def fit(
        self,
        x: Any = None,
        *args: Any,
        workers: int | None = None,
        use_multiprocessing: bool | None = None,
        max_queue_size: int | None = None,
        **kw: Any,
    ) -> keras.callbacks.History:
        """Train as `keras.Model.fit` does, also on a `Generator` whose batches vary in shape.

        Args:
            x: a `Generator`, or what Keras takes.
            *args: for `keras.Model.fit`.
            workers: number of threads that make the batches of a `Generator`, an argument of
                Keras 2. It and the next two only concern generators; None means the generator's
                own setting.
            use_multiprocessing: has no effect on a `Generator`, which warns.
            max_queue_size: maximum number of prefetched batches.
            **kw: for `keras.Model.fit`.
        """
        if isinstance(x, keras.utils.PyDataset):
            x.workers = x.workers if workers is None else workers
            x.max_queue_size = x.max_queue_size if max_queue_size is None else max_queue_size
            if use_multiprocessing is not None:
                x.use_multiprocessing = use_multiprocessing
        return _with_generator("fit", super().fit, x, args, kw)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Compute the loss as `keras.Model.evaluate` does, also on a `Generator`."""
        return _with_generator("evaluate", super().evaluate, x, args, kwargs)

    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int | str = 1,
        callbacks: Any = None,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Call `fit`: Keras 2 had this method for generators, with these arguments first."""
        return self.fit(
            generator,
            steps_per_epoch=steps_per_epoch,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            **kwargs,
        )


def _with_generator(
    name: str, method: Callable[..., Any], x: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a Keras method, through the pipeline if the data is a `Generator`."""
    from keras_retinanet.preprocessing.generator import Generator

    refuse_after_fork()  # before the pipeline is built
    if not isinstance(x, Generator):
        return method(x, *args, **kwargs)
    from keras_retinanet.preprocessing import pipeline

    arguments = inspect.signature(method).bind(x, *args, **kwargs).arguments
    return getattr(pipeline, name)(method, x, dict(arguments))


@keras.saving.register_keras_serializable(package="keras_retinanet")
class RetinaNetBBox(_SelfDescribingModel):
    """An inference model: images in; boxes, scores and labels of the detections out."""

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> keras.Model:
        """Return a model with new weights from what `get_config` returned."""
        model = super().from_config(config, custom_objects=custom_objects)
        if model.info and "filter_settings" not in config[_INFO_KEY]:
            # The file is older than this part of the info, but the layer has the settings too.
            set_info(model, replace(model.info, filter_settings=_filter_settings(model)))
        return model


def _filter_settings(model: keras.Model) -> FilterSettings:
    """Return the settings of a model's `FilterDetections` layer, or the defaults without one."""
    settings = (layer.settings for layer in model.layers if isinstance(layer, FilterDetections))
    return next(settings, FilterSettings())


def set_info(model: keras.Model, info: ModelInfo) -> None:
    """Set the info of a model, which goes into every file of it.

    Raises:
        ValueError: if the model is not one of this package.
    """
    if not isinstance(model, _SelfDescribingModel):
        raise ValueError(
            f"expected a RetinaNet or RetinaNetBBox to set the info of, got {type(model)}"
        )
    model._info = info


class NotATrainingModelError(ValueError, AssertionError):
    """The model has no outputs `regression` and `classification`.

    It is an AssertionError too, because keras-retinanet 1.0.0 raised that.
    """


def is_training_model(model: keras.Model) -> bool:
    """Return whether a model has the outputs `regression` and `classification`."""
    return {"regression", "classification"} <= set(_output_names(model))


def assert_training_model(model: keras.Model) -> None:
    """Raise NotATrainingModelError, a ValueError, if a model is not a training model."""
    if not is_training_model(model):
        what = "an inference model" if isinstance(model, RetinaNetBBox) else "a model"
        raise NotATrainingModelError(
            "expected a training model with the outputs 'regression' and 'classification', got "
            f"{what} with the outputs {_output_names(model)}"
        )


def check_training_model(model: keras.Model) -> None:
    """Do the same as `assert_training_model`; in keras-retinanet 1.0.0 it ended the program."""
    assert_training_model(model)


def _output_names(model: keras.Model) -> list[str]:
    return list(getattr(model, "output_names", None) or [])


# A Keras 3 .h5 file names a model by its bare class, so `keras.models.load_model` looks here.
keras.saving.get_custom_objects().update(RetinaNet=RetinaNet, RetinaNetBBox=RetinaNetBBox)
