import threading
import time

import pytest

from keras_retinanet.system.prefetch import Background, in_background, prefetch


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


def test_a_thread_iterates_ahead_but_not_far():
    taken = []

    def items():
        for number in range(10):
            taken.append(number)
            yield number

    ahead = []
    for number in in_background(items(), depth=2):
        time.sleep(0.01)
        ahead.append(len(taken) - number - 1)
    assert len(taken) == 10
    assert 1 <= max(ahead) <= 4  # two wait, one is put, one was taken


def test_an_error_of_the_iterable_comes_after_its_items():
    def items():
        yield 1
        raise ZeroDivisionError("here")

    found = in_background(items(), depth=3)
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError, match="here"):
        next(found)


def test_an_iterable_that_nobody_wants_any_more_is_left():
    before = threading.active_count()
    closed = []

    def items():
        try:
            yield from range(10**9)
        finally:
            closed.append(True)

    found = in_background(items(), depth=1)
    assert next(found) == 0
    found.close()
    assert threading.active_count() == before
    assert closed == [True]


def test_calls_are_made_in_order_and_errors_cost_no_other():
    done, errors = [], []

    def work(number):
        if number == 2:
            raise ValueError("two")
        done.append(number)

    with Background(depth=2) as calls:
        for number in range(6):
            calls.call(lambda number=number: work(number), errors.append)
    assert done == [0, 1, 3, 4, 5]
    assert [str(error) for error in errors] == ["two"]


def test_few_calls_wait():
    gate = threading.Event()
    with Background(depth=1) as calls:
        calls.call(gate.wait, print)
        threading.Timer(0.1, gate.set).start()
        start = time.monotonic()
        calls.call(gate.wait, print)  # there is room for one more
        calls.call(gate.wait, print)  # not for this one, before the first is done
        assert time.monotonic() - start > 0.05
