"""From a box and class scores for every anchor to the detections of an image."""

import keras
import tensorflow as tf


def filter_detections(
    boxes,
    classification,
    other=(),
    class_specific_filter=True,
    nms=True,
    score_threshold=0.05,
    max_detections=300,
    nms_threshold=0.5,
    *,
    pre_nms_top_k=None,
    level_sizes=None,
):
    """Return the best boxes of one image.

    Args:
        boxes: tensor `(N, 4)` of x1, y1, x2, y2.
        classification: tensor `(N, C)` of scores.
        other: tensors `(N, ...)` of which to return the rows of the kept boxes too.
        class_specific_filter: whether a box may be kept once for each class; else only its best
            class counts, and boxes of different classes suppress each other.
        nms: whether to leave out a box that overlaps a better one.
        score_threshold: scores must be greater than this.
        max_detections: number of boxes kept at most, per class and in total.
        nms_threshold: intersection over union above which the lesser box is left out.
        pre_nms_top_k: number of scores above the threshold to look at in each pyramid level, the
            best ones; None means all.
        level_sizes: tensor `(L,)` of whole numbers, how many of the `N` rows each level has, in
            their order; None means one level.

    Returns:
        List of boxes `(max_detections, 4)`, scores `(max_detections,)`, int32 labels
        `(max_detections,)`, then one tensor for each of `other`; by falling score, equal ones by
        class, then by box; rows without a detection hold -1.
    """
    if class_specific_filter:
        rows, labels = _candidates(classification, score_threshold)
    else:
        best = tf.argmax(classification, axis=1)
        rows = tf.where(tf.reduce_max(classification, axis=1) > score_threshold)[:, 0]
        labels = tf.gather(best, rows)
    scores = tf.gather_nd(classification, tf.stack([rows, labels], axis=1))
    if pre_nms_top_k is not None:
        best = _best_of_levels(rows, scores, level_sizes, pre_nms_top_k)
        rows, labels, scores = (tf.gather(values, best) for values in (rows, labels, scores))
    if nms:
        groups = labels if class_specific_filter else tf.zeros_like(labels)
        kept = _suppress(tf.gather(boxes, rows), scores, groups, max_detections, nms_threshold)
        rows, labels, scores = (tf.gather(values, kept) for values in (rows, labels, scores))
    scores, order = tf.nn.top_k(scores, k=tf.minimum(max_detections, tf.size(scores)))
    rows, labels = tf.gather(rows, order), tf.cast(tf.gather(labels, order), "int32")
    found = [tf.gather(boxes, rows), scores, labels, *(tf.gather(o, rows) for o in other)]
    return [_pad(values, max_detections) for values in found]


def _candidates(classification, score_threshold):
    """Return box numbers and classes of the scores above the threshold, class by class.

    Few of a hundred thousand boxes have any such score, so the boxes are sifted first: reading
    the maximum of each is several times faster than listing positions in the whole matrix.
    """
    rows = tf.where(tf.reduce_max(classification, axis=1) > score_threshold)[:, 0]
    above = tf.gather(classification, rows) > score_threshold
    positions = tf.where(tf.transpose(above))
    return tf.gather(rows, positions[:, 1]), positions[:, 0]


def _best_of_levels(rows, scores, level_sizes, count):
    """Return the positions of the `count` best scores of each level, in the order they had."""
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    if level_sizes is None:
        return tf.sort(order[:count])
    ends = tf.cast(tf.cumsum(level_sizes), rows.dtype)
    levels = tf.searchsorted(ends, tf.gather(rows, order), side="right")
    in_level = tf.one_hot(levels, tf.size(ends), dtype="int32")
    ranks = tf.reduce_sum(tf.cumsum(in_level) * in_level, axis=1)  # from 1
    return tf.sort(tf.boolean_mask(order, ranks <= count))


def _suppress(boxes, scores, groups, max_detections, nms_threshold):
    """Return the positions that non-maximum suppression keeps in each run of equal `groups`."""
    _, _, counts = tf.unique_with_counts(groups)
    ends = tf.cumsum(counts)

    def one_group(i, kept):
        start, end = ends[i] - counts[i], ends[i]
        chosen = tf.image.non_max_suppression(
            boxes[start:end], scores[start:end], max_detections, iou_threshold=nms_threshold
        )
        return i + 1, tf.concat([kept, start + chosen], axis=0)

    _, kept = tf.while_loop(
        lambda i, _: i < tf.size(counts),
        one_group,
        (tf.constant(0), tf.zeros((0,), "int32")),
        shape_invariants=(tf.TensorShape(()), tf.TensorShape((None,))),
    )
    return kept


