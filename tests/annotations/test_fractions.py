import numpy as np
import pytest

from keras_retinanet.annotations import fractions


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((0, 0, 1, 1), (0, 0, 40, 20)),
        ((0.25, 0.5, 0.5, 1), (10, 10, 20, 20)),
        # Rounding to six digits.
        ((-5e-7, 0, 1.0000005, 1), (0, 0, 40, 20)),
        # More than that is decided on by whoever knows what is allowed.
        ((-0.01, 0, 1.25, 1.001), (-0.4, 0, 50, 20.02)),
        ((-1e9, 0, 1e9, 1), (-4e10, 0, 4e10, 20)),
    ],
)
def test_scale(box, pixels):
    boxes = np.array([box, box], "float64")
    sizes = np.array([[40, 20], [80, 60]])
    found = fractions.scale(boxes, sizes)
    np.testing.assert_allclose(found, [pixels, np.array(pixels) * [2, 3, 2, 3]])
    np.testing.assert_array_equal(fractions.scale(boxes[:1], sizes[0]), found[:1])
    assert fractions.scale(boxes[:0], sizes[:0]).shape == (0, 4)


def test_what_is_no_fraction():
    boxes = np.array([[0, 0, 1, 1], [-0.5, 0, 1.5, 1], [0, 0, 1, 2.5], [-2, 0, 1, 1]])
    assert fractions.are_far_outside(boxes).tolist() == [False, False, True, True]
    assert fractions.are_far_outside(boxes[:0]).shape == (0,)
