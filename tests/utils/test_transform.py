"""Transforms under their old import path, with the arguments that 1.0.0 took."""

import numpy as np
import pytest

from keras_retinanet.utils.transform import colvec, scaling, translation


@pytest.mark.parametrize("vector", [(3, 5), [3, 5], np.array([3, 5]), colvec(3, 5)])
def test_vectors_of_any_form(vector):
    assert translation(vector).tolist() == [[1, 0, 3], [0, 1, 5], [0, 0, 1]]
    assert scaling(vector).tolist() == [[3, 0, 0], [0, 5, 0], [0, 0, 1]]
