"""Arrays that TensorFlow takes over as they are, in memory that is used again.

TensorFlow copies any array that does not start where its own do, and Python stands still meanwhile.
New memory comes from the system page by page, which takes time for each. For a batch of one image
of 800x1333 either took about as long as making it.
"""

import math
import weakref
from collections.abc import Sequence

import numpy as np

ALIGNMENT = 64  # bytes; TensorFlow's `EIGEN_MAX_ALIGN_BYTES`
_LARGE = 2**18  # bytes from which on memory is used again
_MOST_SPARE = 2**26  # bytes
_spare: dict[int, np.ndarray] = {}  # by `id`: memory of large arrays that are gone, the last last


def empty(shape: Sequence[int], dtype) -> np.ndarray:
    """Return an aligned array whose values are not set."""
    return _aligned(np.empty, shape, dtype)


def zeros(shape: Sequence[int], dtype) -> np.ndarray:
    """Return an aligned array of zeros."""
    return _aligned(np.zeros, shape, dtype)


def is_aligned(array) -> bool:
    """Return whether TensorFlow takes an array over as it is."""
    return array.flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0


def _aligned(make, shape, dtype):
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = _memory(make, size + ALIGNMENT)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _memory(make, size) -> np.ndarray:
    """Return `size` bytes or more: new ones, or those of an array that is gone."""
    if size < _LARGE:
        return make(size, "uint8")
    block = _take(size)
    if block is None:
        block = make(size, "uint8")
    elif make is np.zeros:
        block[:size] = 0
    # Arrays on this memory hold on to `user`, not to `block`: NumPy looks no further than an object
    # of another type.
    user = np.frombuffer(memoryview(block), "uint8")
    weakref.finalize(user, _give_back, block).atexit = False
    return user


def _give_back(block) -> None:
    """Keep the memory of an array that is gone, and let go of the oldest where there is too much.

    As in `_take`, other threads and other calls may come between any two lines.
    """
    _spare[id(block)] = block
    blocks = list(_spare.values())
    excess = sum(spare.size for spare in blocks) - _MOST_SPARE
    for oldest in blocks:
        if excess <= 0:
            return
        if _spare.pop(id(oldest), None) is not None:
            excess -= oldest.size


def _take(size) -> np.ndarray | None:
    """Return spare memory of at least `size` bytes, but not far more; None if there is none.

    It is what was given back last, which may still be in the processor's cache. Other threads take
    and return some meanwhile, and so may this one, when Python collects garbage: hence no lock, and
    only operations that are whole.
    """
    for block in reversed(list(_spare.values())):
        if size <= block.size <= 2 * size and _spare.pop(id(block), None) is not None:
            return block
    return None
