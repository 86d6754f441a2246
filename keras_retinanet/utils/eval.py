"""Evaluation under its old import path."""

from keras_retinanet.evaluation import evaluate  # noqa: F401
