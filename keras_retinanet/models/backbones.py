"""Backbones by name: how to build RetinaNet on one, feed it, and get its ImageNet weights."""

import difflib
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

import keras
import numpy as np

from keras_retinanet import initializers, layers, losses
from keras_retinanet.backbone_table import BACKBONES, Entry
from keras_retinanet.geometry.coders import CentreCoder
from keras_retinanet.images import preprocess_image
from keras_retinanet.model_info import initial_info
from keras_retinanet.models import device_normalisation
from keras_retinanet.models.classes import RetinaNet, RetinaNetBBox, set_info
from keras_retinanet.models.download import fetch
from keras_retinanet.models.retinanet import retinanet


class Backbone:
    """A backbone of the table.

    Attributes:
        backbone: its name.
        names: the names that the class accepts; None means all of the table.
        custom_objects: name -> class or function, with which Keras loads models.
    """

    names: tuple[str, ...] | None = None

    def __init__(self, backbone: str) -> None:
        """Keep the name.

        Raises:
            ValueError: if there is no such backbone.
        """
        self.backbone = backbone
        self.custom_objects = custom_objects()
        self.validate()

    @property
    def entry(self) -> Entry:
        """Its row of the table."""
        return BACKBONES[self.backbone]

    @property
    def normalisation(self) -> str:
        """The mode of `images.preprocess_image` that its ImageNet weights expect."""
        return self.entry.normalisation

    def retinanet(self, *args: Any, **kwargs: Any) -> RetinaNet:
        """Return a training model on this backbone, without ImageNet weights.

        Args:
            *args: number of classes, inputs, modifier; see `build_retinanet`.
            **kwargs: see `build_retinanet`.
        """
        return build_retinanet(self.backbone, *args, **kwargs)

    def download_imagenet(self) -> str:
        """Return the path of a file of ImageNet weights, downloaded on first use.

        Raises:
            ValueError: if none are published for Keras, or they cannot be downloaded.
        """
        if self.entry.url is None:
            raise ValueError(
                f"there are no ImageNet weights for {self.backbone}: use --no-weights or "
                "--weights FILE"
            )
        return fetch(self.entry.url, self.entry.file_hash)

    def validate(self) -> None:
        """Raise ValueError if there is no backbone of this name."""
        validate_name(self.backbone, BACKBONES if self.names is None else self.names)

    def preprocess_image(self, inputs: np.ndarray) -> np.ndarray:
        """Return BGR images `(..., 3)` of values 0..255 normalised for the ImageNet weights."""
        return preprocess_image(inputs, mode=self.normalisation)


def backbone(backbone_name: str) -> Backbone:
    """Return the backbone of a name such as "resnet50".

    Raises:
        ValueError: if there is none; the error suggests similar names and lists all.
    """
    return Backbone(backbone_name)


def build_retinanet(
    backbone_name: str,
    num_classes: int,
    inputs: keras.KerasTensor | None = None,
    modifier: Callable[[keras.Model], keras.Model] | None = None,
    *,
    freeze_bn: bool | None = None,
    normalise_on_device: bool = False,
    **kwargs: Any,
) -> RetinaNet:
    """Return a training model on a backbone of the table, with its `initial_info`.

    Args:
        backbone_name: name of the backbone.
        num_classes: number of classes.
        inputs: a `keras.Input` of images; None means images of any size.
        modifier: function that gets the model of features, with the outputs C2 to C5, and returns
            the one to use, such as `utils.model.freeze`.
        freeze_bn: whether batch normalisation of the backbone keeps its statistics; None means yes
            if there are ImageNet weights to take them from.
        normalise_on_device: whether the model takes uint8 BGR images and normalises them itself.
        **kwargs: for `models.retinanet.retinanet`.
    """
    entry = BACKBONES[backbone_name]
    if freeze_bn is None:
        freeze_bn = entry.url is not None
    features = import_module(entry.module).features(
        backbone_name, image_input() if inputs is None else inputs, freeze_bn=freeze_bn
    )
    model = retinanet_on(
        modifier(features) if modifier else features,
        name=backbone_name,
        normalisation=entry.normalisation,
        num_classes=num_classes,
        **kwargs,
    )
    return device_normalisation.normalise_on_device(model) if normalise_on_device else model


def builder(backbone_name: str, module: str) -> Callable[..., RetinaNet]:
    """Return a module's function for one backbone, such as `resnet50_retinanet` of 1.0.0."""

    def build(
        num_classes: int, inputs: keras.KerasTensor | None = None, **kwargs: Any
    ) -> RetinaNet:
        return build_retinanet(backbone_name, num_classes, inputs, **kwargs)

    build.__name__ = build.__qualname__ = f"{backbone_name}_retinanet"
    build.__module__ = module
    build.__doc__ = f"Return a training model on {backbone_name}; see `build_retinanet`."
    return build


def validate_name(name: str, allowed: Collection[str]) -> None:
    """Raise ValueError if a backbone's name is not among the allowed ones."""
    if name not in allowed:
        close = difflib.get_close_matches(str(name), allowed)
        hint = f" (did you mean {', '.join(map(repr, close))}?)" if close else ""
        raise ValueError(
            f"Backbone ({name!r}) not in allowed backbones{hint}: {', '.join(allowed)}"
        )


def custom_objects() -> dict[str, Any]:
    """Return the classes and losses by the names that model files have for them."""
    return {
        "RetinaNet": RetinaNet,
        "RetinaNetBBox": RetinaNetBBox,
        "UpsampleLike": layers.UpsampleLike,
        "PriorProbability": initializers.PriorProbability,
        "RegressBoxes": layers.RegressBoxes,
        "FilterDetections": layers.FilterDetections,
        "Anchors": layers.Anchors,
        "ClipBoxes": layers.ClipBoxes,
        "_smooth_l1": losses.smooth_l1(),
        "_l1": losses.l1(),
        "_giou": losses.giou(CentreCoder()),  # of the detectors that are trained with it
        "_focal": losses.focal(),
        "_focal_star": losses.focal_star(),
        "_balanced_cross_entropy": losses.balanced_cross_entropy(),
        "_cross_entropy": losses.cross_entropy(),
    }


def image_input() -> keras.KerasTensor:
    """Return a symbolic input for images of any size."""
    first = keras.config.image_data_format() == "channels_first"
    return keras.Input((3, None, None) if first else (None, None, 3))


def retinanet_on(
    features: keras.Model, *, name: str, normalisation: str, num_classes: int, **kwargs: Any
) -> RetinaNet:
    """Return a training model on a model of features, with its `initial_info`.

    Args:
        features: model with the outputs C3, C4, C5, or C2 to C5.
        name: name of the backbone.
        normalisation: the mode of `images.preprocess_image` that the features expect.
        num_classes: number of classes.
        **kwargs: for `models.retinanet.retinanet`.
    """
    stages = ("C2", "C3", "C4", "C5")[-len(features.outputs) :]
    model = retinanet(
        inputs=features.inputs[0],
        backbone_layers=dict(zip(stages, features.outputs, strict=True)),
        num_classes=num_classes,
        **kwargs,
    )
    num_anchors, levels = kwargs.get("num_anchors"), kwargs.get("pyramid_levels")
    set_info(model, initial_info(name, normalisation, num_classes, num_anchors, levels))
    return model
