import h5py
import keras
import numpy as np
import pytest

from keras_retinanet.models.building import limited_weights, stored_numbers
from keras_retinanet.system.limits import MIN_MODEL_NUMBERS


def test_counts_the_numbers_of_all_datasets(tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["a/b"] = np.zeros((3, 4))
        file["c"] = 1.0
        assert stored_numbers(file) == 13


def test_kernels_within_the_bound_begin_as_zeros_and_all_else_as_it_is_told():
    with limited_weights(stored=4 * 5):
        layer = keras.layers.Dense(5, bias_initializer=keras.initializers.Constant(3.0))
        layer.build((None, 3))
    kernel, bias = layer.get_weights()
    np.testing.assert_array_equal(kernel, np.zeros((3, 5)))
    np.testing.assert_array_equal(bias, np.full(5, 3.0))
    layer = keras.layers.Dense(5)
    layer.build((None, 3))
    assert layer.get_weights()[0].all()


@pytest.mark.parametrize(
    "initializer", ["zeros", "ones", "glorot_uniform", keras.initializers.Constant(2.0)]
)
def test_a_weight_beyond_the_bound_is_never_made(initializer):
    # Petabytes, which no machine has: without the bound this is another error, or the end.
    layer = keras.layers.Dense(10**8, kernel_initializer=initializer)
    with (
        limited_weights(stored=100),
        pytest.raises(ValueError, match="more than 1048976 weights, the file holds 100 numbers"),
    ):
        layer.build((None, 10**7))


def test_all_weights_count_together():
    side = int(MIN_MODEL_NUMBERS**0.5)
    with limited_weights(stored=0):
        keras.layers.Dense(side, use_bias=False).build((None, side - 1))
        with pytest.raises(ValueError, match="describes a model of more than"):
            keras.layers.Dense(side, use_bias=False).build((None, side - 1))
    keras.layers.Dense(side, use_bias=False).build((None, side + 1))  # no longer bounded
