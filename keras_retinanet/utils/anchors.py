"""Anchors under their old import path."""

from keras_retinanet.anchors import (  # noqa: F401
    AnchorParameters,
    anchors_for_shape,
    generate_anchors,
    guess_shapes,
    layer_shapes,
    make_shapes_callback,
)
from keras_retinanet.boxes import encode as bbox_transform  # noqa: F401
from keras_retinanet.boxes import iou as compute_overlap  # noqa: F401
from keras_retinanet.boxes import shift  # noqa: F401
from keras_retinanet.targets import anchor_targets_bbox, compute_gt_annotations  # noqa: F401
