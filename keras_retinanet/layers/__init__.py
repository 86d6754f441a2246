"""The Keras layers of RetinaNet that Keras itself does not have."""

from keras_retinanet.layers.filter_detections import FilterDetections, filter_detections
from keras_retinanet.layers.geometry import Anchors, ClipBoxes, RegressBoxes, UpsampleLike

__all__ = [
    "Anchors",
    "ClipBoxes",
    "FilterDetections",
    "RegressBoxes",
    "UpsampleLike",
    "filter_detections",
]
