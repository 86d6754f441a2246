import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.layers import FilterDetections
from keras_retinanet.layers.filter_detections import filter_image
from keras_retinanet.layers.fixed_filter import filter_fixed


def example(n=400, classes=5, images=2):
    """Boxes (images, n, 4) and scores (images, n, classes), all different."""
    rng = np.random.default_rng(classes)
    corners = rng.uniform(0, 100, (images, n, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 40, (images, n, 2))], axis=-1)
    scores = rng.permutation(images * n * classes).reshape(images, n, classes) / (n * 2 * classes)
    return tf.constant(boxes, "float32"), tf.constant(scores, "float32")


@pytest.mark.parametrize("threshold", [0.4, 0.9999])
@pytest.mark.parametrize("classes", [1, 5, 80])
@pytest.mark.parametrize("nms", [True, False])
@pytest.mark.parametrize("specific", [True, False])
def test_gives_what_the_exact_filter_gives(specific, nms, classes, threshold):
    boxes, scores = example(classes=classes)
    rows = tf.range(400)[None] + tf.zeros((2, 1), "int32")
    settings = FilterSettings(
        nms=nms,
        class_specific_filter=specific,
        score_threshold=threshold,
        nms_threshold=0.3,
        max_detections=40,
        pre_nms_top_k=200,
    )
    sizes = [300, 80, 20]
    found = filter_fixed(boxes, scores, [rows], settings, sizes)
    for i in range(2):
        exact = filter_image(boxes[i], scores[i], [rows[i]], settings, sizes)
        for ours, expected in zip(found, exact, strict=True):
            np.testing.assert_array_equal(ours[i], expected)


def test_boxes_without_area_are_dropped_where_asked():
    boxes = tf.constant([[[0, 0, 10, 10], [5, 5, 5, 9]]], "float32")
    scores = tf.constant([[[0.9], [0.8]]])
    for drop_empty, count in ((True, 1), (False, 2)):
        settings = FilterSettings(drop_empty=drop_empty, max_detections=3)
        labels = filter_fixed(boxes, scores, [], settings, [2])[2].numpy()
        assert (labels[0] >= 0).sum() == count


def test_no_shape_depends_on_the_scores_and_nothing_loops():
    layer = FilterDetections(fixed_shapes=True)
    signature = [tf.TensorSpec((None, None, 4)), tf.TensorSpec((None, None, 3))]
    graph = tf.function(lambda *inputs: layer(list(inputs)), input_signature=signature)
    kinds = {op.type for op in graph.get_concrete_function().graph.get_operations()}
    assert not kinds & {"Where", "While", "StatelessWhile", "UniqueWithCounts", "Unique"}
    boxes, scores = example(classes=3)
    assert [tuple(values.shape) for values in graph(boxes, scores)] == [(2, 300, 4)] + [
        (2, 300)
    ] * 2


def test_levels_count_apart():
    boxes, scores = example(classes=2, images=1)
    layer = FilterDetections(fixed_shapes=True, nms=False, pre_nms_top_k=3, score_threshold=0.0)
    levels = [tf.zeros((1, n, 4)) for n in (300, 100)]
    one = layer([boxes, scores])[1].numpy()
    two = layer([boxes, scores], levels=levels)[1].numpy()
    assert (one > 0).sum() == 3
    parts = np.sort(scores.numpy()[0, :300].ravel())[-3:], np.sort(scores.numpy()[0, 300:].ravel())
    expected = np.sort(np.concatenate([parts[0], parts[1][-3:]]))[::-1]
    np.testing.assert_array_equal(two[two > 0], expected)


def test_boxes_without_area_and_with_corners_in_another_order_are_filtered_alike():
    boxes = [[0, 0, 10, 0], [0, 0, 10, 10], [10, 0, 0, 10], [0, 0, 10, 0], [0, 0, 9, 10]]
    boxes = tf.constant([boxes], "float32")
    scores = tf.constant([[[0.9], [0.8], [0.7], [0.6], [0.5]]])
    settings = FilterSettings(max_detections=5)
    found = filter_fixed(boxes, scores, [], settings, [5])
    expected = filter_image(boxes[0], scores[0], [], settings)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours[0], theirs)
    np.testing.assert_allclose(found[1][0], [0.9, 0.8, 0.6, -1, -1])
