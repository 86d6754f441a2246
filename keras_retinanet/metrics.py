"""The functions of `evaluation.metrics` under a shorter public path."""

from keras_retinanet.evaluation.metrics import *  # noqa: F403
