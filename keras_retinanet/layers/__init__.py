"""The Keras layers of RetinaNet that Keras itself does not have."""

from typing import NoReturn

from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.layers.filter_detections import (
    ClipDetections,
    FilterDetections,
    filter_detections,
)
from keras_retinanet.layers.geometry import (
    Anchors,
    ClipBoxes,
    PadToMultiple,
    RegressBoxes,
    UpsampleLike,
)
from keras_retinanet.layers.normalise import Normalise
from keras_retinanet.layers.slices import SliceChannels

__all__ = [
    "Anchors",
    "ClipBoxes",
    "ClipDetections",
    "FilterDetections",
    "FilterSettings",
    "Normalise",
    "PadToMultiple",
    "RegressBoxes",
    "SliceChannels",
    "UpsampleLike",
    "filter_detections",
]


def __getattr__(name: str) -> NoReturn:
    if name == "NonMaximumSuppression":
        raise ImportError(
            "keras_retinanet.layers.NonMaximumSuppression was removed before 1.0.0: use "
            "keras_retinanet.layers.FilterDetections"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
