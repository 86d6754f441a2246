"""Evaluation under its old import path."""

from keras_retinanet.evaluation.measure import evaluate  # noqa: F401
