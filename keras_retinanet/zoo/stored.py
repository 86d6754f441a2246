"""Tensors that lie in the bytes of a file, and are decoded only when asked for."""

import abc
import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_retinanet.system.limits import MAX_TENSOR_DIMENSIONS, MAX_TENSOR_ELEMENTS
from keras_retinanet.system.messages import shorten

# Bytes of a number in a file. In memory, bfloat16, which NumPy has not, becomes float32.
ITEM_BYTES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "uint8": 1,
    "bool": 1,
}


class Stored(abc.ABC):
    """A tensor in a file.

    A pickle may hold it many times, or one that repeats a single number a trillion times: what all
    tensors take has to be checked, by `nbytes`, before any of them is decoded.
    """

    @property
    @abc.abstractmethod
    def nbytes(self) -> int:
        """Bytes that the array takes if each of its numbers has its own place.

        Raises:
            ValueError: if the file says what no tensor can be.
        """

    @abc.abstractmethod
    def array(self) -> np.ndarray:
        """Return the values; read-only, and a view of the bytes of the file where possible.

        Raises:
            ValueError: if the file says what no tensor can be, or lacks the values.
        """


def memory_bytes(kind: str) -> int:
    """Return the bytes in memory of a number of a kind in `ITEM_BYTES`."""
    return 4 if kind == "bfloat16" else ITEM_BYTES[kind]


def decode(data: memoryview, kind: str, byte_order: str = "<") -> np.ndarray:
    """Return the numbers in some bytes, in the byte order of this machine.

    Args:
        data: the bytes, a whole number of numbers.
        kind: what they are, a key of `ITEM_BYTES`.
        byte_order: "<" for the lowest byte first, or ">".

    Returns:
        Array `(n,)`; read-only, a view of `data` where nothing has to change.
    """
    if kind == "bool":
        # A byte other than 0 and 1 would be a bool that is neither.
        array = np.frombuffer(data, "uint8") != 0
    elif kind == "bfloat16":  # the upper half of a float32
        bits = np.frombuffer(data, f"{byte_order}u2").astype("uint32")
        bits <<= 16
        array = bits.view("float32")
    else:
        stored = byte_order + np.dtype(kind).str[1:]
        array = np.frombuffer(data, stored).astype(kind, copy=False)
    array.flags.writeable = False
    return array


def checked_integer(number: Any) -> int:
    """Return an offset, a size or a stride that a file gives.

    Raises:
        ValueError: if it is no integer, negative or huge.
    """
    if type(number) is not int or not 0 <= number <= MAX_TENSOR_ELEMENTS:
        raise ValueError(
            f"expected an integer from 0 to {MAX_TENSOR_ELEMENTS}, got {describe(number)}"
        )
    return number


def checked_integers(numbers: Any) -> tuple[int, ...]:
    """Return the strides or the sizes that a file gives for the axes of a tensor.

    Raises:
        ValueError: if they are no sequence of a few integers, or one is negative or huge.
    """
    if not isinstance(numbers, list | tuple) or len(numbers) > MAX_TENSOR_DIMENSIONS:
        raise ValueError(
            f"expected at most {MAX_TENSOR_DIMENSIONS} integers, got {describe(numbers)}"
        )
    return tuple(map(checked_integer, numbers))


def checked_shape(shape: Any) -> tuple[int, ...]:
    """Return the shape that a file gives for a tensor.

    Raises:
        ValueError: if it is no sequence of a few integers, or one is negative or huge.
    """
    sizes = checked_integers(shape)
    # An axis without elements would hide the others.
    if math.prod(max(size, 1) for size in sizes) > MAX_TENSOR_ELEMENTS:
        raise ValueError(
            f"expected at most {MAX_TENSOR_ELEMENTS} elements, got the shape {describe(sizes)}"
        )
    return sizes


def describe(value: Any) -> str:
    """Return a plain value, or the type of any other, as short text.

    What a file nests or repeats has no bounds: `repr` of it may take for ever.
    """
    if isinstance(value, str | bytes):
        return shorten(ascii(value[:200]), 80)
    if value is None or isinstance(value, float | bool):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if abs(value) < 2**128 else "a huge integer"
    if isinstance(value, list | tuple) and all(type(part) is int for part in value[:8]):
        parts = ", ".join([*map(describe, value[:8]), *(["..."] if len(value) > 8 else [])])
        return f"({shorten(parts, 120)})"
    return f"a value of type {type(value).__name__}"


@contextlib.contextmanager
def naming(place: str) -> Iterator[None]:
    """Put a place, such as a file or a tensor, before the text of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def count(shape: Sequence[int]) -> int:
    """Return the number of elements of a shape."""
    return math.prod(shape)
