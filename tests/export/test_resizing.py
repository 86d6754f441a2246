import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.export.resizing import resize_in_graph
from keras_retinanet.images import RESIZE_RULES, resize_image
from keras_retinanet.model_info import ModelInfo


@pytest.mark.parametrize("size", [(203, 275), (334, 500), (90, 61), (400, 100)])
@pytest.mark.parametrize("rule", RESIZE_RULES)
def test_resizes_as_outside_the_graph(rule, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype("uint8")
    info = ModelInfo("resnet50", 1, image_min_side=100, image_max_side=150, resize_rule=rule)
    resized, factors = resize_in_graph(tf.constant(image), info)
    expected, scale = resize_image(image, 100, 150, rule=rule)
    assert resized.shape == expected.shape
    np.testing.assert_allclose(factors, np.broadcast_to(scale, 4), rtol=1e-6)
    # OpenCV and Pillow compute with fewer digits.
    apart = np.abs(resized.numpy() - expected)
    assert apart.max() <= 1.01
    assert apart.mean() < 0.3


def test_images_may_keep_their_size():
    image = np.zeros((5, 7, 3), "uint8")
    resized, factors = resize_in_graph(tf.constant(image), ModelInfo("resnet50", 1, no_resize=True))
    assert resized.shape == (5, 7, 3)
    np.testing.assert_array_equal(factors, np.ones(4))
