"""IoU under its old import path; it needs no compiler any more."""

from keras_retinanet.geometry.boxes import iou as compute_overlap  # noqa: F401
