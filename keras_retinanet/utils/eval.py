"""Evaluation under its old import path.

Public programs take the modules that keras-retinanet 1.0.0 used from `import *` too.
"""

import os
import time

import cv2
import keras
import numpy as np

from keras_retinanet.drawing import draw_annotations, draw_detections
from keras_retinanet.evaluation import legacy, metrics
from keras_retinanet.evaluation.measure import evaluate
from keras_retinanet.geometry.boxes import iou as compute_overlap

_get_detections, _get_annotations = legacy.get_detections, legacy.get_annotations
_compute_ap = metrics.average_precision

__all__ = [
    "compute_overlap",
    "cv2",
    "draw_annotations",
    "draw_detections",
    "evaluate",
    "keras",
    "np",
    "os",
    "time",
]
