"""What the commands share: clean exits, ranges, options before or after the data set."""

from __future__ import annotations

import argparse
import functools
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import ParamSpec, TextIO

from keras_retinanet.system.limits import MAX_PIXELS

Parameters = ParamSpec("Parameters")

# Ranges of options, by their description in errors.
RANGES: Mapping[str, Callable[[float], bool]] = MappingProxyType(
    {
        "at least 1": lambda value: value >= 1,
        "0 to 1": lambda value: 0 <= value <= 1,
    }
)


def report_errors(main: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Make a `main` report bad input as one line on stderr and exit with code 2.

    ValueError and OSError are bad input; any other error is a bug and keeps its traceback. A
    warning becomes one line too.
    """

    @functools.wraps(main)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        show, warnings.showwarning = warnings.showwarning, _show_warning
        try:
            main(*args, **kwargs)
        except KeyboardInterrupt:
            print("\ninterrupted", file=sys.stderr)
            sys.exit(130)
        except (ValueError, OSError) as error:
            print(f"error: {_one_line(error)}", file=sys.stderr)
            sys.exit(2)
        finally:
            warnings.showwarning = show

    return wrapped


def _one_line(error: Exception) -> str:
    """Return an error's text on one line; for an OSError of the system the file and the reason."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, UserWarning):
        print(f"warning: {message}", file=sys.stderr)


def flag(name: str) -> str:
    """Return the flag of an option."""
    return "--" + name.replace("_", "-")


def check_range(options: argparse.Namespace, expected: str, names: Iterable[str]) -> None:
    """Check that the options that were given are in a range.

    Args:
        options: the parsed options.
        expected: a key of `RANGES`.
        names: names of options; one that is None was not given.

    Raises:
        ValueError: naming the flag of an option that is out of the range.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and not RANGES[expected](value):
            raise ValueError(f"{flag(name)}: expected {expected}, got {value}")


def add_max_pixels(group: argparse._ActionsContainer) -> None:
    """Add the option for the bound on the pixels of an image."""
    group.add_argument(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        help=f"refuse an image that declares more pixels (default: {MAX_PIXELS})",
    )


def with_options(
    parser: argparse.ArgumentParser, add_options: Callable[[argparse.ArgumentParser], None]
) -> argparse.ArgumentParser:
    """Add the options of `add_options(parser)` to a parser and return a parent for subparsers.

    With the parent, the same options are allowed after the subcommand too. There they have no
    defaults, which would override what was given before the subcommand.
    """
    add_options(parser)
    parent = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    add_options(parent)
    for action in parent._actions:
        action.default = argparse.SUPPRESS
    return parent
