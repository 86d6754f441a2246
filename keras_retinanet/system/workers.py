"""The processes and devices that train one model together, and what all of them have to know.

The processes are the workers of a `tf.distribute.MultiWorkerMirroredStrategy`. Outside its scope,
and with any other strategy, there is one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Worker:
    """One of the processes.

    Attributes:
        index: its number, from 0.
        count: how many there are.
    """

    index: int = 0
    count: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    @classmethod
    def of_cluster(cls, resolver: Any) -> Worker:
        """Return this process, from a `tf.distribute.cluster_resolver.ClusterResolver` or None.

        Raises:
            ValueError: if it is none that trains, or not in the cluster.
        """
        cluster = resolver.cluster_spec().as_dict() if resolver else {}
        if not cluster:
            return cls()
        kinds = ("chief", "worker")
        tasks = [(kind, i) for kind in kinds for i in range(len(cluster.get(kind, ())))]
        others = sorted(set(cluster) - set(kinds))
        task = (resolver.task_type, resolver.task_id)
        if others or task not in tasks:
            raise ValueError(
                "TF_CONFIG: expected a cluster of workers, with or without a chief, and a task "
                f"that is one of them, got {', '.join(cluster)} and task {task}"
            )
        return cls(tasks.index(task), len(tasks))


def this_worker() -> Worker:
    """Return which process this is."""
    import tensorflow as tf

    return Worker.of_cluster(getattr(tf.distribute.get_strategy(), "cluster_resolver", None))


def sharing_devices() -> Any | None:
    """Return the `tf.distribute.ReplicaContext` in which several devices share a batch, or None."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context


def sum_over_workers(values: np.ndarray) -> np.ndarray:
    """Return the sum of an array over all workers, which all have to ask for it.

    Args:
        values: array of the same shape and dtype in all.
    """
    import tensorflow as tf

    # TensorFlow adds up no numbers, too, and crashes.
    if this_worker().count == 1 or not values.size:
        return values
    total = tf.distribute.get_strategy().reduce("SUM", tf.constant(values), axis=None)
    return np.asarray(total)


def rows_of_workers(rows: np.ndarray) -> np.ndarray:
    """Return the rows `(n, ...)` of all workers, one below the other in their order.

    Args:
        rows: array whose other dimensions and dtype are the same in all.
    """
    worker = this_worker()
    counts = np.zeros(worker.count, "int64")
    counts[worker.index] = len(rows)
    ends = np.cumsum(sum_over_workers(counts))
    table = np.zeros((ends[-1], *rows.shape[1:]), rows.dtype)
    table[ends[worker.index] - len(rows) : ends[worker.index]] = rows
    return sum_over_workers(table)


def maximum_over_workers(values: Sequence[float]) -> list[float]:
    """Return the maximum of each of some numbers over all workers, which all have to ask for it."""
    worker = this_worker()
    if worker.count == 1:
        return list(values)
    table = np.zeros((worker.count, len(values)))
    table[worker.index] = values
    return sum_over_workers(table).max(axis=0).tolist()


@contextlib.contextmanager
def chief_first() -> Iterator[None]:
    """Let the other workers wait until the chief has left this context."""
    is_chief = this_worker().is_chief
    if not is_chief:
        sum_over_workers(np.zeros(1))
    yield
    if is_chief:
        sum_over_workers(np.zeros(1))
