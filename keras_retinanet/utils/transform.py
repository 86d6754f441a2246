"""Affine transforms under their old import path."""

from keras_retinanet.augmentation import *  # noqa: F403
