"""Batches of a generator, made by threads ahead of the model."""

import contextlib
import os
from collections.abc import Iterator

import tensorflow as tf


def batches(generator, *, first_step=0, workers=None, queue_size=10) -> tf.data.Dataset:
    """Return the endless batches of a generator, epoch after epoch, for `fit(steps_per_epoch=...)`.

    Batch `step` is batch `step % len(generator)` of epoch `step // len(generator)`, so a run that
    starts at a later step sees what an uninterrupted one would see.

    Args:
        generator: a `Generator`.
        first_step: the step to begin with.
        workers: threads that make batches; None means the number of cores.
        queue_size: most batches made ahead.

    Returns:
        Dataset of `(images, (regression, classification))` whose sizes may differ from batch to
        batch.
    """
    return _dataset(generator, tf.data.Dataset.range(first_step, tf.int64.max), workers, queue_size)


def one_epoch(generator, *, workers=None, queue_size=10) -> tf.data.Dataset:
    """Return the batches of a generator's first epoch, once; for validation."""
    steps = tf.data.Dataset.range(len(generator))
    dataset = _dataset(generator, steps, workers, queue_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(generator)))


@contextlib.contextmanager
def plain_errors(generator) -> Iterator[None]:
    """Raise what stopped the generator in a thread as it was, not as TensorFlow wraps it."""
    generator.failure = None
    try:
        yield
    except tf.errors.OpError:
        if generator.failure is not None:
            raise generator.failure from None
        raise


def _dataset(generator, steps, workers, queue_size):
    example = generator.batch(0, 0)
    flat = tf.nest.flatten(example)
    types = [tf.as_dtype(array.dtype) for array in flat]

    def fetch(step):
        epoch, index = divmod(int(step), len(generator))
        try:
            return tf.nest.flatten(generator.batch(epoch, index))
        except Exception as error:
            generator.failure = error
            raise

    def to_tensors(step):
        tensors = tf.numpy_function(fetch, [step], types)
        for tensor, array in zip(tensors, flat, strict=True):
            # The batch, the image's sides and the number of anchors vary; the last axis does not.
            tensor.set_shape([None] * (array.ndim - 1) + [array.shape[-1]])
        return tf.nest.pack_sequence_as(example, tensors)

    workers = workers or os.cpu_count() or 1
    dataset = steps.map(to_tensors, num_parallel_calls=workers, deterministic=True)
    options = tf.data.Options()
    # There is nothing to tune, and the end of `fit` would wait up to a minute for the tuner's nap.
    options.autotune.enabled = False
    return dataset.prefetch(max(1, queue_size - workers)).with_options(options)
