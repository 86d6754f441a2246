"""Affine transforms under their old import path."""

from keras_retinanet.augmentation.transforms import *  # noqa: F403
