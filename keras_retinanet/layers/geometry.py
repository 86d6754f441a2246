"""Layers that create, decode and clip boxes, and one that upsamples feature maps."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet.geometry import boxes as box_arithmetic
from keras_retinanet.geometry.anchors import AnchorParameters, generate_anchors
from keras_retinanet.geometry.coders import corner_coder

Shape = tuple[int | None, ...]


def _rows_axis() -> int:
    """Return the axis of the rows of an image tensor; the columns follow."""
    return 2 if keras.config.image_data_format() == "channels_first" else 1


@keras.saving.register_keras_serializable(package="keras_retinanet")
class Anchors(keras.layers.Layer):
    """The anchors of a feature map: a tensor `(B, rows * columns * A, 4)` of x1, y1, x2, y2."""

    def __init__(
        self,
        size: float,
        stride: int,
        ratios: Sequence[float] | np.ndarray | None = None,
        scales: Sequence[float] | np.ndarray | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Keep the anchor shapes of one pyramid level.

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

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the anchors of a feature map `(B, rows, columns, channels)`."""
        shape = tf.shape(inputs)
        axis = _rows_axis()
        cells = shape[axis : axis + 2]
        anchors = box_arithmetic.shift(cells, self.stride, tf.constant(self.anchors))
        return tf.tile(anchors[None], (shape[0], 1, 1))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `(B, anchors, 4)`; the number of anchors is None where a side is unknown."""
        axis = _rows_axis()
        rows, columns = tuple(input_shape)[axis : axis + 2]
        if rows is None or columns is None:
            return (input_shape[0], None, 4)
        return (input_shape[0], rows * columns * self.num_anchors, 4)

    def get_config(self) -> dict[str, Any]:
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
    """A feature map resized to the rows and columns of another one, by the nearest cell."""

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return `source` with the rows and columns of `target`; `inputs` holds these two."""
        source, target = inputs
        # Gathering rows and columns gives the numbers of ResizeNearestNeighbor for any sizes. On
        # CPUs XLA has no gradient for that operation, but one for this.
        axis = _rows_axis()
        for side in (axis, axis + 1):
            size, wanted = tf.shape(source)[side], tf.shape(target)[side]
            source = tf.gather(source, tf.range(wanted) * size // wanted, axis=side)
        return source

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """Return the shape of the source with the rows and columns of the target."""
        source, target = (list(shape) for shape in input_shape)
        axis = _rows_axis()
        source[axis : axis + 2] = target[axis : axis + 2]
        return tuple(source)


@keras.saving.register_keras_serializable(package="keras_retinanet")
class RegressBoxes(keras.layers.Layer):
    """The boxes that the predicted offsets of anchors stand for, as `CornerCoder` decodes them.

    Attributes:
        coder: the box coder of `mean` and `std`.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Keep how the offsets were normalised in training.

        Args:
            mean: four numbers; None means 0.
            std: four numbers; None means 0.2.
            *args: for `keras.layers.Layer`.
            **kwargs: for `keras.layers.Layer`.

        Raises:
            ValueError: if one of them is not an array, list or tuple of four numbers.
        """
        super().__init__(*args, **kwargs)
        self.coder = corner_coder(mean, std)
        self.mean, self.std = np.array(self.coder.mean), np.array(self.coder.std)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return boxes `(B, N, 4)`; `inputs` holds anchors and offsets of this shape."""
        anchors, offsets = inputs
        return self.coder.decode(anchors, offsets)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """Return the shape of the anchors."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "mean": self.mean.tolist(), "std": self.std.tolist()}


@keras.saving.register_keras_serializable(package="keras_retinanet")
class ClipBoxes(keras.layers.Layer):
    """Boxes with their corners moved onto the pixels of the image."""

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return boxes `(B, N, 4)`; `inputs` holds the images `(B, h, w, 3)` and the boxes."""
        image, boxes = inputs
        axis = _rows_axis()
        height, width = (
            tf.cast(side, boxes.dtype) for side in tf.unstack(tf.shape(image)[axis : axis + 2])
        )
        return box_arithmetic.clip(boxes, height, width)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """Return the shape of the boxes."""
        return tuple(input_shape[1])
