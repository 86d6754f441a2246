"""From a box and class scores for every anchor to the detections of an image."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.layers.fixed_filter import filter_fixed
from keras_retinanet.layers.geometry import image_sides

Shape = tuple[int | None, ...]


def filter_detections(
    boxes: tf.Tensor,
    classification: tf.Tensor,
    other: Sequence[tf.Tensor] = (),
    class_specific_filter: bool = True,
    nms: bool = True,
    score_threshold: float = 0.05,
    max_detections: int = 300,
    nms_threshold: float = 0.5,
    *,
    pre_nms_top_k: int | None = None,
    level_sizes: tf.Tensor | Sequence[int] | None = None,
) -> list[tf.Tensor]:
    """Return the best boxes of one image.

    This is `filter_image`, which describes tensors and results, with the signature of
    keras-retinanet 1.0.0; for the settings see `FilterSettings`.

    Raises:
        ValueError: if a setting is out of range.
    """
    settings = FilterSettings(
        nms=nms,
        class_specific_filter=class_specific_filter,
        nms_threshold=nms_threshold,
        score_threshold=score_threshold,
        max_detections=max_detections,
        pre_nms_top_k=pre_nms_top_k,
    )
    return filter_image(boxes, classification, other, settings, level_sizes)


def filter_image(
    boxes: tf.Tensor,
    classification: tf.Tensor,
    other: Sequence[tf.Tensor],
    settings: FilterSettings,
    level_sizes: tf.Tensor | Sequence[int] | None = None,
) -> list[tf.Tensor]:
    """Return the best boxes of one image.

    Args:
        boxes: tensor `(N, 4)` of x1, y1, x2, y2.
        classification: tensor `(N, C)` of scores.
        other: tensors `(N, ...)`, whose rows of the kept boxes are returned too.
        settings: which boxes to keep.
        level_sizes: integers `(L,)`, how many of the `N` rows belong to each pyramid level, in
            order; only `pre_nms_top_k` needs them. None means a single level.

    Returns:
        List of boxes `(max_detections, 4)`, scores `(max_detections,)`, int32 labels
        `(max_detections,)`, then one tensor for each of `other`. Scores descend; equal scores are
        in order of class, then of box. Rows without a detection are filled with -1.
    """
    if settings.class_specific_filter:
        rows, labels = _candidates(classification, settings.score_threshold)
    else:
        best = tf.argmax(classification, axis=1)
        above = tf.reduce_max(classification, axis=1) > settings.score_threshold
        rows = tf.where(above)[:, 0]
        labels = tf.gather(best, rows)
    scores = tf.gather_nd(classification, tf.stack([rows, labels], axis=1))
    if settings.pre_nms_top_k is not None:
        best = _best_of_levels(rows, scores, level_sizes, settings.pre_nms_top_k)
        rows, labels, scores = (tf.gather(values, best) for values in (rows, labels, scores))
    if settings.drop_empty:
        with_area = tf.where(_has_area(tf.gather(boxes, rows)))[:, 0]
        rows, labels, scores = (tf.gather(values, with_area) for values in (rows, labels, scores))
    if settings.nms:
        groups = labels if settings.class_specific_filter else tf.zeros_like(labels)
        kept = _suppress(tf.gather(boxes, rows), scores, groups, settings)
        rows, labels, scores = (tf.gather(values, kept) for values in (rows, labels, scores))
    scores, order = tf.nn.top_k(scores, k=tf.minimum(settings.max_detections, tf.size(scores)))
    rows, labels = tf.gather(rows, order), tf.cast(tf.gather(labels, order), "int32")
    found = [tf.gather(boxes, rows), scores, labels, *(tf.gather(o, rows) for o in other)]
    return [_pad(values, settings.max_detections) for values in found]


def _candidates(classification: tf.Tensor, score_threshold: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Return box numbers and classes of the scores above the threshold, class by class.

    Few of a hundred thousand boxes have such a score. Taking the maximum of each box first is
    several times faster than listing positions in the full matrix.
    """
    rows = tf.where(tf.reduce_max(classification, axis=1) > score_threshold)[:, 0]
    above = tf.gather(classification, rows) > score_threshold
    positions = tf.where(tf.transpose(above))
    return tf.gather(rows, positions[:, 1]), positions[:, 0]


