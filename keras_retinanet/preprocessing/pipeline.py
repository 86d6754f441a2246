"""Batches of a generator, prefetched by threads while the model trains."""

import atexit
import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.machine import cores

T = TypeVar("T")

_QUIET = 0.1  # seconds without a call after which TensorFlow's threads count as waiting
_PATIENCE = 30.0  # seconds that the end of the program waits for batches in the making

# A function of the first index of some batches, and the end, that returns a dataset of them.
MakeDataset = Callable[[int | tf.Tensor, int | tf.Tensor], tf.data.Dataset]


def batches(
    generator: Generator,
    *,
    first_step: int = 0,
    steps: int | None = None,
    workers: int | None = None,
    queue_size: int = 10,
    share_normaliser: int = 1,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Return the batches of a generator, epoch after epoch, for `fit(steps_per_epoch=...)`.

    Batch `step` is batch `step % len(generator)` of epoch `step // len(generator)`, so a run that
    starts at a later step gets the same batches as an uninterrupted one. After the last batch of an
    epoch is made, and before one of the next is, `generator.on_epoch_end` is called.

    Args:
        generator: the data set.
        first_step: the step to begin with.
        steps: number of batches; None for no end.
        workers: threads that make batches; None means the number of cores. There are never more
            than `queue_size`.
        queue_size: maximum number of prefetched batches.
        share_normaliser: number of batches, one after the other and counted from step 0, whose
            losses are divided by the positive anchors of all of them, as if they were one batch:
            see `_weighted`. An epoch may end among them.
        part: number of the part of each batch to make, from 0, and of how many equal parts.

    Returns:
        Dataset of `(images, (regression, classification))` whose sizes may differ from batch to
        batch, or with `share_normaliser` of `(images, (regression, classification), weights)`.
    """
    threads = _threads(workers, queue_size)
    done = first_step % share_normaliser  # batches of the first group that are needed to weigh it
    dataset = _Epochs(generator, first_step - done, part).dataset(threads)
    if share_normaliser > 1:
        dataset = dataset.window(share_normaliser).flat_map(_weighted).skip(done)
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    dataset = dataset.apply(endless) if steps is None else dataset.take(steps)
    return _prefetched(dataset, threads, queue_size)


def step_images(generator: Generator, step: int) -> list[str]:
    """Return the paths of the images in batch `step` of `batches`, which may be long past.

    Empty if they are not known: somebody has changed `generator.groups`, or there are no paths.
    """
    if [list(group) for group in generator.groups] != generator.epoch_groups(generator.epoch):
        return []
    epoch, index = divmod(step, len(generator))
    size = generator.size()
    paths = []
    with contextlib.suppress(NotImplementedError):
        for image_index in generator.epoch_groups(epoch)[index]:
            # An unreadable image was replaced by the next readable one.
            tried = (generator.image_path((image_index + i) % size) for i in range(size))
            paths += [path for path in tried if path not in generator.skipped][:1]
    return paths


def one_epoch(
    generator: Generator,
    *,
    workers: int | None = None,
    queue_size: int = 10,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Return the batches of a generator's current epoch, once, for validation; see `batches`."""
    threads = _threads(workers, queue_size)
    make_dataset = _dataset_maker(generator, _batch_maker(generator, part), threads)
    return _prefetched(make_dataset(0, len(generator)), threads, queue_size)


@contextlib.contextmanager
def unwrap_errors(generator: Generator) -> Iterator[None]:
    """Raise the error that stopped the generator in a thread, not TensorFlow's wrapper of it."""
    generator.failure = None
    try:
        yield
    except tf.errors.OpError:
        if generator.failure is not None:
            raise generator.failure from None
        raise


def fit(
    keras_fit: Callable[..., keras.callbacks.History],
    generator: Generator,
    arguments: dict[str, Any],
) -> keras.callbacks.History:
    """Call `fit` of a model on the batches of a generator, whatever their shapes.

    The generator continues where an earlier `fit` left it: the first epoch is its current one, or
    `initial_epoch` if that is later.

    Args:
        keras_fit: the method `fit` of a `keras.Model`.
        generator: what to train on; its `workers` threads prefetch at most `max_queue_size`
            batches.
        arguments: for `fit`, without `x` and `shuffle`; `validation_data` may be a `Generator` too.
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


def evaluate(
    keras_evaluate: Callable[..., T], generator: Generator, arguments: dict[str, Any]
) -> T:
    """Call `evaluate` of a model on the batches of a generator, whatever their shapes."""
    with unwrap_errors(generator):
        return keras_evaluate(**{**arguments, "x": one_epoch(generator, **_queue(generator))})


def _queue(generator: Generator) -> dict[str, Any]:
    if generator.use_multiprocessing:
        warnings.warn("use_multiprocessing has no effect: threads make the batches", stacklevel=4)
    return {"workers": max(1, generator.workers), "queue_size": generator.max_queue_size}


def _threads(workers: int | None, queue_size: int) -> int:
    """Return how many threads make batches: each holds one batch of the queue."""
    return max(1, min(workers or cores(), queue_size))


def _prefetched(dataset: tf.data.Dataset, threads: int, queue_size: int) -> tf.data.Dataset:
    """Return a dataset whose elements a queue of a certain size holds, made by its own threads."""
    options = tf.data.Options()
    # There is nothing to tune, and at the end of `fit` the tuner could sleep for up to a minute.
    options.autotune.enabled = False
    # The usual threads are for operations of the model, which would wait for batches.
    options.threading.private_threadpool_size = threads
    return dataset.prefetch(max(1, queue_size - threads)).with_options(options)


@tf.autograph.experimental.do_not_convert
def _weighted(images: tf.data.Dataset, targets: tuple[tf.data.Dataset, ...]) -> tf.data.Dataset:
    """Return a group of batches, each with the weight of its loss: `(B,)`, all the same.

    The loss of a batch is divided by its own number of positive anchors, at least 1. Times the
    weight it is divided by the number of them in the group, at least 1, and by the number of
    batches. So the mean over the group is the loss of one batch of all its images. For example, of
    two batches with 30 and 10 positive anchors the first weighs 1.5 and the second 0.5.
    """

    def count(regression: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(regression[..., -1] == 1, tf.float32))

    counts = targets[0].map(count)
    batches, total = counts.reduce((0.0, 0.0), lambda found, n: (found[0] + 1, found[1] + n))

    @tf.autograph.experimental.do_not_convert
    def weigh(images: tf.Tensor, targets: tuple[tf.Tensor, ...], positives: tf.Tensor) -> Any:
        weight = batches * tf.maximum(1.0, positives) / tf.maximum(1.0, total)
        return images, targets, tf.fill(tf.shape(images)[:1], weight)

    return tf.data.Dataset.zip(images, tf.data.Dataset.zip(*targets), counts).map(weigh)


def _batch_maker(generator: Generator, part: tuple[int, int]) -> Callable[[int], Any]:
    """Return the function that makes the batch of an index, or a part of it."""
    if part == (0, 1):
        return generator.__getitem__
    return lambda index: generator.batch_part(index, *part)


class _Epochs:
    """The epochs of a generator; each begins when all batches of the one before are made."""

    def __init__(self, generator: Generator, first_step: int, part: tuple[int, int]) -> None:
        self._generator, self._first_step = generator, first_step
        self._make_batch = _batch_maker(generator, part)
        self._epoch = self._left = 0  # the current epoch, and how many of its batches are not made
        self._lock = threading.Lock()

    def dataset(self, threads: int) -> tf.data.Dataset:
        """Return the batches of all epochs from a step on, `threads` of them made at a time."""
        make_dataset = _dataset_maker(self._generator, self._batch, threads)
        begin = _record_failure(self._generator, self._begin)

        @tf.autograph.experimental.do_not_convert
        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            first, end = tf.numpy_function(begin, [number], [tf.int64, tf.int64])
            return make_dataset(first, end)

        return tf.data.Dataset.counter().flat_map(epoch)

    def _begin(self, number: int) -> tuple[np.int64, np.int64]:
        """Begin the next epoch, or for number 0 the first; return its first index, and its end."""
        first, end = 0, len(self._generator)
        if number == 0:
            self._epoch, first = divmod(self._first_step, end)
            self._generator.start_epoch(self._epoch)
        self._left = end - first
        return np.int64(first), np.int64(end)

    def _batch(self, index: int) -> Any:
        batch = self._make_batch(index)
        with self._lock:
            self._left -= 1
            if not self._left:
                self._epoch += 1
                self._generator.on_epoch_end()
                # A subclass's own `on_epoch_end` may not count epochs: then each epoch would have
                # the same random numbers.
                self._generator.epoch = max(self._generator.epoch, self._epoch)
        return batch


def _dataset_maker(
    generator: Generator, make_batch: Callable[[int], Any], threads: int
) -> MakeDataset:
    """Return a function that makes a dataset of the batches of some indices.

    Args:
        generator: its first batch shows what batches look like; it is told of errors.
        make_batch: function of an index that returns a batch: arrays in nested lists, tuples or
            dictionaries.
        threads: number of batches made at a time.
    """
    structure = tf.nest.map_structure(_spec, keras.tree.lists_to_tuples(generator[0]))
    specs = tf.nest.flatten(structure)

    def make_arrays(index: np.int64) -> list[np.ndarray]:
        batch = tf.nest.flatten(keras.tree.lists_to_tuples(make_batch(int(index))))
        return [
            np.asarray(array, spec.dtype.as_numpy_dtype)
            for array, spec in zip(batch, specs, strict=True)
        ]

    make_arrays = _record_failure(generator, make_arrays)

    @tf.autograph.experimental.do_not_convert
    def make_tensors(index: tf.Tensor) -> Any:
        # A batch depends on its index alone. Where TensorFlow is told to be deterministic, it would
        # call a function that may have a state in one thread.
        tensors = tf.numpy_function(
            make_arrays, [index], [spec.dtype for spec in specs], stateful=False
        )
        for tensor, spec in zip(tensors, specs, strict=True):
            tensor.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(structure, tensors)

    def make_dataset(first: int | tf.Tensor, end: int | tf.Tensor) -> tf.data.Dataset:
        indices = tf.data.Dataset.range(first, end)
        return indices.map(make_tensors, num_parallel_calls=threads, deterministic=True)

    return make_dataset


def _record_failure(generator: Generator, function: Callable[..., T]) -> Callable[..., T]:
    """Return a function that does the same, and keeps its first error as `generator.failure`."""

    def recording(*arguments: Any) -> T:
        with _calls.one():
            try:
                return function(*arguments)
            except Exception as error:
                generator.failure = generator.failure or error
                raise

    return recording


class _Calls:
    """The calls of Python functions by TensorFlow's threads.

    A thread that wants to run Python code while Python ends kills the process, or waits for ever. A
    dataset whose iterator is still alive has such threads, which fill its queues. So before Python
    ends, new calls fail at once, until the queues are full of errors and no thread calls any more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._last = -_QUIET
        self._stopped = False

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Count a call while it runs.

        Raises:
            RuntimeError: if Python is about to end.
        """
        with self._lock:
            self._running += 1
            self._last = time.monotonic()
        try:
            if self._stopped:
                raise RuntimeError("no more batches: the program ends")
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._last = time.monotonic()

    def stop(self) -> None:
        """Let new calls fail, and wait until there are none."""
        self._stopped = True
        end = time.monotonic() + _PATIENCE
        while (now := time.monotonic()) < end:
            with self._lock:
                if not self._running and now - self._last >= _QUIET:
                    return
            time.sleep(_QUIET / 10)


# For the process as a whole, as the end of Python is.
_calls = _Calls()
atexit.register(_calls.stop)


def _spec(array: np.ndarray) -> tf.TensorSpec:
    """Return a spec for arrays of any batch size, image sides and number of anchors."""
    sizes = [None] * array.ndim
    if array.ndim > 1:
        sizes[-1] = array.shape[-1]  # channels, offsets or classes do not vary
    return tf.TensorSpec(sizes, array.dtype)
