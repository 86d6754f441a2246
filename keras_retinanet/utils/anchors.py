"""Anchors under their old import path."""

from keras_retinanet.geometry.anchors import (
    AnchorParameters,
    anchors_for_shape,
    generate_anchors,
    guess_shapes,
    layer_shapes,
    make_shapes_callback,
)
from keras_retinanet.geometry.boxes import iou as compute_overlap
from keras_retinanet.geometry.boxes import shift
from keras_retinanet.geometry.coders import bbox_transform
from keras_retinanet.geometry.targets import anchor_targets_bbox, compute_gt_annotations

__all__ = [
    "AnchorParameters",
    "anchor_targets_bbox",
    "anchors_for_shape",
    "bbox_transform",
    "compute_gt_annotations",
    "compute_overlap",
    "generate_anchors",
    "guess_shapes",
    "layer_shapes",
    "make_shapes_callback",
    "shift",
]
