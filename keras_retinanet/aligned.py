"""Arrays that TensorFlow takes over as they are.

It copies any array that does not start where its own do, and Python stands still meanwhile: for a
batch of one image of 800x1333 that takes about as long as making it.
"""

import numpy as np

ALIGNMENT = 64  # bytes; TensorFlow's `EIGEN_MAX_ALIGN_BYTES`


def empty(shape, dtype) -> np.ndarray:
    """Return an aligned array whose values are not set."""
    return _aligned(np.empty, shape, dtype)


def zeros(shape, dtype) -> np.ndarray:
    """Return an aligned array of zeros."""
    return _aligned(np.zeros, shape, dtype)


def is_aligned(array) -> bool:
    """Return whether TensorFlow takes an array over as it is."""
    return array.flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0


def _aligned(make, shape, dtype):
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = make(size + ALIGNMENT, "uint8")
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
