import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.geometry.suppression import filter_boxes, suppress
from keras_retinanet.layers.filter_detections import filter_image


def example(n=300, classes=4):
    rng = np.random.default_rng(classes)
    corners = rng.uniform(0, 100, (n, 2))
    sides = rng.uniform(-20, 40, (n, 2))  # some corners in another order
    boxes = np.concatenate([corners, corners + sides], axis=1).astype("float32")
    scores = rng.permutation(n * classes).reshape(n, classes).astype("float32") / (n * classes)
    return boxes, scores


@pytest.mark.parametrize("drop_empty", [True, False])
@pytest.mark.parametrize("top_k", [None, 30])
@pytest.mark.parametrize("nms", [True, False])
@pytest.mark.parametrize("specific", [True, False])
def test_gives_what_the_filter_in_tensorflow_gives(specific, nms, top_k, drop_empty):
    boxes, scores = example()
    settings = FilterSettings(
        nms=nms,
        class_specific_filter=specific,
        score_threshold=0.6,
        nms_threshold=0.3,
        max_detections=25,
        pre_nms_top_k=top_k,
        drop_empty=drop_empty,
    )
    sizes = [200, 0, 100]
    found = filter_boxes(boxes, scores, settings, sizes)
    expected = filter_image(tf.constant(boxes), tf.constant(scores), [], settings, sizes)
    count = int((expected[2].numpy() >= 0).sum())
    assert len(found[1]) == count > 0
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs[:count])


def test_nothing_above_the_threshold():
    boxes, scores = example()
    for n in (0, 5):
        found = filter_boxes(boxes[:n], scores[:n] * 0, FilterSettings())
        assert [values.shape for values in found] == [(0, 4), (0,), (0,)]


def test_a_box_is_dropped_where_it_overlaps_a_better_one_by_hand():
    # IoU of the second with the first: 80 / 120; the third touches neither.
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 0, 60, 10]], "float32")
    assert suppress(boxes, FilterSettings(nms_threshold=0.6)).tolist() == [0, 2]
    assert suppress(boxes, FilterSettings(nms_threshold=0.7)).tolist() == [0, 1, 2]
    assert suppress(boxes, FilterSettings(nms_threshold=0.7, max_detections=2)).tolist() == [0, 1]
