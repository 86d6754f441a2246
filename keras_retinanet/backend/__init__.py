"""The old import path of a few tensor functions."""

from keras_retinanet.layers.tensors import (
    bbox_transform_inv,
    map_fn,
    meshgrid,
    resize_images,
    shift,
)

__all__ = ["bbox_transform_inv", "map_fn", "meshgrid", "resize_images", "shift"]
