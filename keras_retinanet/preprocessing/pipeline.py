"""Batches of a generator, made by threads ahead of the model."""

import contextlib
import itertools
import warnings
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from keras_retinanet.machine import cores
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.threads import ahead


def batches(generator, *, first_step=0, steps=None, workers=None, queue_size=10) -> tf.data.Dataset:
    """Return the batches of a generator, epoch after epoch, for `fit(steps_per_epoch=...)`.

    Batch `step` is batch `step % len(generator)` of epoch `step // len(generator)`, so a run that
    starts at a later step sees what an uninterrupted one would see. After the last batch of an
    epoch is made, and before one of the next is, `generator.on_epoch_end` is called.

    Args:
        generator: a `Generator`.
        first_step: the step to begin with.
        steps: number of batches; None for no end.
        workers: threads that make batches; None means the number of cores, and there are never
            more than `queue_size`.
        queue_size: most batches made ahead.

    Returns:
        Dataset of `(images, (regression, classification))` whose sizes may differ from batch to
        batch.
    """
    workers = _threads(workers, queue_size)

    def source():
        return itertools.islice(_epochs(generator, first_step, workers), steps)

    return _dataset(generator, source, workers, queue_size)


def one_epoch(generator, *, workers=None, queue_size=10) -> tf.data.Dataset:
    """Return the batches of a generator's present epoch, once; for validation."""
    workers = _threads(workers, queue_size)

    def source():
        made = ahead(generator.__getitem__, range(len(generator)), workers, workers)
        return (batch() for _, batch in made)

    dataset = _dataset(generator, source, workers, queue_size)
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


def fit(keras_fit: Callable, generator: Generator, arguments: dict) -> keras.callbacks.History:
    """Call `fit` of a model on the batches of a generator, whatever their shapes.

    The generator goes on where an earlier `fit` left it: the first epoch is its present one, or
    `initial_epoch` if that is later.

    Args:
        keras_fit: the method `fit` of a `keras.Model`.
        generator: what to train on; its `workers` threads make at most `max_queue_size` batches
            ahead.
        arguments: for `fit`, but `x` and `shuffle`; `validation_data` may be a `Generator` too.
    """
    steps = arguments.get("steps_per_epoch") or len(generator)
    initial = arguments.get("initial_epoch", 0)
    dataset = batches(
        generator,
        first_step=max(generator.epoch * len(generator), initial * steps),
        steps=max(0, arguments.get("epochs", 1) - initial) * steps,
        **_queue(generator),
    )
    arguments = {**arguments, "x": dataset, "steps_per_epoch": steps, "shuffle": False}
    validation = arguments.get("validation_data")
    with contextlib.ExitStack() as errors:
        errors.enter_context(plain_errors(generator))
        if isinstance(validation, Generator):
            errors.enter_context(plain_errors(validation))
            arguments["validation_data"] = one_epoch(validation, **_queue(validation))
        return keras_fit(**arguments)


def evaluate(keras_evaluate: Callable, generator: Generator, arguments: dict):
    """Call `evaluate` of a model on the batches of a generator, whatever their shapes."""
    with plain_errors(generator):
        return keras_evaluate(**{**arguments, "x": one_epoch(generator, **_queue(generator))})


def _queue(generator) -> dict:
    if generator.use_multiprocessing:
        warnings.warn("use_multiprocessing has no effect: threads make the batches", stacklevel=4)
    return {"workers": max(1, generator.workers), "queue_size": generator.max_queue_size}


def _threads(workers, queue_size) -> int:
    """Return how many threads make batches: each makes one ahead."""
    return max(1, min(workers or cores(), queue_size))


def _epochs(generator, first_step, workers):
    """Yield the batches of all epochs from a step on."""
    epoch, start = divmod(first_step, len(generator))
    generator.start_epoch(epoch)
    while True:
        last = len(generator) - 1
        made = ahead(generator.__getitem__, range(start, last + 1), workers, workers)
        for index, batch in made:
            value = batch()
            if index == last:
                epoch, start = epoch + 1, 0
                generator.on_epoch_end()
                # A subclass's own `on_epoch_end` may not count: draws would come again.
                generator.epoch = max(generator.epoch, epoch)
            yield value


def _dataset(generator, source, workers, queue_size):
    """Return a dataset of what an iterator made by `source` yields: structures of arrays."""

    def elements():
        try:
            for batch in source():
                yield keras.tree.lists_to_tuples(batch)
        except Exception as error:
            generator.failure = error
            raise

    signature = keras.tree.map_structure(_spec, keras.tree.lists_to_tuples(generator[0]))
    dataset = tf.data.Dataset.from_generator(elements, output_signature=signature)
    options = tf.data.Options()
    # There is nothing to tune, and the end of `fit` would wait up to a minute for the tuner's nap.
    options.autotune.enabled = False
    return dataset.prefetch(max(1, queue_size - workers)).with_options(options)


def _spec(array):
    """Return a spec for arrays that vary in the batch, the image's sides, the number of anchors."""
    sizes = [None] * array.ndim
    if array.ndim > 1:
        sizes[-1] = array.shape[-1]  # channels, offsets or classes do not vary
    return tf.TensorSpec(sizes, array.dtype)
