"""Tensor functions under their names in keras-retinanet 1.0.0 and earlier."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_retinanet.geometry.boxes import shift
from keras_retinanet.geometry.coders import corner_coder

__all__ = ["bbox_transform_inv", "map_fn", "meshgrid", "resize_images", "shift"]


def bbox_transform_inv(
    boxes: tf.Tensor,
    deltas: tf.Tensor,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> tf.Tensor:
    """Return boxes `(B, N, 4)` moved by predicted offsets; see `CornerCoder.decode`."""
    coder = corner_coder(mean, std)
    return coder.decode(tf.convert_to_tensor(boxes), tf.convert_to_tensor(deltas))


def map_fn(*args: Any, **kwargs: Any) -> Any:
    """Return the same as `tf.map_fn`; `shapes` and `dtype` may describe the outputs, as lists."""
    if "shapes" in kwargs:
        shapes, dtypes = kwargs.pop("shapes"), kwargs.pop("dtype")
        kwargs["fn_output_signature"] = [
            tf.TensorSpec(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)
        ]
    return tf.map_fn(*args, **kwargs)


def meshgrid(*args: Any, **kwargs: Any) -> list[tf.Tensor]:
    """Return the same as `tf.meshgrid`; early releases had this name."""
    return tf.meshgrid(*args, **kwargs)


def resize_images(
    images: tf.Tensor,
    size: Sequence[int] | tf.Tensor,
    method: str = "bilinear",
    align_corners: bool = False,
) -> tf.Tensor:
    """Return images `(B, h, w, C)` resized in the way of TensorFlow 1.

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
