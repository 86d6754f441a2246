"""The choice of a GPU under its old import path."""

from keras_retinanet.system.devices import setup_gpu  # noqa: F401
