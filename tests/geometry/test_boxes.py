import keras
import numpy as np
import pytest

from keras_retinanet.geometry import boxes

ANCHOR = np.array([[10.0, 20, 30, 60]])


def random_boxes(rng, n):
    corners = rng.uniform(0, 100, (n, 2))
    return np.concatenate([corners, corners + rng.uniform(1, 50, (n, 2))], axis=1)


def test_iou_by_hand():
    first = np.array([[0.0, 0, 10, 10]])
    others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4]])
    # Shared areas 100, 50, 0, 4 over unions 100, 150, 200, 100.
    np.testing.assert_allclose(boxes.iou(first, others), [[1, 1 / 3, 0, 0.04]])


def test_iou_of_no_boxes_and_of_empty_boxes():
    assert boxes.iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
    assert boxes.iou(np.zeros((2, 4)), np.zeros((0, 4))).shape == (2, 0)
    assert boxes.iou(np.zeros((1, 4)), np.zeros((1, 4))) == 0


def test_valid_boxes_have_an_area_and_lie_inside():
    found = np.array(
        [
            [0.0, 0, 30, 20],  # the whole image
            [5, 5, 5, 9],
            [9, 5, 5, 9],
            [-0.1, 0, 4, 4],
            [0, 0, 30.1, 4],
            [0, 0, 4, 20.1],
            [np.nan, 0, 4, 4],
        ]
    )
    assert boxes.are_valid(found, 20, 30).tolist() == [True] + [False] * 6
    assert boxes.are_valid(np.zeros((0, 4)), 20, 30).shape == (0,)


@pytest.mark.parametrize(
    ("shape", "tolerance"), [((20, 30), [1, 1]), ((500, 501), [1.002, 1]), ((2000, 500), [1, 4])]
)
def test_how_far_a_box_may_leave_its_image(shape, tolerance):
    np.testing.assert_allclose(boxes.edge_tolerance(*shape), tolerance)


# A box in an image 30 pixels wide and 20 high -> what it becomes, None if it cannot be used.
AT_THE_EDGE = {
    (0, 0, 30, 20): (0, 0, 30, 20),
    (1, 2, 3, 4): (1, 2, 3, 4),
    (-0.5, 2, 3, 4): (0, 2, 3, 4),
    (1, -1, 3, 4): (1, 0, 3, 4),
    (-1, -1, 31, 21): (0, 0, 30, 20),
    (1, 2, 31 + 1e-9, 4): (1, 2, 30, 4),
    (1, 2, 31.1, 4): None,
    (-1.1, 2, 3, 4): None,
    (1, 2, 3, 21.1): None,
    (1, -1.1, 3, 4): None,
    (-1, 2, 0, 4): None,  # no area is left
    (30, 2, 31, 4): None,
    (29.5, 2, 31, 4): (29.5, 2, 30, 4),
    (3, 2, 3, 4): None,
    (5, 2, 3, 4): None,
    (-1, 21, 31, 4): None,
    (np.nan, 2, 3, 4): None,
    (1, 2, np.inf, 4): None,
}


def test_boxes_at_the_edge_are_clipped_to_it():
    given = np.array(list(AT_THE_EDGE), "float64")
    before = given.copy()
    clipped, usable, changed = boxes.clip_to_image(given, 20, 30)
    np.testing.assert_array_equal(given, before)
    for box, (old, new) in enumerate(AT_THE_EDGE.items()):
        assert usable[box] == (new is not None), old
        assert changed[box] == (new not in (old, None)), old
        np.testing.assert_array_equal(clipped[box], old if new is None else new)
    for array, shape in zip(
        boxes.clip_to_image(np.zeros((0, 4)), 20, 30), ((0, 4), (0,), (0,)), strict=True
    ):
        assert array.shape == shape


def test_in_a_large_image_a_box_may_leave_further():
    given = np.array([[-4.0, 0, 5, 5], [-4.1, 0, 5, 5], [0, -1.1, 5, 5]])
    _, usable, _ = boxes.clip_to_image(given, 500, 2000)
    assert usable.tolist() == [True, False, False]


def test_clip_of_tensors_is_that_of_arrays():
    found = random_boxes(np.random.default_rng(1), 9).astype("float32")
    expected = boxes.clip(found, 60, 70)
    tensor = boxes.clip(keras.ops.array(found), keras.ops.array(60.0), keras.ops.array(70.0))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(tensor), expected, rtol=1e-6)


def test_clip_keeps_boxes_on_the_pixels():
    clipped = boxes.clip(np.array([[-5.0, -1, 200, 300], [1, 2, 3, 4]]), 40, 50)
    assert clipped.tolist() == [[0, 0, 49, 39], [1, 2, 3, 4]]


def test_shift_puts_anchors_on_cell_centres():
    anchors = np.array([[-1.0, -2, 1, 2], [-3, -3, 3, 3]])
    shifted = boxes.shift((2, 3), 8, anchors)
    assert shifted.shape == (12, 4)
    assert shifted[0].tolist() == [3, 2, 5, 6]
    assert shifted[3].tolist() == [9, 1, 15, 7]
    assert shifted[-1].tolist() == [17, 9, 23, 15]


def test_shift_with_two_strides_and_no_offset():
    found = boxes.shift((2, 2), (10, 20), np.array([[-1.0, -2, 1, 2]]), offset=0)
    expected = [[-1, -2, 1, 2], [19, -2, 21, 2], [-1, 8, 1, 12], [19, 8, 21, 12]]
    np.testing.assert_array_equal(found, expected)


def test_corners_are_put_in_order():
    given = np.float32([[1, 2, 3, 4], [3, 2, 1, 4], [3, 4, 1, 2]])
    np.testing.assert_array_equal(boxes.order_corners(given), np.float32([[1, 2, 3, 4]] * 3))
    assert boxes.order_corners(np.zeros((0, 4))).shape == (0, 4)
