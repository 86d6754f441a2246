import numpy as np

from keras_retinanet.geometry import anchor_fit, boxes
from keras_retinanet.geometry.anchors import AnchorParameters, anchors_for_shape


def random_boxes(seed, n, low, high, image=320):
    rng = np.random.default_rng(seed)
    sides = rng.uniform(low, high, (n, 2))
    corners = rng.uniform(0, image - sides)
    return np.concatenate([corners, corners + sides], axis=1)


def test_overlaps_are_those_with_all_anchors_of_an_image():
    found = random_boxes(0, 200, 12, 200)
    exact = boxes.iou(found, anchors_for_shape((320, 320))).max(axis=1)
    np.testing.assert_allclose(
        anchor_fit.best_overlaps(found, AnchorParameters.default), exact, atol=1e-9
    )


def test_usual_sizes_stay_for_usual_boxes():
    found = random_boxes(1, 300, 32, 300)
    fit = anchor_fit.fit_anchors(found, np.zeros(300))
    assert fit.params is AnchorParameters.default
    assert fit.matched == fit.matched_before > 0.9


def test_small_boxes_get_small_anchors():
    found = random_boxes(2, 300, 10, 20)
    fit = anchor_fit.fit_anchors(found, np.zeros(300))
    assert fit.matched_before < 0.4
    assert fit.matched > 0.8
    assert fit.params.sizes[0] <= 16
    assert fit.params.strides == AnchorParameters.default.strides


def test_a_rare_class_of_small_boxes_counts_like_a_common_one():
    found = np.concatenate([random_boxes(3, 500, 40, 120), random_boxes(4, 10, 14, 20)])
    labels = np.repeat([0, 1], [500, 10])
    fit = anchor_fit.fit_anchors(found, labels)
    assert fit.matched_before < 0.7
    assert fit.matched > 0.95


def test_no_boxes_change_nothing():
    fit = anchor_fit.fit_anchors(np.zeros((0, 4)), np.zeros(0))
    assert fit.params is AnchorParameters.default
