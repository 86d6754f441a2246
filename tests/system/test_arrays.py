import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.system import arrays

LARGE = (1, 301, 400, 3)


@pytest.fixture(autouse=True)
def nothing_spare():
    """Start without memory of other tests."""
    gc.collect()
    arrays._spare.clear()


@pytest.mark.parametrize("make", [arrays.empty, arrays.zeros])
@pytest.mark.parametrize("shape", [(), (5,), (3, 7, 3), LARGE])
@pytest.mark.parametrize("dtype", ["float32", "int32", "float64", "uint8"])
def test_arrays_are_aligned_and_ordinary(make, shape, dtype):
    for _ in range(3):  # the later ones in the memory of the first
        array = make(shape, dtype)
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert arrays.is_aligned(array)
        assert array.flags.writeable
        if make is arrays.zeros:
            assert not array.any()
        array[...] = 1


def test_only_whole_arrays_from_the_right_byte_on_are_aligned():
    array = arrays.zeros((64, 64), "float32")
    assert arrays.is_aligned(array[None])
    assert arrays.is_aligned(array[1:])  # a row has 256 bytes
    assert not arrays.is_aligned(array.ravel()[1:])
    assert not arrays.is_aligned(array[:, :32])
    assert not arrays.is_aligned(array.T)


@pytest.mark.parametrize("start", [0, 1])
def test_tensorflow_takes_over_what_is_aligned_and_copies_the_rest(start):
    array = arrays.zeros((1 << 20,), "float32")[start:]

    def elements():
        yield array

    signature = tf.TensorSpec([None], "float32")
    (tensor,) = tf.data.Dataset.from_generator(elements, output_signature=signature)
    array[5] = 7
    assert float(tensor[5]) == (7 if arrays.is_aligned(array) else 0)
    assert arrays.is_aligned(array) == (start == 0)


def test_memory_is_used_again_by_arrays_of_about_the_size():
    first = arrays.empty(LARGE, "float32")
    place = first.ctypes.data
    del first
    small, larger, huge = (arrays.empty((size,), "float32") for size in (1000, 361300, 180000))
    assert place not in {array.ctypes.data for array in (small, larger, huge)}
    again = arrays.empty((361000,), "float32")
    assert again.ctypes.data == place


def test_memory_that_was_in_use_last_is_used_first():
    first, huge, last = (arrays.empty((size,), "uint8") for size in (400_000, 900_000, 420_000))
    places = [array.ctypes.data for array in (huge, last, first)]
    del first, huge, last
    # The search for the largest passes by another, and must leave it where it is.
    again = [arrays.empty((size,), "uint8") for size in (900_000, 390_000, 390_000)]
    assert [array.ctypes.data for array in again] == places


@pytest.mark.parametrize(
    "part", [lambda a: a[0, 5:], lambda a: a.T, lambda a: a.view("uint8")[..., 1:], memoryview]
)
def test_memory_of_which_a_part_is_in_use_is_left_alone(part):
    array = arrays.zeros(LARGE, "float32")
    kept = part(array)
    del array
    for _ in range(3):
        arrays.empty(LARGE, "float32")[...] = 1
        assert not np.asarray(kept).any()


def test_a_tensor_keeps_its_memory():
    def elements():
        yield arrays.zeros(LARGE, "float32")

    signature = tf.TensorSpec(LARGE, "float32")
    (tensor,) = tf.data.Dataset.from_generator(elements, output_signature=signature)
    for _ in range(3):
        arrays.empty(LARGE, "float32")[...] = 1
    assert not tensor.numpy().any()


def test_little_memory_is_kept(monkeypatch):
    made = [arrays.empty(LARGE, "float32") for _ in range(30)]
    size = made[0].nbytes + arrays.ALIGNMENT
    monkeypatch.setattr(arrays, "_MOST_SPARE", 8 * size + size // 2)
    del made
    assert len(arrays._spare) == 8
    huge = arrays.empty((9 * size,), "uint8")
    del huge  # more than may be kept
    assert not arrays._spare


def test_threads_do_not_share_memory():
    def work(number):
        others = [arrays.zeros(LARGE, "float32") + number * 0 for _ in range(2)]
        mine = [arrays.zeros(LARGE, "float32") for _ in range(2)]
        for array in mine:
            array += number
        return all((array == number).all() for array in mine) and not np.any(others)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(1, 60)))
