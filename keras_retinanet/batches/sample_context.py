"""Random draws for the images in hand, whichever thread makes their batch."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar

import numpy as np

# The random generators of the images that this thread has in hand.
_RNGS: ContextVar = ContextVar("rngs", default=None)
# The factor on the sides of the images of the batch that this thread has in hand.
_SCALE: ContextVar = ContextVar("scale", default=1.0)
_LOCK = threading.Lock()


@contextlib.contextmanager
def drawing_with(rngs: Sequence[np.random.Generator | None]) -> Iterator[None]:
    """Let draws in this thread come from the generators of the images in hand."""
    token = _RNGS.set(rngs)
    try:
        yield
    finally:
        _RNGS.reset(token)


def each(change: Callable, image_group: Sequence, annotations_group: Sequence) -> tuple:
    """Return the images and the annotations that `change(image, annotations)` makes of each.

    What it draws comes from the image's own random generator.
    """
    images, annotations = [], []
    rngs = _RNGS.get() or [None] * len(image_group)
    for image, annotation, rng in zip(image_group, annotations_group, rngs, strict=True):
        with drawing_with([rng]):
            image, annotation = change(image, annotation)
        images.append(image)
        annotations.append(annotation)
    return images, annotations


def draw(source):
    """Return the next value of an iterator, drawn for the image in hand if it can be."""
    rngs = _RNGS.get() or [None]
    if rngs[0] is not None and hasattr(source, "sample"):
        return source.sample(rngs[0])
    with _LOCK:
        return next(source)


def rng_in_hand() -> np.random.Generator:
    """Return the random generator of the image in hand; a new one where there is none."""
    rngs = _RNGS.get() or [None]
    return rngs[0] or np.random.default_rng()


@contextlib.contextmanager
def resizing_by(scale: float) -> Iterator[None]:
    """Let this thread resize images to `scale` times the usual sides."""
    token = _SCALE.set(scale)
    try:
        yield
    finally:
        _SCALE.reset(token)


def scale_in_hand() -> float:
    """Return the factor that `resizing_by` set in this thread; 1 where it has not."""
    return _SCALE.get()