def _pad(values, length):
    """Return `values` with rows of -1 added up to `length`, and that length as static shape."""
    missing = [[0, length - tf.shape(values)[0]]] + [[0, 0]] * (values.shape.rank - 1)
    padded = tf.pad(values, missing, constant_values=tf.cast(-1, values.dtype))
    return tf.ensure_shape(padded, (length, *values.shape[1:]))


@keras.saving.register_keras_serializable(package="keras_retinanet")
class FilterDetections(keras.layers.Layer):
    """`filter_detections` for every image of a batch."""

    def __init__(
        self,
        nms=True,
        class_specific_filter=True,
        nms_threshold=0.5,
        score_threshold=0.05,
        max_detections=300,
        parallel_iterations=32,
        *,
        pre_nms_top_k=None,
        **kwargs,
    ):
        """Keep the settings; see `filter_detections`.

        Args:
            nms: whether to leave out a box that overlaps a better one.
            class_specific_filter: whether to filter each class by itself.
            nms_threshold: intersection over union above which the lesser box is left out.
            score_threshold: scores must be greater than this.
            max_detections: number of boxes kept at most.
            parallel_iterations: number of images worked on at the same time.
            pre_nms_top_k: number of scores looked at in each pyramid level; None means all.
            **kwargs: for `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.nms = nms
        self.class_specific_filter = class_specific_filter
        self.nms_threshold = nms_threshold
        self.score_threshold = score_threshold
        self.max_detections = max_detections
        self.parallel_iterations = parallel_iterations
        self.pre_nms_top_k = pre_nms_top_k

    def call(self, inputs, levels=None):
        """Return boxes, scores, labels and the rest, each with a leading batch axis.

        Args:
            inputs: list of boxes `(B, N, 4)`, classification `(B, N, C)` and any number of
                other tensors `(B, N, ...)`.
            levels: the parts `(B, n, ...)` that were joined to `N` rows, one for each pyramid
                level; only their lengths count, and only for `pre_nms_top_k`. None means one level.
        """
        settings = {
            "nms": self.nms,
            "class_specific_filter": self.class_specific_filter,
            "score_threshold": self.score_threshold,
            "max_detections": self.max_detections,
            "nms_threshold": self.nms_threshold,
            "pre_nms_top_k": self.pre_nms_top_k,
        }
        if levels is not None:
            settings["level_sizes"] = tf.stack([tf.shape(level)[1] for level in levels])
        boxes, classification, *other = (tf.convert_to_tensor(values) for values in inputs)
        kept = (self.max_detections,)
        signature = [
            tf.TensorSpec((*kept, 4), boxes.dtype),
            tf.TensorSpec(kept, classification.dtype),
            tf.TensorSpec(kept, "int32"),
            *(tf.TensorSpec(kept + tuple(o.shape[2:]), o.dtype) for o in other),
        ]
        # Mapping over numbers, not over the tensors, spares a copy of all scores.
        return tf.map_fn(
            lambda i: filter_detections(
                boxes[i], classification[i], [values[i] for values in other], **settings
            ),
            tf.range(tf.shape(boxes)[0]),
            fn_output_signature=signature,
            # TensorFlow warns about the setting where nothing runs in parallel.
            parallel_iterations=None if tf.executing_eagerly() else self.parallel_iterations,
        )

    def compute_output_spec(self, inputs, levels=None):
        """Return the specifications of the outputs."""
        kept = (inputs[0].shape[0], self.max_detections)
        shapes = [(*kept, 4), kept, kept, *((*kept, *o.shape[2:]) for o in inputs[2:])]
        dtypes = [inputs[0].dtype, inputs[1].dtype, "int32", *(o.dtype for o in inputs[2:])]
        return [
            keras.KerasTensor(shape, dtype=dtype)
            for shape, dtype in zip(shapes, dtypes, strict=True)
        ]

    def compute_output_shape(self, input_shape):
        """Return the shapes of the outputs for the list of shapes of the inputs."""
        kept = (input_shape[0][0], self.max_detections)
        return [(*kept, 4), kept, kept, *((*kept, *shape[2:]) for shape in input_shape[2:])]

    def compute_mask(self, inputs, mask=None):
        """Return no mask for every output."""
        return [None] * (len(inputs) + 1)

    def get_config(self):
        """Return the arguments of the layer."""
        return {
            **super().get_config(),
            "nms": self.nms,
            "class_specific_filter": self.class_specific_filter,
            "nms_threshold": self.nms_threshold,
            "score_threshold": self.score_threshold,
            "max_detections": self.max_detections,
            "parallel_iterations": self.parallel_iterations,
            "pre_nms_top_k": self.pre_nms_top_k,
        }
