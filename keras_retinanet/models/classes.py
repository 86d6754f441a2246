"""The two kinds of model: for training, and for detection."""

import inspect
import warnings

import keras

from keras_retinanet.models.info import ModelInfo


class _SelfDescribingModel(keras.Model):
    """A functional model whose configuration holds its `ModelInfo`, so that a file of it does too.

    There is no `__init__` on purpose: Keras restores a subclass as a functional model only if it
    is made with the arguments of a functional model.
    """

    _info: ModelInfo | None = None

    @property
    def info(self) -> ModelInfo | None:
        """What the model knows about itself; None if nobody said (see `set_info`)."""
        return self._info

    def load_weights(self, filepath, skip_mismatch=False, by_name=False, **kwargs):
        """Read weights as Keras does; with `by_name` as `models.load_weights` does.

        Keras 3 itself pairs the layers inside the heads by their position, and is silent about what
        did not fit.

        Args:
            filepath: the file.
            skip_mismatch: whether tensors of another shape stay as they are, with a warning.
            by_name: whether to match layers by name, as for the weights of a backbone alone or a
                snapshot of keras-retinanet 1.0.0.
            **kwargs: for `keras.Model.load_weights`.

        Raises:
            OSError: if there is no such file.
            ValueError: if nothing fits, or a tensor that is not to be skipped does not.
        """
        if not by_name:
            super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
            return
        from keras_retinanet.models.weights import load_weights

        report = load_weights(self, filepath, skip_mismatch=skip_mismatch)
        if report.mismatched:
            warnings.warn(f"{filepath}: {report.summary()}", stacklevel=2)

    def get_config(self):
        """Return the configuration of the layers and the details."""
        details = self._info.to_dict() if self._info else None
        return {**super().get_config(), "details": details}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Return a model with new weights, made from what `get_config` returned."""
        layers = {name: value for name, value in config.items() if name != "details"}
        model = super().from_config(layers, custom_objects=custom_objects)
        if config.get("details"):
            set_info(model, ModelInfo.from_dict(config["details"]))
        return model


@keras.saving.register_keras_serializable(package="keras_retinanet")
class RetinaNet(_SelfDescribingModel):
    """A training model: images in, `regression` and `classification` of every anchor out."""

    def fit(self, x=None, *args, workers=None, use_multiprocessing=None, max_queue_size=None, **kw):
        """Train as `keras.Model.fit` does, also on a `Generator` whose batches vary in shape.

        Args:
            x: a `Generator`, or what Keras takes.
            *args: for `keras.Model.fit`.
            workers: threads that make the batches of a `Generator`, as Keras 2 had it; None means
                what the generator says. The next two likewise; other data they do not concern.
            use_multiprocessing: no effect on a `Generator`, which is warned of.
            max_queue_size: most batches made ahead.
            **kw: for `keras.Model.fit`.
        """
        if isinstance(x, keras.utils.PyDataset):
            x.workers = x.workers if workers is None else workers
            x.max_queue_size = x.max_queue_size if max_queue_size is None else max_queue_size
            if use_multiprocessing is not None:
                x.use_multiprocessing = use_multiprocessing
        return _with_generator("fit", super().fit, x, args, kw)

    def evaluate(self, x=None, *args, **kwargs):
        """Compute the loss as `keras.Model.evaluate` does, also on a `Generator`."""
        return _with_generator("evaluate", super().evaluate, x, args, kwargs)

    def fit_generator(
        self,
        generator,
        steps_per_epoch=None,
        epochs=1,
        verbose=1,
        callbacks=None,
        validation_data=None,
        **kwargs,
    ):
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


def _with_generator(name, method, x, args, kwargs):
    """Call a method of Keras's, by way of the pipeline for a `Generator`."""
    from keras_retinanet.preprocessing.generator import Generator

    if not isinstance(x, Generator):
        return method(x, *args, **kwargs)
    from keras_retinanet.preprocessing import pipeline

    arguments = inspect.signature(method).bind(x, *args, **kwargs).arguments
    return getattr(pipeline, name)(method, x, dict(arguments))


@keras.saving.register_keras_serializable(package="keras_retinanet")
class RetinaNetBBox(_SelfDescribingModel):
    """An inference model: images in; boxes, scores and labels of the detections out."""


def set_info(model, details: ModelInfo) -> None:
    """Make a model know its details; they go into every file of it.

    Raises:
        ValueError: if the model is not one of this package.
    """
    if not isinstance(model, _SelfDescribingModel):
        raise ValueError(
            f"expected a RetinaNet or RetinaNetBBox to set the details of, got {type(model)}"
        )
    model._info = details


class NotATrainingModelError(ValueError, AssertionError):
    """The model has no outputs `regression` and `classification`.

    It is an AssertionError too, because keras-retinanet 1.0.0 raised that.
    """


def is_training_model(model) -> bool:
    """Return whether a model has the outputs `regression` and `classification`."""
    return {"regression", "classification"} <= set(_output_names(model))


def assert_training_model(model) -> None:
    """Raise NotATrainingModelError, a ValueError, if a model is no training model."""
    if not is_training_model(model):
        raise NotATrainingModelError(
            "expected a training model with the outputs 'regression' and 'classification', got "
            f"{_kind(model)} with the outputs {_output_names(model)}"
        )


def check_training_model(model) -> None:
    """Do as `assert_training_model`; keras-retinanet 1.0.0 ended the program here."""
    assert_training_model(model)


def _output_names(model) -> list[str]:
    return list(getattr(model, "output_names", None) or [])


def _kind(model) -> str:
    return "an inference model" if isinstance(model, RetinaNetBBox) else "a model"


# An .h5 file of Keras 3 names a model by its bare class; `keras.models.load_model` finds it so.
keras.saving.get_custom_objects().update(RetinaNet=RetinaNet, RetinaNetBBox=RetinaNetBBox)
