"""Work that a thread does before its result is needed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    function: Callable[[Item], Result], items: Iterable[Item], depth: int
) -> Iterator[tuple[Item, Callable[[], Result]]]:
    """Call a function on each item in a thread, at most `depth` items before they are used.

    Args:
        function: function of one item.
        items: the items.
        depth: maximum number of prefetched items.

    Yields:
        Each item, in order, and a function that waits for its result and returns it, or raises what
        `function` raised.
    """
    with ThreadPoolExecutor(1) as pool:
        pending: deque[tuple[Item, Callable[[], Result]]] = deque()
        try:
            for item in items:
                pending.append((item, pool.submit(function, item).result))
                if len(pending) > depth:
                    yield pending.popleft()
            while pending:
                yield pending.popleft()
        except BaseException:  # also GeneratorExit: the caller does not want the rest
            pool.shutdown(cancel_futures=True)
            raise
