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
        yield _plain_progress(title, total, last_line=not transient)
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


def _plain_progress(title: str, total: int | None, last_line: bool) -> Callable[[int], None]:
    done, start = 0, time.monotonic()
    written = start

    def advance(steps: int) -> None:
        nonlocal done, written
        done += steps
        if time.monotonic() - written > 30 or (last_line and done == total):
            written = time.monotonic()
            # Rich would end the program with its own code if nobody reads the output any more.
            of_total = "" if total is None else f" of {total}"
            speed = done / max(written - start, 1e-3)
            print(f"{title}: {done}{of_total}, {speed:.1f}/s", file=sys.stderr)

    return advance
