"""Batches of a generator, made by threads ahead of the model."""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.machine import cores


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
    threads = _threads(workers, queue_size)
    dataset = _Epochs(generator, first_step).dataset(threads)
    return _ahead(dataset if steps is None else dataset.take(steps), threads, queue_size)


def one_epoch(generator, *, workers=None, queue_size=10) -> tf.data.Dataset:
    """Return the batches of a generator's present epoch, once; for validation."""
    threads = _threads(workers, queue_size)
    made = _make(generator, generator.__getitem__, threads)
    return _ahead(made(0, len(generator)), threads, queue_size)


@contextlib.contextmanager
def unwrap_errors(generator) -> Iterator[None]:
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
        errors.enter_context(unwrap_errors(generator))
        if isinstance(validation, Generator):
            errors.enter_context(unwrap_errors(validation))
            arguments["validation_data"] = one_epoch(validation, **_queue(validation))
        return keras_fit(**arguments)


def evaluate(keras_evaluate: Callable, generator: Generator, arguments: dict):
    """Call `evaluate` of a model on the batches of a generator, whatever their shapes."""
    with unwrap_errors(generator):
        return keras_evaluate(**{**arguments, "x": one_epoch(generator, **_queue(generator))})


def _queue(generator) -> dict:
    if generator.use_multiprocessing:
        warnings.warn("use_multiprocessing has no effect: threads make the batches", stacklevel=4)
    return {"workers": max(1, generator.workers), "queue_size": generator.max_queue_size}


def _threads(workers, queue_size) -> int:
    """Return how many threads make batches: each makes one ahead."""
    return max(1, min(workers or cores(), queue_size))


def _ahead(dataset, threads, queue_size) -> tf.data.Dataset:
    """Return a dataset that threads of its own make, as far ahead as the queue goes."""
    options = tf.data.Options()
    # There is nothing to tune, and the end of `fit` would wait up to a minute for the tuner's nap.
    options.autotune.enabled = False
    # The usual threads are for operations of the model, which would wait for batches.
    options.threading.private_threadpool_size = threads
    return dataset.prefetch(max(1, queue_size - threads)).with_options(options)


class _Epochs:
    """The epochs of a generator; each begins when all batches of the one before are made."""

    def __init__(self, generator, first_step):
        self._generator, self._first_step = generator, first_step
        self._epoch = self._left = 0  # the epoch that goes on, and its batches not yet made
        self._lock = threading.Lock()

    def dataset(self, threads) -> tf.data.Dataset:
        """Return the batches of all epochs from a step on, `threads` of them made at a time."""
        made = _make(self._generator, self._batch, threads)
        begin = _record_failure(self._generator, self._begin)

        @tf.autograph.experimental.do_not_convert
        def epoch(number):
            first, end = tf.numpy_function(begin, [number], [tf.int64, tf.int64])
            return made(first, end)

        return tf.data.Dataset.counter().flat_map(epoch)

    def _begin(self, number):
        """Begin the next epoch, or for number 0 the first; return its first index, and its end."""
        first, end = 0, len(self._generator)
        if number == 0:
            self._epoch, first = divmod(self._first_step, end)
            self._generator.start_epoch(self._epoch)
        self._left = end - first
        return np.int64(first), np.int64(end)

    def _batch(self, index):
        batch = self._generator[index]
        with self._lock:
            self._left -= 1
            if not self._left:
                self._epoch += 1
                self._generator.on_epoch_end()
                # A subclass's own `on_epoch_end` may not count: draws would come again.
                self._generator.epoch = max(self._generator.epoch, self._epoch)
        return batch


def _make(generator, make, threads) -> Callable:
    """Return a function of first index and end: a dataset of `make(index)` for those between."""
    structure = tf.nest.map_structure(_spec, keras.tree.lists_to_tuples(generator[0]))
    specs = tf.nest.flatten(structure)

    def arrays(index):
        found = tf.nest.flatten(keras.tree.lists_to_tuples(make(int(index))))
        return [
            np.asarray(array, spec.dtype.as_numpy_dtype)
            for array, spec in zip(found, specs, strict=True)
        ]

    arrays = _record_failure(generator, arrays)

    @tf.autograph.experimental.do_not_convert
    def tensors(index):
        found = tf.numpy_function(arrays, [index], [spec.dtype for spec in specs])
        for tensor, spec in zip(found, specs, strict=True):
            tensor.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(structure, found)

    def dataset(first, end):
        indices = tf.data.Dataset.range(first, end)
        return indices.map(tensors, num_parallel_calls=threads, deterministic=True)

    return dataset


def _record_failure(generator, function) -> Callable:
    """Return a function that does the same, and lets the generator know what stops it."""

    def noting(*arguments):
        try:
            return function(*arguments)
        except Exception as error:
            generator.failure = generator.failure or error
            raise

    return noting


def _spec(array):
    """Return a spec for arrays that vary in the batch, the image's sides, the number of anchors."""
    sizes = [None] * array.ndim
    if array.ndim > 1:
        sizes[-1] = array.shape[-1]  # channels, offsets or classes do not vary
    return tf.TensorSpec(sizes, array.dtype)
