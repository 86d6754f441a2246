"""Layers that place, move and clip boxes, and the one that enlarges feature maps."""

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet.geometry import boxes as box_arithmetic
from keras_retinanet.geometry.anchors import AnchorParameters, generate_anchors
from keras_retinanet.geometry.coders import corner_coder


def _sides_axis() -> int:
    """Return the axis of the rows of an image tensor; the columns follow."""
    return 2 if keras.config.image_data_format() == "channels_first" else 1


@keras.saving.register_keras_serializable(package="keras_retinanet")
class Anchors(keras.layers.Layer):
    """The anchors of a feature map: a tensor `(B, rows * columns * A, 4)` of x1, y1, x2, y2."""

    def __init__(self, size, stride, ratios=None, scales=None, *args, **kwargs):
        """Keep the shapes of the anchors of one pyramid level.

        Args:
            size: side in pixels of the square anchor of scale 1.
            stride: pixels of the image from one cell of the feature map to the next.
            ratios: heights over widths; None means those of `AnchorParameters.default`.
            scales: factors on `size`; None means those of `AnchorParameters.default`.
            *args: for `keras.layers.Layer`.
            **kwargs: for `keras.layers.Layer`.
        """
        super().__init__(*args, **kwargs)
        default = AnchorParameters.default
        self.size = size
        self.stride = stride
        self.ratios = np.asarray(default.ratios if ratios is None else ratios)
        self.scales = np.asarray(default.scales if scales is None else scales)
        self.num_anchors = len(self.ratios) * len(self.scales)
        self.anchors = generate_anchors(size, self.ratios, self.scales).astype("float32")

    def call(self, inputs):
        """Return the anchors of a feature map `(B, rows, columns, channels)`."""
        shape = tf.shape(inputs)
        axis = _sides_axis()
        cells = shape[axis : axis + 2]
        anchors = box_arithmetic.shift(cells, self.stride, tf.constant(self.anchors))
        return tf.tile(anchors[None], (shape[0], 1, 1))

    def compute_output_shape(self, input_shape):
        """Return `(B, anchors, 4)`; None for the anchors where a side is not known."""
        axis = _sides_axis()
        sides = tuple(input_shape)[axis : axis + 2]
        total = None if None in sides else int(np.prod(sides)) * self.num_anchors
        return (input_shape[0], total, 4)

    def get_config(self):
        """Return the arguments of the layer."""
        return {
            **super().get_config(),
            "size": self.size,
            "stride": self.stride,
            "ratios": self.ratios.tolist(),
            "scales": self.scales.tolist(),
        }


@keras.saving.register_keras_serializable(package="keras_retinanet")
class UpsampleLike(keras.layers.Layer):
    """A feature map enlarged to the rows and columns of another one, by the nearest cell."""

    def call(self, inputs):
        """Return `source` with the sides of `target`; `inputs` holds these two."""
        source, target = inputs
        # Picking rows and columns gives ResizeNearestNeighbor's numbers for any sizes; XLA has no
        # gradient for that operation on CPUs, and one for this.
        axis = _sides_axis()
        for side in (axis, axis + 1):
            size, wanted = tf.shape(source)[side], tf.shape(target)[side]
            source = tf.gather(source, tf.range(wanted) * size // wanted, axis=side)
        return source

    def compute_output_shape(self, input_shape):
        """Return the shape of the source with the sides of the target."""
        source, target = (list(shape) for shape in input_shape)
        axis = _sides_axis()
        source[axis : axis + 2] = target[axis : axis + 2]
        return tuple(source)


@keras.saving.register_keras_serializable(package="keras_retinanet")
class RegressBoxes(keras.layers.Layer):
    """Anchors moved by the offsets that the network predicted for them."""

    def __init__(self, mean=None, std=None, *args, **kwargs):
        """Keep what the offsets were normalised with in training.

        Args:
            mean: four numbers; None means 0.
            std: four numbers; None means 0.2.
            *args: for `keras.layers.Layer`.
            **kwargs: for `keras.layers.Layer`.

        Raises:
            ValueError: if one of them is no array, list or tuple.
        """
        super().__init__(*args, **kwargs)
        self.coder = corner_coder(mean, std)
        self.mean, self.std = np.array(self.coder.mean), np.array(self.coder.std)

    def call(self, inputs):
        """Return boxes `(B, N, 4)`; `inputs` holds anchors and offsets of this shape."""
        anchors, regression = inputs
        return self.coder.decode(anchors, regression)

    def compute_output_shape(self, input_shape):
        """Return the shape of the anchors."""
        return tuple(input_shape[0])

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "mean": self.mean.tolist(), "std": self.std.tolist()}


@keras.saving.register_keras_serializable(package="keras_retinanet")
class ClipBoxes(keras.layers.Layer):
    """Boxes with their corners moved onto the pixels of the image."""

    def call(self, inputs):
        """Return boxes `(B, N, 4)`; `inputs` holds the images `(B, h, w, 3)` and the boxes."""
        image, boxes = inputs
        axis = _sides_axis()
        height, width = (
            tf.cast(side, boxes.dtype) for side in tf.unstack(tf.shape(image)[axis : axis + 2])
        )
        return box_arithmetic.clip(boxes, height, width)

    def compute_output_shape(self, input_shape):
        """Return the shape of the boxes."""
        return tuple(input_shape[1])
