"""COCO evaluation under its old import path."""

from keras_retinanet.evaluation import evaluate_coco  # noqa: F401
