from dataclasses import fields

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.geometry import boxes as box_arithmetic
from keras_retinanet.layers import ClipDetections, FilterDetections, FilterSettings
from keras_retinanet.layers.filter_detections import filter_detections


def plain_filter(boxes, scores, *, specific=True, nms=True, threshold=0.05, count=300, overlap=0.5):
    """The rule in NumPy: (box number, score, label) of the detections, the best first."""
    classes = range(scores.shape[1]) if specific else [None]
    kept = []
    for label in classes:
        column = scores.max(axis=1) if label is None else scores[:, label]
        labels = scores.argmax(axis=1) if label is None else np.full(len(scores), label)
        rows = np.flatnonzero(column > np.float32(threshold))
        if nms:
            rows = _plain_nms(boxes, column, rows, overlap)[:count]
        kept += [(row, column[row], labels[row]) for row in rows]
    # Python's sort is stable, as top_k is.
    return sorted(kept, key=lambda detection: -detection[1])[:count]


def _plain_nms(boxes, scores, rows, overlap):
    kept = []
    for row in rows[np.argsort(-scores[rows], kind="stable")]:
        if not kept or box_arithmetic.iou(boxes[[row]], boxes[kept]).max() <= overlap:
            kept.append(row)
    return kept


def example(n=400, classes=5, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 100, (n, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 40, (n, 2))], axis=1)
    scores = rng.uniform(0, 1, (n, classes))
    if ties:
        scores = np.round(scores * 4) / 4
    return boxes.astype("float32"), scores.astype("float32")


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [1, 5])
@pytest.mark.parametrize("nms", [True, False])
@pytest.mark.parametrize("specific", [True, False])
def test_equals_the_rule_in_numpy(specific, nms, classes, ties):
    boxes, scores = example(classes=classes, ties=ties)
    found = filter_detections(
        tf.constant(boxes),
        tf.constant(scores),
        other=[tf.range(len(boxes))],
        class_specific_filter=specific,
        nms=nms,
        score_threshold=0.4,
        max_detections=40,
        nms_threshold=0.3,
    )
    expected = plain_filter(
        boxes, scores, specific=specific, nms=nms, threshold=0.4, count=40, overlap=0.3
    )
    rows, values, labels = (np.array(column) for column in zip(*expected, strict=True))
    np.testing.assert_array_equal(found[3][: len(rows)], rows)
    np.testing.assert_array_equal(found[0][: len(rows)], boxes[rows])
    np.testing.assert_array_equal(found[1][: len(rows)], values)
    np.testing.assert_array_equal(found[2][: len(rows)], labels)
    assert all((np.asarray(output)[len(rows) :] == -1).all() for output in found)


@pytest.mark.parametrize("specific", [True, False])
@pytest.mark.parametrize("ties", [False, True])
def test_top_k_takes_the_best_scores_of_each_level(specific, ties):
    boxes, scores = example(ties=ties)
    sizes, k = [250, 0, 150], 30
    kept = np.zeros_like(scores)
    for first, size in zip([0, 250, 250], sizes, strict=True):
        level = scores[first : first + size]
        if specific:  # equal scores count by class, then by box
            column, row = np.unravel_index(
                np.argsort(-level.T, axis=None, kind="stable")[:k], level.T.shape
            )
        else:
            row = np.argsort(-level.max(axis=1), kind="stable")[:k]
            column = level[row].argmax(axis=1)
        kept[first + row, column] = level[row, column]
    settings = {"class_specific_filter": specific, "score_threshold": 0.4, "nms_threshold": 0.3}
    found = filter_detections(
        tf.constant(boxes), tf.constant(scores), pre_nms_top_k=k, level_sizes=sizes, **settings
    )
    expected = filter_detections(tf.constant(boxes), tf.constant(kept), **settings)
    for ours, plain in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, plain)
    unlimited = filter_detections(tf.constant(boxes), tf.constant(scores), **settings)
    assert not np.array_equal(found[1], unlimited[1])


