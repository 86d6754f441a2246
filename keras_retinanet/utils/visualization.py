"""Drawing under its old import path."""

from keras_retinanet.drawing import (  # noqa: F401
    draw_annotations,
    draw_box,
    draw_boxes,
    draw_caption,
    draw_detections,
    label_color,
)
