"""The old import path of `freeze`."""

from keras_retinanet.models.freeze import freeze

__all__ = ["freeze"]
