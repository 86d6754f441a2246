"""Layers that create, decode and clip boxes, and one that upsamples feature maps."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet.geometry import boxes as box_arithmetic
from keras_retinanet.geometry.anchors import (
    DEFAULT_LAYOUT,
    AnchorLayout,
    AnchorParameters,
    generate_anchors,
    level_strides,
)
from keras_retinanet.geometry.coders import BoxCoder, CornerCoder, coder_from_dict, corner_coder

Shape = tuple[int | None, ...]


def _rows_axis() -> int:
    """Return the axis of the rows of an image tensor; the columns follow."""
    return 2 if keras.config.image_data_format() == "channels_first" else 1


def image_sides(image: tf.Tensor) -> tf.Tensor:
    """Return rows and columns of an image or feature map `(B, rows, columns, channels)`."""
    axis = _rows_axis()
    return tf.shape(image)[axis : axis + 2]


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
        layout: AnchorLayout | dict[str, Any] = DEFAULT_LAYOUT,
        **kwargs: Any,
    ) -> None:
        """Keep the anchor shapes of one pyramid level.

        Args:
            size: side in pixels of the square anchor of scale 1.
            stride: pixels of the image from one cell of the feature map to the next.
            ratios: heights over widths; None means those of `AnchorParameters.default`.
            scales: factors on `size`; None means those of `AnchorParameters.default`.
            *args: for `keras.layers.Layer`.
            layout: where the anchors lie and in which order, or what its `to_dict` returned.
            **kwargs: for `keras.layers.Layer`.
        """
        super().__init__(*args, **kwargs)
        default = AnchorParameters.default
        self.size = size
        self.stride = stride
        self.ratios = np.asarray(default.ratios if ratios is None else ratios)
        self.scales = np.asarray(default.scales if scales is None else scales)
        self.layout = AnchorLayout.from_dict(layout) if isinstance(layout, dict) else layout
        self.num_anchors = len(self.ratios) * len(self.scales)
        anchors = generate_anchors(size, self.ratios, self.scales, layout=self.layout)
        self.anchors = anchors.astype("float32")

    def call(self, inputs: tf.Tensor, image: tf.Tensor | None = None) -> tf.Tensor:
        """Return the anchors of a feature map.

        Args:
            inputs: the feature map `(B, rows, columns, channels)`.
            image: the padded image `(B, h, w, 3)`; only a layout with fitted strides needs it.
        """
        cells = image_sides(inputs)
        sides = cells if image is None else image_sides(image)
        stride = level_strides(self.stride, cells, sides, self.layout)
        if self.layout.fitted_strides:
            stride = tuple(tf.cast(side, "float32") for side in stride)
        anchors = box_arithmetic.shift(
            cells, stride, tf.constant(self.anchors), offset=self.layout.offset
        )
        return tf.tile(anchors[None], (tf.shape(inputs)[0], 1, 1))

    def compute_output_shape(self, input_shape: Shape, image_shape: Shape | None = None) -> Shape:
        """Return `(B, anchors, 4)`; the number of anchors is None where a side is unknown."""
        axis = _rows_axis()
        rows, columns = tuple(input_shape)[axis : axis + 2]
        if rows is None or columns is None:
            return (input_shape[0], None, 4)
        return (input_shape[0], rows * columns * self.num_anchors, 4)

    def compute_output_spec(
        self, inputs: keras.KerasTensor, image: keras.KerasTensor | None = None
    ) -> keras.KerasTensor:
        """Return the specification of the output."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {
            **super().get_config(),
            "size": self.size,
            "stride": self.stride,
            "ratios": self.ratios.tolist(),
            "scales": self.scales.tolist(),
            "layout": self.layout.to_dict(),
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
    """The boxes that the predicted offsets of anchors stand for.

    Attributes:
        coder: the box coder.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *args: Any,
        coder: BoxCoder | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep how the offsets were coded in training.

        Args:
            mean: of a `CornerCoder`: four numbers; None means 0.
            std: of a `CornerCoder`: four numbers; None means 0.2.
            *args: for `keras.layers.Layer`.
            coder: the box coder, or what its `to_dict` returned; None means the `CornerCoder` of
                `mean` and `std`.
            **kwargs: for `keras.layers.Layer`.

        Raises:
            ValueError: if `mean` or `std` is not an array, list or tuple of four numbers, or the
                coder is malformed.
        """
        super().__init__(*args, **kwargs)
        given = coder_from_dict(coder) if isinstance(coder, dict) else coder
        self.coder = corner_coder(mean, std) if given is None else given
        if isinstance(self.coder, CornerCoder):
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
        if isinstance(self.coder, CornerCoder):
            arguments: dict[str, Any] = {"mean": self.mean.tolist(), "std": self.std.tolist()}
        else:
            arguments = {"coder": self.coder.to_dict()}
        return {**super().get_config(), **arguments}


@keras.saving.register_keras_serializable(package="keras_retinanet")
class ClipBoxes(keras.layers.Layer):
    """Boxes with their corners moved onto the pixels of the image."""

    def __init__(self, *args: Any, to_edge: bool = False, **kwargs: Any) -> None:
        """Keep where an image ends.

        Args:
            *args: for `keras.layers.Layer`.
            to_edge: whether the maximum coordinates are `width` and `height`, the far edges of the
                last pixels; otherwise `width - 1` and `height - 1`, as in keras-retinanet 1.0.0.
            **kwargs: for `keras.layers.Layer`.
        """
        super().__init__(*args, **kwargs)
        self.to_edge = to_edge

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return boxes `(B, N, 4)`; `inputs` holds the images `(B, h, w, 3)` and the boxes."""
        image, boxes = inputs
        more = 1 if self.to_edge else 0
        height, width = tf.unstack(tf.cast(image_sides(image) + more, boxes.dtype))
        return box_arithmetic.clip(boxes, height, width)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """Return the shape of the boxes."""
        return tuple(input_shape[1])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "to_edge": self.to_edge}


@keras.saving.register_keras_serializable(package="keras_retinanet")
class PadToMultiple(keras.layers.Layer):
    """Images padded with 0 at the right and bottom, to sides that are multiples of a number."""

    def __init__(self, multiple: int, **kwargs: Any) -> None:
        """Keep the number; `**kwargs` are for `keras.layers.Layer`.

        Raises:
            ValueError: if it is not an integer of at least 1.
        """
        super().__init__(**kwargs)
        if not isinstance(multiple, int) or multiple < 1:
            raise ValueError(f"expected a multiple of at least 1, got {multiple!r}")
        self.multiple = multiple

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the padded images `(B, h, w, channels)`."""
        # Not `-sides % multiple`: exported to ONNX, the remainder of a negative number is negative.
        missing = (self.multiple - image_sides(inputs) % self.multiple) % self.multiple
        axis = _rows_axis()
        paddings = [[0, 0]] * 4
        paddings[axis], paddings[axis + 1] = [0, missing[0]], [0, missing[1]]
        return tf.pad(inputs, paddings)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the padded images; a side that is unknown stays so."""
        shape = list(input_shape)
        axis = _rows_axis()
        for side in (axis, axis + 1):
            length = shape[side]
            if length is not None:
                shape[side] = length + -length % self.multiple
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "multiple": self.multiple}
