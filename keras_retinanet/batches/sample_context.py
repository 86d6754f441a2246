"""The random generator and the scale of the sample that a thread is working on."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from keras_retinanet.system.types import Annotations

T = TypeVar("T")


@dataclass(frozen=True)
class SampleContext:
    """What the methods that change a sample need to know besides its image and boxes.

    Attributes:
        rng: where the sample's random numbers come from.
        scale: factor on both sides that the image is resized to.
    """

    rng: np.random.Generator
    scale: float = 1.0


# A context variable, since it cannot be an argument: users override the methods of 1.0.0, such as
# `random_transform_group_entry(image, annotations)`, which have no parameter for it and run in
# several threads. It holds one context for each image of the group that a method is called with.
_CONTEXTS: ContextVar[Sequence[SampleContext]] = ContextVar("contexts", default=())
_LOCK = threading.Lock()


def make_contexts(
    seed: int, epoch: int, group: Sequence[int], scale: float = 1.0
) -> list[SampleContext]:
    """Return the contexts of the images of a group in an epoch."""
    return [SampleContext(np.random.default_rng([seed, epoch, i]), scale) for i in group]


@contextlib.contextmanager
def use_contexts(contexts: Sequence[SampleContext]) -> Iterator[None]:
    """Let this thread work with the contexts of a group of images, one for each image."""
    token = _CONTEXTS.set(contexts)
    try:
        yield
    finally:
        _CONTEXTS.reset(token)


def current_context() -> SampleContext:
    """Return the context of the current sample; of a group, that of its first sample.

    Where there is none, the random generator is new and randomly seeded, and the scale is 1.
    """
    contexts = _CONTEXTS.get()
    return contexts[0] if contexts else SampleContext(np.random.default_rng())


def map_samples(
    change: Callable[[np.ndarray, Annotations], tuple[np.ndarray, Annotations]],
    images: Sequence[np.ndarray],
    annotations: Sequence[Annotations],
) -> tuple[list[np.ndarray], list[Annotations]]:
    """Return the images and annotations that `change` returns, called with each sample's context.

    Args:
        change: function of an image and its annotations that returns both.
        images: list of images.
        annotations: list of their annotations.
    """
    contexts = [[context] for context in _CONTEXTS.get()] or [[]] * len(images)
    changed_images, changed_annotations = [], []
    for image, annotation, context in zip(images, annotations, contexts, strict=True):
        with use_contexts(context):
            image, annotation = change(image, annotation)
        changed_images.append(image)
        changed_annotations.append(annotation)
    return changed_images, changed_annotations


def next_random(source: Iterator[T]) -> T:
    """Return a random value for the current sample.

    Args:
        source: an iterator. If it has a method `sample(rng)`, and there is a current sample, the
            value is sampled with the random generator of that sample; else it is `next(source)`.
    """
    contexts = _CONTEXTS.get()
    if contexts and hasattr(source, "sample"):
        return source.sample(contexts[0].rng)
    with _LOCK:  # a Python generator cannot be advanced by two threads at once
        return next(source)
