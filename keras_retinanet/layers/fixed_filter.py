"""The filter of detections for exported models: every tensor has a shape that is known before."""

from collections.abc import Sequence

import tensorflow as tf

from keras_retinanet.geometry.filter_settings import FIXED_TOP_K, FilterSettings


def filter_fixed(
    boxes: tf.Tensor,
    classification: tf.Tensor,
    other: Sequence[tf.Tensor],
    settings: FilterSettings,
    level_sizes: Sequence[tf.Tensor | int],
) -> list[tf.Tensor]:
    """Return the best boxes of each image, as `filter_image` does, with operations that export.

    The candidates are the best `settings.pre_nms_top_k` scores of each level, `FIXED_TOP_K` for
    None, whether they are above the threshold or not: no shape depends on what the network finds.
    Equal scores are in no particular order.

    Args:
        boxes: tensor `(B, N, 4)` of x1, y1, x2, y2.
        classification: tensor `(B, N, C)` of scores.
        other: tensors `(B, N, ...)`, whose rows of the kept boxes are returned too.
        settings: which boxes to keep.
        level_sizes: how many of the `N` rows belong to each pyramid level, in order.

    Returns:
        Boxes `(B, max_detections, 4)`, scores and int32 labels `(B, max_detections)`, then one
        tensor for each of `other`, padded with -1.
    """
    rows, labels, scores = _candidates(classification, settings, level_sizes)
    near = tf.gather(boxes, rows, batch_dims=1)  # (B, M, 4)
    is_candidate = scores > settings.score_threshold
    if settings.drop_empty:
        is_candidate &= tf.reduce_all(near[..., 2:] > near[..., :2], axis=-1)
    scores = tf.where(is_candidate, scores, -1.0)
    if settings.nms:
        groups = labels if settings.class_specific_filter else tf.zeros_like(labels)
        is_kept = _suppress(near, scores, groups, classification.shape[-1], settings)
        scores = tf.where(is_kept, scores, -1.0)
    count = settings.max_detections
    # Candidates may be fewer than the detections to return.
    scores = tf.pad(scores, [[0, 0], [0, count]], constant_values=-1.0)
    scores, kept = tf.math.top_k(scores, k=count)
    kept = tf.minimum(kept, tf.shape(rows)[1] - 1)
    rows = tf.gather(rows, kept, batch_dims=1)
    found = [
        tf.gather(near, kept, batch_dims=1),
        scores,
        tf.gather(labels, kept, batch_dims=1),
        *(tf.gather(values, rows, batch_dims=1) for values in other),
    ]
    return [_mask(values, scores >= 0) for values in found]


def _candidates(
    classification: tf.Tensor, settings: FilterSettings, level_sizes: Sequence[tf.Tensor | int]
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return row, label and score of the best scores of each level, each `(B, M)`.

    The best K scores of a level are in at most K of its rows, those with the best maxima: so only
    these have to be looked at class by class.
    """
    classes, top_k = classification.shape[-1], settings.pre_nms_top_k or FIXED_TOP_K
    best = tf.reduce_max(classification, axis=-1)  # (B, N)
    start, found = 0, []
    for size in level_sizes:
        count = tf.minimum(top_k, size)
        scores, rows = tf.math.top_k(best[:, start : start + size], k=count)
        rows += start
        if settings.class_specific_filter:
            each = tf.gather(classification, rows, batch_dims=1)  # (B, K, C)
            each = tf.reshape(each, (tf.shape(each)[0], -1))
            wanted = tf.minimum(top_k, tf.shape(each)[1])
            scores, positions = tf.math.top_k(each, k=wanted)
            rows = tf.gather(rows, positions // classes, batch_dims=1)
            labels = positions % classes
        else:
            each = tf.gather(classification, rows, batch_dims=1)
            labels = tf.argmax(each, axis=-1, output_type="int32")
        found.append((rows, labels, scores))
        start += size
    rows, labels, scores = (tf.concat(values, axis=1) for values in zip(*found, strict=True))
    return rows, labels, scores


def _suppress(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    groups: tf.Tensor,
    classes: int,
    settings: FilterSettings,
) -> tf.Tensor:
    """Return which boxes `(B, M)` non-maximum suppression keeps.

    All images are filtered at once, as loops are exported badly. Boxes of different images or
    groups are moved apart, so that they do not overlap: onto a square grid, since the coordinates
    of a row of 80 cells would have few digits after the point.
    """
    shape = tf.shape(scores)
    cells = groups + classes * tf.range(shape[0])[:, None]
    side = tf.cast(tf.math.ceil(tf.sqrt(tf.cast(classes * shape[0], "float32"))), "int32")
    moves = tf.stack([cells % side, cells // side] * 2, axis=-1)  # (B, M, 4)
    # A box without area overlaps nothing; LiteRT's suppression would end with it.
    is_candidate = scores > settings.score_threshold
    has_area = tf.reduce_all(boxes[..., 2:] != boxes[..., :2], axis=-1)
    scores = tf.where(has_area, scores, -1.0)
    # Boxes that are no candidates may be anywhere.
    boxes = tf.where(is_candidate[..., None], boxes, 0.0)
    cell_size = tf.reduce_max(boxes) - tf.reduce_min(boxes) + 1
    moved = boxes + tf.cast(moves, boxes.dtype) * cell_size
    total = shape[0] * shape[1]
    kept, valid = tf.raw_ops.NonMaxSuppressionV4(
        boxes=tf.reshape(moved, (-1, 4)),
        scores=tf.reshape(scores, (-1,)),
        max_output_size=total,
        iou_threshold=settings.nms_threshold,
        score_threshold=settings.score_threshold,
        pad_to_max_output_size=True,
    )
    # The padding of `kept` goes to a place of its own: what a runtime makes of several values for
    # one place differs.
    places = tf.where(tf.range(total) < valid, kept, total)
    is_kept = tf.scatter_nd(places[:, None], tf.ones_like(places), [total + 1])
    return tf.reshape(is_kept[:total] > 0, shape) | (is_candidate & ~has_area)


def _mask(values: tf.Tensor, is_kept: tf.Tensor) -> tf.Tensor:
    """Return values `(B, n, ...)` with -1 where `is_kept` `(B, n)` is false."""
    for _ in range(values.shape.rank - 2):
        is_kept = is_kept[..., None]
    return tf.where(is_kept, values, tf.cast(-1, values.dtype))