def _best_of_levels(
    rows: tf.Tensor,
    scores: tf.Tensor,
    level_sizes: tf.Tensor | Sequence[int] | None,
    count: int,
) -> tf.Tensor:
    """Return the positions of the `count` best scores of each level, in their original order."""
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    if level_sizes is None:
        return tf.sort(order[:count])
    ends = tf.cast(tf.cumsum(level_sizes), rows.dtype)
    levels = tf.searchsorted(ends, tf.gather(rows, order), side="right")
    in_level = tf.one_hot(levels, tf.size(ends), dtype="int32")
    ranks = tf.reduce_sum(tf.cumsum(in_level) * in_level, axis=1)  # from 1
    return tf.sort(tf.boolean_mask(order, ranks <= count))


def _suppress(
    boxes: tf.Tensor, scores: tf.Tensor, groups: tf.Tensor, settings: FilterSettings
) -> tf.Tensor:
    """Return the positions that non-maximum suppression keeps in each run of equal `groups`."""
    _, _, counts = tf.unique_with_counts(groups)
    ends = tf.cumsum(counts)

    def one_group(i: tf.Tensor, kept: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        start, end = ends[i] - counts[i], ends[i]
        chosen = tf.image.non_max_suppression(
            boxes[start:end],
            scores[start:end],
            settings.max_detections,
            iou_threshold=settings.nms_threshold,
        )
        return i + 1, tf.concat([kept, start + chosen], axis=0)

    _, kept = tf.while_loop(
        lambda i, _: i < tf.size(counts),
        one_group,
        (tf.constant(0), tf.zeros((0,), "int32")),
        shape_invariants=(tf.TensorShape(()), tf.TensorShape((None,))),
    )
    return kept


def _has_area(boxes: tf.Tensor) -> tf.Tensor:
    """Return which boxes `(..., 4)` have an area, as bool `(...)`."""
    return tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)


def _pad(values: tf.Tensor, length: int) -> tf.Tensor:
    """Return `values` padded with rows of -1 to `length`, which becomes its static shape."""
    missing = [[0, length - tf.shape(values)[0]]] + [[0, 0]] * (values.shape.rank - 1)
    padded = tf.pad(values, missing, constant_values=tf.cast(-1, values.dtype))
    return tf.ensure_shape(padded, (length, *values.shape[1:]))


def _setting(name: str) -> property:
    """Return a property that reads one of a layer's settings, and replaces it when assigned."""

    def read(layer: "FilterDetections") -> Any:
        return getattr(layer.settings, name)

    def write(layer: "FilterDetections", value: Any) -> None:
        layer.settings = replace(layer.settings, **{name: value})

    return property(read, write)


