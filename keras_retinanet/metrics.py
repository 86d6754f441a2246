"""The import path `keras_retinanet.metrics`; the functions are in `evaluation.metrics`."""

from keras_retinanet.evaluation.metrics import *  # noqa: F403
