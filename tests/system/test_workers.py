"""Two threads stand for two workers; training/test_distribution.py has two processes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from keras_retinanet.system import workers
from keras_retinanet.system.workers import Worker


@pytest.fixture
def two_workers(monkeypatch):
    """Return a function that calls another in two workers, and returns what both returned."""
    current, barrier, given = threading.local(), threading.Barrier(2, timeout=30), [None, None]

    def summed(values):
        given[current.worker.index] = values
        barrier.wait()
        total = given[0] + given[1]
        barrier.wait()
        return total

    def in_worker(index, function):
        current.worker = Worker(index, 2)
        return function(current.worker)

    def in_both(function):
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda index: in_worker(index, function), range(2)))

    monkeypatch.setattr(workers, "this_worker", lambda: current.worker)
    monkeypatch.setattr(workers, "sum_over_workers", summed)
    return in_both


def cluster(kinds, kind, index):
    spec = SimpleNamespace(as_dict=lambda: kinds)
    return SimpleNamespace(cluster_spec=lambda: spec, task_type=kind, task_id=index)


def test_a_chief_comes_before_the_workers():
    hosts = {"worker": ["a:1", "b:1"], "chief": ["c:1"]}
    assert Worker.of_cluster(cluster(hosts, "chief", 0)) == Worker(0, 3)
    assert Worker.of_cluster(cluster(hosts, "worker", 1)) == Worker(2, 3)
    assert Worker.of_cluster(cluster({}, None, None)) == Worker.of_cluster(None) == Worker()
    with pytest.raises(ValueError, match="got worker, chief and task .'worker', 2.$"):
        Worker.of_cluster(cluster(hosts, "worker", 2))
    with pytest.raises(ValueError, match="got worker, evaluator and task"):
        Worker.of_cluster(cluster({"worker": ["a:1"], "evaluator": ["b:1"]}, "worker", 0))


def test_one_worker_is_its_own_sum():
    assert workers.this_worker() == Worker(0, 1)
    assert workers.this_worker().is_chief
    values = np.arange(6.0).reshape(3, 2)
    for of_all in (workers.sum_over_workers, workers.rows_of_workers):
        np.testing.assert_array_equal(of_all(values), values)
    assert workers.maximum_over_workers((3, False)) == [3, 0]
    with workers.chief_first():
        pass


def test_rows_come_in_the_order_of_the_workers(two_workers):
    rows = two_workers(
        lambda worker: workers.rows_of_workers(np.full((3 - worker.index, 2), worker.index + 1))
    )
    for found in rows:
        assert found.tolist() == [[1, 1]] * 3 + [[2, 2]] * 2


def test_one_of_two_may_have_no_rows(two_workers):
    for found in two_workers(lambda worker: workers.rows_of_workers(np.ones((worker.index, 2)))):
        assert found.tolist() == [[1, 1]]


def test_maxima_are_those_of_both(two_workers):
    found = two_workers(
        lambda worker: workers.maximum_over_workers((15 * worker.index, worker.is_chief))
    )
    assert found == [[15, 1], [15, 1]]


def test_the_chief_comes_first(two_workers):
    order = []

    def enter(worker):
        with workers.chief_first():
            order.append(worker.index)

    two_workers(enter)
    assert order == [0, 1]
