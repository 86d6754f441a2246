import math

import keras
import numpy as np
import pytest

from keras_retinanet.initializers import PriorProbability


def test_sigmoid_of_the_bias_is_the_probability():
    bias = np.asarray(PriorProbability(probability=0.01)((3,), dtype="float32"))
    assert bias == pytest.approx([-4.59512] * 3, abs=1e-5)  # the paper's b for pi = 0.01
    assert 1 / (1 + math.exp(-float(bias[0]))) == pytest.approx(0.01)


def test_survives_serialisation():
    config = keras.initializers.serialize(PriorProbability(0.3))
    restored = keras.initializers.deserialize(config)
    assert isinstance(restored, PriorProbability)
    assert restored.probability == 0.3


@pytest.mark.parametrize("probability", [0, 1, -0.2])
def test_refuses_what_is_no_probability(probability):
    with pytest.raises(ValueError, match="between 0 and 1"):
        PriorProbability(probability)