@pytest.mark.parametrize("specific", [True, False])
def test_a_large_top_k_changes_nothing(specific):
    inputs = [tf.constant(array[None]) for array in example(ties=True)]
    plain = FilterDetections(class_specific_filter=specific)(inputs)
    layer = FilterDetections(class_specific_filter=specific, pre_nms_top_k=2000)
    for levels in (None, [tf.zeros((1, 100, 4)), tf.zeros((1, 300, 4))]):
        for ours, expected in zip(layer(inputs, levels=levels), plain, strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_small_case_by_hand():
    boxes = [[0, 0, 10, 10], [0, 0, 10, 11], [50, 50, 60, 60], [0, 0, 10, 10]]
    scores = [[0.9, 0.05], [0.8, 0.3], [0.05, 0.7], [0.0, 0.2]]
    found = filter_detections(
        tf.constant(boxes, "float32"), tf.constant(scores), score_threshold=0.05, max_detections=5
    )
    # Box 1 loses class 0 to box 0, box 3 loses class 1 to box 1; 0.05 is not above 0.05.
    np.testing.assert_allclose(found[1], [0.9, 0.7, 0.3, -1, -1])
    np.testing.assert_array_equal(found[2], [0, 1, 1, -1, -1])
    np.testing.assert_array_equal(found[0][2], boxes[1])
    assert found[2].dtype == tf.int32


@pytest.mark.parametrize("n", [0, 3])
@pytest.mark.parametrize("settings", [{}, {"nms": False}, {"class_specific_filter": False}])
def test_nothing_above_the_threshold(n, settings):
    layer = FilterDetections(max_detections=7, **settings)
    found = layer([tf.zeros((2, n, 4)), tf.zeros((2, n, 3)), tf.zeros((2, n, 6, 2))])
    assert [tuple(output.shape) for output in found] == [(2, 7, 4), (2, 7), (2, 7), (2, 7, 6, 2)]
    assert all((np.asarray(output) == -1).all() for output in found)


def test_batch_in_a_graph_of_unknown_sizes():
    layer = FilterDetections(score_threshold=0.5, max_detections=20)
    inputs = [keras.Input((None, 4)), keras.Input((None, 5)), keras.Input((None,), dtype="int32")]
    model = keras.Model(inputs, layer(inputs))
    assert [output.shape for output in model.outputs] == [(None, 20, 4)] + [(None, 20)] * 3
    assert [output.dtype for output in model.outputs] == ["float32", "float32", "int32", "int32"]
    images = [example(seed=1), example(seed=2)]
    boxes, scores = (np.stack(arrays) for arrays in zip(*images, strict=True))
    numbers = np.tile(np.arange(400, dtype="int32"), (2, 1))
    found = model.predict_on_batch([boxes, scores, numbers])
    for image in range(2):
        expected = plain_filter(boxes[image], scores[image], threshold=0.5, count=20)
        np.testing.assert_array_equal(found[3][image], [row for row, _, _ in expected])


def test_shapes_and_masks():
    layer = FilterDetections(max_detections=9)
    shapes = layer.compute_output_shape([(2, None, 4), (2, None, 3), (2, None, 8)])
    assert shapes == [(2, 9, 4), (2, 9), (2, 9), (2, 9, 8)]
    assert layer.compute_mask([None] * 3) == [None] * 4


def test_configuration_gives_every_argument_back():
    arguments = {
        "nms": False,
        "class_specific_filter": False,
        "nms_threshold": 0.1,
        "score_threshold": 0.2,
        "max_detections": 3,
        "parallel_iterations": 4,
        "pre_nms_top_k": 5,
    }
    layer = FilterDetections(**arguments, name="f")
    config = layer.get_config()
    assert arguments.items() <= config.items()
    assert FilterDetections.from_config(config).get_config() == config
    assert layer.settings == FilterSettings(**arguments)


def test_every_setting_is_an_attribute():
    layer = FilterDetections(max_detections=3)
    for field in fields(FilterSettings):
        assert getattr(layer, field.name) == getattr(layer.settings, field.name)
    layer.max_detections = 4
    assert layer.settings == FilterSettings(max_detections=4)
    assert layer([tf.zeros((1, 2, 4)), tf.ones((1, 2, 1))])[1].shape == (1, 4)
    with pytest.raises(ValueError, match="nms_threshold: expected 0 to 1"):
        FilterDetections(nms_threshold=2)


def test_boxes_without_area_are_dropped_before_suppression():
    boxes, scores = example(n=60, classes=2)
    boxes[::3, 2] = boxes[::3, 0]
    settings = {"pre_nms_top_k": 20, "score_threshold": 0.1, "max_detections": 20}
    found = FilterDetections(**settings, drop_empty=True)([boxes[None], scores[None]])
    # The best 20 are chosen first; then those without area count no more.
    order = np.argsort(-scores.T.ravel(), kind="stable")[:20]
    rest = np.zeros_like(scores)
    rest.T.flat[order] = scores.T.flat[order]
    rest[::3] = 0
    expected = plain_filter(boxes, rest, threshold=0.1, count=20)
    rows = [row for row, _, _ in expected]
    np.testing.assert_array_equal(found[0][0, : len(rows)], boxes[rows])
    assert (np.asarray(found[2])[0, len(rows) :] == -1).all()
    assert len(rows) < 20


def test_detections_are_clipped_last_and_those_outside_give_way_to_padding():
    image = np.zeros((1, 40, 50, 3), "float32")
    boxes = np.array([[[-5, 2, 20, 60], [60, 0, 70, 10], [10, 10, 20, 20], [-1, -1, -1, -1]]])
    scores, labels = np.array([[0.9, 0.8, 0.7, -1]]), np.array([[3, 1, 0, -1]], "int32")
    found = ClipDetections()([image, boxes.astype("float32"), scores.astype("float32"), labels])
    expected = [[0, 2, 20, 40], [10, 10, 20, 20], [-1] * 4, [-1] * 4]
    np.testing.assert_array_equal(found[0][0], expected)
    np.testing.assert_allclose(found[1][0], [0.9, 0.7, -1, -1], atol=1e-6)
    np.testing.assert_array_equal(found[2][0], [3, 0, -1, -1])
    assert found[2].dtype == "int32"
