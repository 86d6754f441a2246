"""The Keras layers of RetinaNet that Keras itself does not have."""

from keras_retinanet.layers.filter_detections import FilterDetections, filter_detections
from keras_retinanet.layers.geometry import Anchors, ClipBoxes, RegressBoxes, UpsampleLike
from keras_retinanet.layers.normalise import Normalise
from keras_retinanet.layers.slices import SliceChannels

__all__ = [
    "Anchors",
    "ClipBoxes",
    "FilterDetections",
    "Normalise",
    "RegressBoxes",
    "SliceChannels",
    "UpsampleLike",
    "filter_detections",
]
