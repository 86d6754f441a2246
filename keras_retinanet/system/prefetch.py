"""Work done in a thread, ahead of its use."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor


def prefetch(function: Callable, items: Iterable, depth: int) -> Iterator[tuple[object, Callable]]:
    """Call a function of each item in a thread, at most `depth` items ahead.

    Args:
        function: what to call.
        items: its arguments, one after the other.
        depth: most items that wait.

    Yields:
        Each item in its order, and a function that waits for the result and returns or raises it.
    """
    with ThreadPoolExecutor(1) as pool:
        pending = deque()
        try:
            for item in items:
                pending.append((item, pool.submit(function, item).result))
                if len(pending) > depth:
                    yield pending.popleft()
            while pending:
                yield pending.popleft()
        except BaseException:  # such as nobody wanting the rest
            pool.shutdown(cancel_futures=True)
            raise
