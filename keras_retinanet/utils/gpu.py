"""The choice of a GPU under its old import path."""

from keras_retinanet.bin.common import setup_gpu  # noqa: F401
