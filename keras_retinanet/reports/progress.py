"""A progress bar on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


@contextlib.contextmanager
def progress_bar(
    title: str, total: int | None, transient: bool = False, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr; yield a function that advances it by a number of steps.

    If stderr is not a terminal, a plain line is written at most twice a minute and at the end.

    Args:
        title: text before the bar.
        total: number of steps; None if it is not known.
        transient: whether the bar disappears at the end.
        shown: False for no bar at all.
    """
    console = Console(stderr=True)
    if not shown:
        yield lambda steps: None
    elif not console.is_terminal:
        plain = _PlainProgress(title, total, last_line=not transient)
        yield plain.advance
        plain.end()
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed())
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=transient) as bar:
            task = bar.add_task(title, total=total)
            yield lambda steps: bar.advance(task, steps)


class _Speed(ProgressColumn):
    """How many steps a second are done."""

    def render(self, task: Task) -> Text:
        """Return the speed as text."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


class _PlainProgress:
    """Lines of text instead of a bar."""

    def __init__(self, title: str, total: int | None, last_line: bool) -> None:
        self._title, self._total, self._last_line = title, total, last_line
        self._done, self._shown = 0, 0
        self._start = self._written = time.monotonic()

    def advance(self, steps: int) -> None:
        """Count steps; write a line if the last one is old."""
        self._done += steps
        is_end = self._last_line and self._done == self._total
        if is_end or time.monotonic() - self._written > 30:
            self._write()

    def end(self) -> None:
        """Write the last line, if it is not there yet."""
        if self._last_line and self._done != self._shown:
            self._write()

    def _write(self) -> None:
        self._written, self._shown = time.monotonic(), self._done
        # Rich would end the program with its own code if nobody reads the output any more.
        of_total = "" if self._total is None else f" of {self._total}"
        speed = self._done / max(self._written - self._start, 1e-3)
        print(f"{self._title}: {self._done}{of_total}, {speed:.1f}/s", file=sys.stderr)
