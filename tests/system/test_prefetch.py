import threading
import time

import pytest

from keras_retinanet.system.prefetch import prefetch


def test_results_come_in_order():
    def slow_at_first(number):
        time.sleep(0.02 if number == 0 else 0)
        return number**2

    found = [(item, result()) for item, result in prefetch(slow_at_first, range(9), 4)]
    assert found == [(i, i**2) for i in range(9)]


def test_no_more_than_depth_items_wait():
    started = []
    waiting = []
    for count, (_, result) in enumerate(prefetch(started.append, range(20), depth=3), 1):
        result()
        waiting.append(len(started) - count)
    assert len(started) == 20
    assert max(waiting) <= 3


def test_an_error_comes_out_where_its_result_is_asked_for():
    results = [result for _, result in prefetch(lambda x: 1 / x, [1, 0, 2], 5)]
    assert (results[0](), results[2]()) == (1, 0.5)
    with pytest.raises(ZeroDivisionError):
        results[1]()


def test_work_that_nobody_waits_for_is_not_begun():
    seen, never = [], threading.Event()

    def work(number):
        seen.append(number)
        never.wait(0.1)

    results = prefetch(work, range(100), depth=50)
    next(results)
    results.close()
    assert len(seen) <= 2
