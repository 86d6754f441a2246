import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import aligned


@pytest.mark.parametrize("make", [aligned.empty, aligned.zeros])
@pytest.mark.parametrize("shape", [(), (5,), (3, 7, 3), (1, 301, 400, 3)])
@pytest.mark.parametrize("dtype", ["float32", "int32", "float64", "uint8"])
def test_arrays_are_aligned_and_ordinary(make, shape, dtype):
    array = make(shape, dtype)
    assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert aligned.is_aligned(array)
    assert array.flags.writeable
    if make is aligned.zeros:
        assert not array.any()


def test_only_whole_arrays_from_the_right_byte_on_are_aligned():
    array = aligned.zeros((64, 64), "float32")
    assert aligned.is_aligned(array[None])
    assert aligned.is_aligned(array[1:])  # a row has 256 bytes
    assert not aligned.is_aligned(array.ravel()[1:])
    assert not aligned.is_aligned(array[:, :32])
    assert not aligned.is_aligned(array.T)


@pytest.mark.parametrize("start", [0, 1])
def test_tensorflow_takes_over_what_is_aligned_and_copies_the_rest(start):
    array = aligned.zeros(1 << 20, "float32")[start:]

    def elements():
        yield array

    signature = tf.TensorSpec([None], "float32")
    (tensor,) = tf.data.Dataset.from_generator(elements, output_signature=signature)
    array[5] = 7
    assert float(tensor[5]) == (7 if aligned.is_aligned(array) else 0)
    assert aligned.is_aligned(array) == (start == 0)
