"""COCO evaluation under its old import path."""

from keras_retinanet.evaluation.measure import evaluate_coco  # noqa: F401
