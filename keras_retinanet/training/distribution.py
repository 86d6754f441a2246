"""Training on several devices, and in several processes at once."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_retinanet.system.messages import shorten
from keras_retinanet.system.workers import Worker, rows_of_workers, this_worker
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.settings import SettingError

# What TensorFlow raises if another worker ends or cannot be reached.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)


def strategy(multi_gpu: int, devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Return the strategy of this process; TensorFlow must not have run anything before.

    With `TF_CONFIG` in the environment it waits until all workers of the cluster are there.

    Args:
        multi_gpu: number of GPUs; 0 or 1 for the one device there is. A worker of a cluster uses
            all its GPUs, which TensorFlow wants to be equally many in each.
        devices: the devices to take so many of; None for the GPUs.

    Raises:
        SettingError: if there are not so many GPUs, for which TensorFlow would wait without end.
        ValueError: if `TF_CONFIG` is malformed.
    """
    cluster = _cluster()
    if cluster is not None:
        count = len(tf.config.get_visible_devices("GPU"))
        if multi_gpu and multi_gpu != max(1, count):
            raise SettingError(
                "multi_gpu",
                f"a worker uses all of its GPUs, which are {count} here, got {multi_gpu}: leave it "
                "out, and hide some with CUDA_VISIBLE_DEVICES to use fewer",
            )
        return tf.distribute.MultiWorkerMirroredStrategy(cluster)
    if multi_gpu > 1:
        if devices is None:
            devices = [device.name for device in tf.config.list_logical_devices("GPU")]
        if multi_gpu > len(devices):
            raise SettingError(
                "multi_gpu",
                f"expected at most {len(devices)}, the GPUs that TensorFlow may use, got "
                f"{multi_gpu}",
            )
        return tf.distribute.MirroredStrategy(devices[:multi_gpu])
    return tf.distribute.get_strategy()


def worker_of_environment() -> Worker:
    """Return which worker of the cluster in `TF_CONFIG` this process is.

    Raises:
        ValueError: if `TF_CONFIG` is malformed.
    """
    return Worker.of_cluster(_cluster())


def _cluster() -> tf.distribute.cluster_resolver.ClusterResolver | None:
    """Return the cluster in `TF_CONFIG`; None if there is none.

    Raises:
        ValueError: if it is malformed.
    """
    try:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        is_cluster = bool(resolver.cluster_spec().as_dict())
        if is_cluster:
            Worker.of_cluster(resolver)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        problem = str(error).removeprefix("TF_CONFIG: ")
        raise ValueError(f"TF_CONFIG: {shorten(problem)}") from None
    return resolver if is_cluster else None


def check_plan(plan: TrainingPlan) -> None:
    """Check that the devices in use can do what a plan says.

    Raises:
        SettingError: naming the setting.
    """
    devices = tf.distribute.get_strategy().num_replicas_in_sync
    if plan.batch_size < devices:
        raise SettingError(
            "batch_size",
            f"expected at least one image for each of the {devices} devices, got {plan.batch_size}",
        )
    if plan.jit_compile and devices > 1:
        raise SettingError("jit_compile", f"XLA cannot train on several devices, got {devices}")
    if plan.accumulate > 1 and devices > 1:
        raise SettingError(
            "accumulate",
            f"Keras cannot accumulate on several devices, got {plan.accumulate} on {devices}: use "
            "a larger batch, which they share",
        )


def distributed(
    make_dataset: Callable[[tuple[int, int]], tf.data.Dataset],
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Return batches for `fit`, each divided among all devices of all workers.

    `fit` has to be told how many there are.

    Args:
        make_dataset: function of the number of a part, and of how many parts, that returns this
            part of each batch: tensors with the images of the batch on their first axis.
    """
    devices, worker = tf.distribute.get_strategy().num_replicas_in_sync, this_worker()
    if devices == 1:
        return make_dataset((0, 1))
    own_devices = devices // worker.count

    def parts(*batch: Any) -> tf.data.Dataset:
        size = tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]

        def part(number: tf.Tensor) -> Any:
            first, end = (size * bound // own_devices for bound in (number, number + 1))
            return tf.nest.map_structure(lambda tensor: tensor[first:end], batch)

        return tf.data.Dataset.range(own_devices).map(part)

    def of_worker(_: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = make_dataset((worker.index, worker.count))
        divided = dataset.flat_map(parts)
        # Else the workers ask each other before each step whether they have data left.
        is_endless = dataset.cardinality() == tf.data.INFINITE_CARDINALITY
        return divided.repeat() if is_endless else divided

    return tf.distribute.get_strategy().distribute_datasets_from_function(of_worker)


def check_agreement(values: Mapping[str, Any]) -> None:
    """Check that all workers have the same values.

    Args:
        values: name -> value that JSON can hold.

    Raises:
        ValueError: naming the first that is another one than the chief's, and a worker.
    """
    for name, value in values.items():
        text = json.dumps(value, sort_keys=True, default=str).encode()
        checksums = rows_of_workers(np.array([zlib.crc32(text)], "int64"))
        others = np.flatnonzero(checksums != checksums[0])
        if len(others):
            raise ValueError(
                f"worker {others[0]} has other {name} than the chief, worker 0: start all with the "
                "same command and equal data, and with a shared --snapshot-path or copies of it"
            )


@contextlib.contextmanager
def naming_lost_workers(worker: Worker) -> Iterator[None]:
    """Say what to do if another worker ends or cannot be reached.

    Raises:
        ConnectionError: if TensorFlow says so.
    """
    try:
        yield
    except _LOST as error:
        if worker.count == 1:
            raise
        reason = error.message.partition("}} ")[2] or error.message  # without the operation's name
        raise ConnectionError(
            "another worker has ended or cannot be reached: start all workers again with --resume "
            f"({shorten(' '.join(reason.split()), 200)})"
        ) from error
