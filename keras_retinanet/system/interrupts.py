"""Signals that wait until a piece of work is done."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

# Those that end a program. Windows has no SIGHUP.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupts:
    """The signals that came, and whether they wait.

    Attributes:
        wait: whether a signal waits for `deliver`; its handler is called at once otherwise.
    """

    def __init__(self) -> None:
        self.wait = False
        self._handlers: dict[int, Any] = {}  # those of the program
        self._received: int | None = None

    @property
    def received(self) -> bool:
        """Whether a signal is waiting."""
        return self._received is not None

    @property
    def number(self) -> int:
        """The signal that is waiting; 0 for none."""
        return self._received or 0

    def receive(self, number: int) -> None:
        """Let a signal wait as if it had come, unless one waits already; 0 for none."""
        self._received = self._received or number or None

    def deliver(self) -> None:
        """Call the program's handler for the signal that is waiting, if there is one.

        Raises:
            KeyboardInterrupt: if the handler does, as Python's own for SIGINT.
        """
        if self._received is None:
            return
        number, self._received = self._received, None
        for other, handler in self._handlers.items():
            signal.signal(other, handler)
        # Of a signal that only another process has got, there may be no handler here.
        self._handlers.get(number, signal.default_int_handler)(number, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.wait:
            self._handlers[number](number, frame)
            return
        self._received = number
        for other in self._handlers:
            signal.signal(other, signal.SIG_DFL)

    def _start(self) -> None:
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            handler = signal.getsignal(number)
            if callable(handler):  # not the constants for the system's own
                self._handlers[number] = handler
                signal.signal(number, self._handle)

    def _stop(self) -> None:
        """Put back the program's handlers, unless it has set others meanwhile."""
        for number, handler in self._handlers.items():
            is_ours = signal.getsignal(number) == self._handle
            if is_ours or self._received is not None:
                signal.signal(number, handler)


@contextlib.contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Yield signals that may be told to wait, so that work is not interrupted half-way.

    The handlers are those that the program has set; signals without one, or ignored as under
    `nohup`, are left alone. While one waits, a second one ends the process at once. One that still
    waits at the end is delivered there. In other threads than the main one nothing is changed: they
    cannot handle signals.
    """
    found = Interrupts()
    if threading.current_thread() is threading.main_thread():
        found._start()
    try:
        yield found
    finally:
        found._stop()
    found.deliver()
