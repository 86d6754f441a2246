"""The two kinds of model: for training, and for detection."""

import keras

from keras_retinanet.models.details import Details


class _DetailedModel(keras.Model):
    """A functional model whose configuration holds its `Details`, so that a file of it does too.

    There is no `__init__` on purpose: Keras restores a subclass as a functional model only if it
    is made with the arguments of a functional model.
    """

    _details: Details | None = None

    @property
    def details(self) -> Details | None:
        """What the model knows about itself; None if nobody said (see `set_details`)."""
        return self._details

    def get_config(self):
        """Return the configuration of the layers and the details."""
        details = self._details.to_dict() if self._details else None
        return {**super().get_config(), "details": details}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Return a model with new weights, made from what `get_config` returned."""
        layers = {name: value for name, value in config.items() if name != "details"}
        model = super().from_config(layers, custom_objects=custom_objects)
        if config.get("details"):
            set_details(model, Details.from_dict(config["details"]))
        return model


@keras.saving.register_keras_serializable(package="keras_retinanet")
class RetinaNet(_DetailedModel):
    """A training model: images in, `regression` and `classification` of every anchor out."""


@keras.saving.register_keras_serializable(package="keras_retinanet")
class RetinaNetBBox(_DetailedModel):
    """An inference model: images in; boxes, scores and labels of the detections out."""


def set_details(model, details: Details) -> None:
    """Make a model know its details; they go into every file of it.

    Raises:
        ValueError: if the model is not one of this package.
    """
    if not isinstance(model, _DetailedModel):
        raise ValueError(
            f"expected a RetinaNet or RetinaNetBBox to set the details of, got {type(model)}"
        )
    model._details = details


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
