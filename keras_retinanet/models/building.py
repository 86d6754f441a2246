"""Building a model whose weights a file will fill: a bound on its memory, and no random numbers."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import h5py
import tensorflow as tf

from keras_retinanet.system.limits import MAX_NUMBERS_PER_STORED, MIN_MODEL_NUMBERS


@contextmanager
def limited_weights(stored: int) -> Iterator[None]:
    """Refuse to make more weights in this context than a file can fill.

    A configuration of a few bytes can ask for a layer of any size. Kernels begin as zeros, since
    the file fills them: to draw random numbers for them takes a fifth of the time of loading.

    Args:
        stored: how many numbers the file holds.

    Raises:
        ValueError: before the memory for the first weight beyond the bound is taken.
    """
    limit = MAX_NUMBERS_PER_STORED * stored + MIN_MODEL_NUMBERS
    made = 0
    shapes = tf.Graph()  # where an initial value has a shape, but takes no memory

    def create(next_creator: Callable[..., tf.Variable], **kwargs: Any) -> tf.Variable:
        nonlocal made
        value = kwargs["initial_value"]
        if callable(value):
            with shapes.as_default():
                value = value()
            if len(value.shape) > 1:
                kwargs["initial_value"] = partial(tf.zeros, value.shape, value.dtype)
        made += math.prod(value.shape)
        if made > limit:
            raise ValueError(
                f"the configuration describes a model of more than {limit} weights, the file holds "
                f"{stored} numbers"
            )
        return next_creator(**kwargs)

    with tf.variable_creator_scope(create):
        yield


def stored_numbers(file: h5py.File) -> int:
    """Return how many numbers all datasets of a file hold together."""
    sizes: list[int] = []

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(item.size)

    file.visititems(add)
    return sum(sizes)
