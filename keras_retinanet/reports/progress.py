"""A progress bar on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextlib.contextmanager
def progress_bar(
    title: str, total: int, transient: bool = False, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr; yield a function that advances it by a number of steps.

    If stderr is not a terminal, a plain line is written at most twice a minute and at the end.

    Args:
        title: text before the bar.
        total: number of steps.
        transient: whether the bar disappears at the end.
        shown: False for no bar at all.
    """
    console = Console(stderr=True)
    if not shown:
        yield lambda steps: None
    elif not console.is_terminal:
        yield _plain_progress(title, total, last_line=not transient)
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=transient) as bar:
            task = bar.add_task(title, total=total)
            yield lambda steps: bar.advance(task, steps)


def _plain_progress(title: str, total: int, last_line: bool) -> Callable[[int], None]:
    done, written = 0, time.monotonic()

    def advance(steps: int) -> None:
        nonlocal done, written
        done += steps
        if time.monotonic() - written > 30 or (last_line and done == total):
            written = time.monotonic()
            # Rich would end the program with its own code if nobody reads the output any more.
            print(f"{title}: {done} of {total}", file=sys.stderr)

    return advance
