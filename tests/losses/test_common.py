import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.losses import common

# Two positive anchors, none, and one, beside background and ignored ones.
STATES = np.array([[1, 0, 1, -1], [0, 0, -1, -1], [1, 0, 0, -1]], "float32")


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1)])
def test_a_batch_is_divided_by_its_positives(shape):
    assert float(common.divisor(STATES.reshape(shape), "batch")) == 3
    assert float(common.divisor(np.zeros(shape), "batch")) == 1


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1)])
def test_images_are_divided_by_their_own_positives_and_averaged(shape):
    found = np.array(common.divisor(STATES.reshape(shape), "image"))
    assert found.ravel().tolist() == [6, 3, 3]
    sums = np.arange(12.0).reshape(shape)
    expected = np.mean([(0 + 1 + 2 + 3) / 2, 4 + 5 + 6 + 7, 8 + 9 + 10 + 11])
    assert np.sum(sums / found) == pytest.approx(expected)


def test_one_image_is_the_same_either_way():
    for row in STATES:
        batch, image = (np.array(common.divisor(row[None], name)) for name in common.NORMALISERS)
        assert batch == image


def test_only_known_normalisers_are_accepted():
    for name in common.NORMALISERS:
        common.check_normaliser(name)
    with pytest.raises(ValueError, match="normaliser: expected one of batch, image, got None"):
        common.check_normaliser(None)


def test_the_loss_of_one_device_is_that_of_the_batch():
    # Several devices: training/test_distribution.py.
    loss = tf.constant(3.0)
    assert common.joint(loss) is loss
