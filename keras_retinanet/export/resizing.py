"""The resizing of images inside a graph, by the rule of the model."""

from __future__ import annotations

import tensorflow as tf

from keras_retinanet.model_info import ModelInfo


def resize_in_graph(image: tf.Tensor, info: ModelInfo) -> tuple[tf.Tensor, tf.Tensor]:
    """Return an image resized as `images.resize_image` does, and the factors on its sides.

    Pixels differ by rounding from those of OpenCV and Pillow.

    Args:
        image: uint8 `(h, w, 3)`.
        info: what the model knows.

    Returns:
        float32 image of values 0..255, whole numbers unless the rule is torchvision's; factors
        `(4,)` on x1, y1, x2, y2.
    """
    if info.no_resize:
        return tf.cast(image, "float32"), tf.ones(4)
    sides = tf.cast(tf.shape(image)[:2], "float64")  # height, width
    low, high = float(info.image_min_side), float(info.image_max_side)
    scale = tf.minimum(low / tf.reduce_min(sides), high / tf.reduce_max(sides))
    new = tf.maximum(_ROUNDING[info.resize_rule](sides * scale), 1)
    factors = new / sides
    if info.resize_rule == "keras_retinanet":  # by the factor itself, whatever the sides became
        factors = tf.stack([scale, scale])
    factors = tf.cast(factors, "float32")
    resized = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=tf.cast(new, "int32"),
        scale=factors,
        translation=tf.zeros(2),
        kernel_type="triangle",
        antialias=info.resize_rule == "detectron2",
    )[0]
    if info.resize_rule != "torchvision":
        resized = tf.round(tf.clip_by_value(resized, 0, 255))
    return resized, tf.tile(factors[::-1], (2,))


# How each rule makes whole pixels of the sides.
_ROUNDING = {
    "keras_retinanet": tf.round,  # halves to even, as Python's
    "torchvision": tf.floor,
    "detectron2": lambda sides: tf.floor(sides + 0.5),
    "mmdet": lambda sides: tf.floor(sides + 0.5),
}
