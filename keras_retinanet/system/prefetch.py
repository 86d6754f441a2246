"""Work that a thread does before its result is needed."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

# Seconds to wait for a thread that nobody needs any more.
_PATIENCE = 5.0

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


def in_background(items: Iterable[Item], depth: int) -> Generator[Item, None, None]:
    """Yield what an iterable yields; a thread iterates it, at most `depth` items ahead.

    An error of the iterable is raised here, after the items before it.
    """
    waiting: queue.Queue[tuple[bool, Any]] = queue.Queue(depth)
    is_over = threading.Event()

    def put(entry: tuple[bool, Any]) -> None:
        while not is_over.is_set():
            try:
                waiting.put(entry, timeout=0.1)
                return
            except queue.Full:
                continue

    def iterate() -> None:
        try:
            for item in items:
                put((True, item))
                if is_over.is_set():
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    thread = threading.Thread(target=iterate, name="in_background", daemon=True)
    thread.start()
    try:
        while True:
            is_item, value = waiting.get()
            if not is_item:
                break
            yield value
        if value is not None:
            raise value
    finally:
        is_over.set()
        # A camera that does not answer holds up the thread, but not the end of the program.
        thread.join(_PATIENCE)


class Background:
    """A thread that makes calls one after the other, in their order, at most `depth` waiting.

    As a context it waits for all calls at its end. An error of a call is handed to the caller's
    function, so it costs no other call.
    """

    def __init__(self, depth: int) -> None:
        self._pool, self._depth = ThreadPoolExecutor(1), depth
        self._pending: deque[tuple[Future[None], Callable[[Exception], None]]] = deque()

    def call(self, function: Callable[[], None], on_error: Callable[[Exception], None]) -> None:
        """Let the thread call a function; wait first if too many calls wait.

        Args:
            function: the call.
            on_error: called with the error of the function, in the thread of a later `call` or of
                the end of the context.
        """
        self._pending.append((self._pool.submit(function), on_error))
        while len(self._pending) > self._depth or (self._pending and self._pending[0][0].done()):
            self._finish_first()

    def _finish_first(self) -> None:
        future, on_error = self._pending.popleft()
        try:
            future.result()
        except Exception as error:
            on_error(error)

    def __enter__(self) -> "Background":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._pending:
            self._finish_first()
        self._pool.shutdown()
