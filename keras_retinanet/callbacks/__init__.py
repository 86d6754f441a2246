"""Callbacks: evaluation after each epoch, snapshots, history, and redirection to another model."""

from keras_retinanet.callbacks.common import RedirectModel

__all__ = ["RedirectModel"]
