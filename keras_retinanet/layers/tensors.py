"""Tensor functions under their names of keras-retinanet 1.0.0."""

import tensorflow as tf

from keras_retinanet.geometry.boxes import shift
from keras_retinanet.geometry.coders import corner_coder

__all__ = ["bbox_transform_inv", "map_fn", "resize_images", "shift"]


def bbox_transform_inv(boxes, deltas, mean=None, std=None):
    """Return boxes `(B, N, 4)` moved by predicted offsets; see `CornerCoder.decode`."""
    coder = corner_coder(mean, std)
    return coder.decode(tf.convert_to_tensor(boxes), tf.convert_to_tensor(deltas))


def map_fn(*args, **kwargs):
    """Do as `tf.map_fn`; `shapes` and `dtype` may describe the outputs, as lists."""
    if "shapes" in kwargs:
        shapes, dtypes = kwargs.pop("shapes"), kwargs.pop("dtype")
        kwargs["fn_output_signature"] = [
            tf.TensorSpec(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)
        ]
    return tf.map_fn(*args, **kwargs)


def resize_images(images, size, method="bilinear", align_corners=False):
    """Return images `(B, h, w, C)` resized as TensorFlow 1 did.

    Args:
        images: tensor.
        size: rows and columns of the result.
        method: "bilinear", "nearest", "bicubic" or "area".
        align_corners: whether the centres of the corner pixels stay where they are.

    Raises:
        ValueError: if the method is unknown.
    """
    methods = {
        "bilinear": tf.image.ResizeMethod.BILINEAR,
        "nearest": tf.image.ResizeMethod.NEAREST_NEIGHBOR,
        "bicubic": tf.image.ResizeMethod.BICUBIC,
        "area": tf.image.ResizeMethod.AREA,
    }
    if method not in methods:
        raise ValueError(f"expected a method of {list(methods)}, got {method!r}")
    return tf.compat.v1.image.resize_images(images, size, methods[method], align_corners)
