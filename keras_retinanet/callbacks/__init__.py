"""Callbacks: evaluation after each epoch, and running one callback on another model."""

from keras_retinanet.callbacks.common import RedirectModel

__all__ = ["RedirectModel"]
