"""Python's garbage collection, where it does harm."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Put off the search for cycles, which plain data does not have: it may double the time.

    Beside TensorFlow there are very many objects to look through, time and again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
