import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.system import arrays

LARGE = (1, 301, 400, 3)


@pytest.mark.parametrize("make", [arrays.empty, arrays.zeros])
@pytest.mark.parametrize("shape", [(), (5,), (3, 7, 3), LARGE])
@pytest.mark.parametrize("dtype", ["float32", "int32", "float64", "uint8"])
def test_arrays_are_aligned_and_ordinary(make, shape, dtype):
    for _ in range(3):  # the later ones may get the memory of the first
        array = make(shape, dtype)
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert arrays.is_aligned(array)
        assert array.flags.writeable
        if make is arrays.zeros:
            assert not array.any()
        array[...] = 1


def test_only_contiguous_arrays_that_start_at_the_right_byte_are_aligned():
    array = arrays.zeros((64, 64), "float32")
    assert arrays.is_aligned(array[None])
    assert arrays.is_aligned(array[1:])  # a row has 256 bytes
    assert not arrays.is_aligned(array.ravel()[1:])
    assert not arrays.is_aligned(array[:, :32])
    assert not arrays.is_aligned(array.T)


@pytest.mark.parametrize("start", [0, 1])
def test_tensorflow_shares_aligned_arrays_and_copies_others(start):
    array = arrays.zeros((1 << 20,), "float32")[start:]

    def elements():
        yield array

    signature = tf.TensorSpec([None], "float32")
    (tensor,) = tf.data.Dataset.from_generator(elements, output_signature=signature)
    array[5] = 7
    assert float(tensor[5]) == (7 if arrays.is_aligned(array) else 0)
    assert arrays.is_aligned(array) == (start == 0)


@pytest.mark.parametrize(
    "part", [lambda a: a[0, 5:], lambda a: a.T, lambda a: a.view("uint8")[..., 1:], memoryview]
)
def test_later_arrays_do_not_overwrite_a_part_still_in_use(part):
    array = arrays.zeros(LARGE, "float32")
    kept = part(array)
    del array
    for _ in range(3):
        arrays.empty(LARGE, "float32")[...] = 1
        assert not np.asarray(kept).any()


def test_later_arrays_do_not_overwrite_a_tensor():
    def elements():
        yield arrays.zeros(LARGE, "float32")

    signature = tf.TensorSpec(LARGE, "float32")
    (tensor,) = tf.data.Dataset.from_generator(elements, output_signature=signature)
    for _ in range(3):
        arrays.empty(LARGE, "float32")[...] = 1
    assert not tensor.numpy().any()