@keras.saving.register_keras_serializable(package="keras_retinanet")
class FilterDetections(keras.layers.Layer):
    """`filter_detections` for every image of a batch.

    Attributes:
        settings: which boxes to keep; each setting is also an attribute of the layer.
    """

    nms = _setting("nms")
    class_specific_filter = _setting("class_specific_filter")
    nms_threshold = _setting("nms_threshold")
    score_threshold = _setting("score_threshold")
    max_detections = _setting("max_detections")
    parallel_iterations = _setting("parallel_iterations")
    pre_nms_top_k = _setting("pre_nms_top_k")
    clip = _setting("clip")
    drop_empty = _setting("drop_empty")
    fixed_shapes = _setting("fixed_shapes")

    def __init__(
        self,
        nms: bool = True,
        class_specific_filter: bool = True,
        nms_threshold: float = 0.5,
        score_threshold: float = 0.05,
        max_detections: int = 300,
        parallel_iterations: int = 32,
        *,
        pre_nms_top_k: int | None = None,
        clip: str = "pixels",
        drop_empty: bool = False,
        fixed_shapes: bool = False,
        **kwargs: Any,
    ) -> None:
        """Keep the settings; see `FilterSettings`. `**kwargs` are for `keras.layers.Layer`.

        Raises:
            ValueError: if a setting is out of range.
        """
        super().__init__(**kwargs)
        self.settings = FilterSettings(
            nms=nms,
            class_specific_filter=class_specific_filter,
            nms_threshold=nms_threshold,
            score_threshold=score_threshold,
            max_detections=max_detections,
            parallel_iterations=parallel_iterations,
            pre_nms_top_k=pre_nms_top_k,
            clip=clip,
            drop_empty=drop_empty,
            fixed_shapes=fixed_shapes,
        )

    def call(
        self, inputs: Sequence[tf.Tensor], levels: Sequence[tf.Tensor] | None = None
    ) -> list[tf.Tensor]:
        """Return boxes, scores, labels and the rest, each with a leading batch axis.

        Args:
            inputs: list of boxes `(B, N, 4)`, classification `(B, N, C)` and any number of
                other tensors `(B, N, ...)`.
            levels: the tensors `(B, n, ...)` that were concatenated to `N` rows, one per pyramid
                level; only their lengths count, and only for `pre_nms_top_k` and `fixed_shapes`.
                None means a single level.
        """
        boxes, classification, *other = (tf.convert_to_tensor(values) for values in inputs)
        if self.settings.fixed_shapes:
            sizes = [tf.shape(level)[1] for level in levels or [boxes]]
            return filter_fixed(boxes, classification, other, self.settings, sizes)
        level_sizes = None
        if levels is not None:
            level_sizes = tf.stack([tf.shape(level)[1] for level in levels])
        kept = (self.settings.max_detections,)
        signature = [
            tf.TensorSpec((*kept, 4), boxes.dtype),
            tf.TensorSpec(kept, classification.dtype),
            tf.TensorSpec(kept, "int32"),
            *(tf.TensorSpec(kept + tuple(o.shape[2:]), o.dtype) for o in other),
        ]

        def one_image(i: tf.Tensor) -> list[tf.Tensor]:
            rest = [values[i] for values in other]
            return filter_image(boxes[i], classification[i], rest, self.settings, level_sizes)

        # Mapping over indices, not over the tensors, avoids a copy of all scores.
        return tf.map_fn(
            one_image,
            tf.range(tf.shape(boxes)[0]),
            fn_output_signature=signature,
            # TensorFlow warns about the setting where nothing runs in parallel.
            parallel_iterations=None
            if tf.executing_eagerly()
            else self.settings.parallel_iterations,
        )

    def compute_output_spec(
        self,
        inputs: Sequence[keras.KerasTensor],
        levels: Sequence[keras.KerasTensor] | None = None,
    ) -> list[keras.KerasTensor]:
        """Return the specifications of the outputs."""
        shapes = self.compute_output_shape([values.shape for values in inputs])
        dtypes = [inputs[0].dtype, inputs[1].dtype, "int32", *(o.dtype for o in inputs[2:])]
        return [
            keras.KerasTensor(shape, dtype=dtype)
            for shape, dtype in zip(shapes, dtypes, strict=True)
        ]

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> list[Shape]:
        """Return the shapes of the outputs for the list of shapes of the inputs."""
        kept = (input_shape[0][0], self.settings.max_detections)
        return [(*kept, 4), kept, kept, *((*kept, *shape[2:]) for shape in input_shape[2:])]

    def compute_mask(self, inputs: Sequence[Any], mask: Any = None) -> list[None]:
        """Return no mask for every output."""
        return [None] * (len(inputs) + 1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        return {**super().get_config(), **self.settings.to_dict()}


@keras.saving.register_keras_serializable(package="keras_retinanet")
class ClipDetections(keras.layers.Layer):
    """Detections clipped to the edges of the image; those outside it give way to padding."""

    def call(self, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return boxes, scores, labels and the rest, as `FilterDetections` does.

        Args:
            inputs: list of the images `(B, h, w, 3)`, then what `FilterDetections` returned.
        """
        image, boxes, *rest = inputs
        limits = tf.cast(image_sides(image)[::-1], boxes.dtype)  # width, height
        clipped = tf.clip_by_value(boxes, 0, tf.tile(limits, (2,)))
        kept = _has_area(clipped) & (rest[1] >= 0)
        order = tf.argsort(tf.cast(~kept, "int32"), axis=1, stable=True)
        kept = tf.gather(kept, order, batch_dims=1)

        def move(values: tf.Tensor) -> tf.Tensor:
            values = tf.gather(values, order, batch_dims=1)
            mask = tf.reshape(kept, tf.concat([tf.shape(kept), [1] * (values.shape.rank - 2)], 0))
            return tf.where(mask, values, tf.cast(-1, values.dtype))

        return [move(values) for values in (clipped, *rest)]

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> list[keras.KerasTensor]:
        """Return the specifications of the detections."""
        return [keras.KerasTensor(values.shape, dtype=values.dtype) for values in inputs[1:]]
