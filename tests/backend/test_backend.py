import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import backend


def test_box_functions():
    anchors = np.array([[[0, 0, 10, 20]]], "float32")
    moved = backend.bbox_transform_inv(anchors, np.ones((1, 1, 4), "float32"))
    np.testing.assert_allclose(moved, [[[2, 4, 12, 24]]], atol=1e-6)
    shifted = backend.shift(tf.constant([1, 2]), 10, np.array([[-1.0, -1, 1, 1]], "float32"))
    np.testing.assert_allclose(shifted, [[4, 4, 6, 6], [14, 4, 16, 6]])


def test_meshgrid():
    columns, rows = backend.meshgrid(tf.range(3), tf.range(2))
    np.testing.assert_array_equal(columns, [[0, 1, 2], [0, 1, 2]])
    np.testing.assert_array_equal(rows, [[0, 0, 0], [1, 1, 1]])


def test_map_fn_takes_shapes_and_dtypes_as_lists():
    doubled, sums = backend.map_fn(
        lambda row: [2 * row, tf.reduce_sum(row)],
        elems=tf.constant([[1.0, 2], [3, 4]]),
        dtype=["float32", "float32"],
        shapes=[(2,), ()],
    )
    np.testing.assert_array_equal(doubled, [[2, 4], [6, 8]])
    np.testing.assert_array_equal(sums, [3, 7])


def test_resize_images():
    image = tf.reshape(tf.range(4.0), (1, 2, 2, 1))
    resized = backend.resize_images(image, (4, 4), method="nearest")
    np.testing.assert_array_equal(resized[0, 0, :, 0], [0, 0, 1, 1])
    corners = backend.resize_images(image, (3, 3), align_corners=True)
    np.testing.assert_allclose(corners[0, :, :, 0], [[0, 0.5, 1], [1, 1.5, 2], [2, 2.5, 3]])
    with pytest.raises(ValueError, match="expected a method of"):
        backend.resize_images(image, (3, 3), method="cubic")
