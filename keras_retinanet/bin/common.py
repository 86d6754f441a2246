"""What the commands share: clean exits, devices, options that stand before or after a data set."""

import argparse
import functools
import math
import sys
import warnings
from collections.abc import Iterable

# Ranges of options, by the words for them in errors.
RANGES = {
    "at least 1": lambda value: value >= 1,
    "0 to 1": lambda value: 0 <= value <= 1,
    "a number above 0": lambda value: 0 < value < math.inf,
    "a number of at least 0": lambda value: value >= 0,
    "a number between 0 and 1": lambda value: 0 < value < 1,
}


def report_errors(main):
    """Make a `main(args=None)` turn bad input into one line on stderr and exit code 2.

    ValueError and OSError are bad input; anything else is a defect and keeps its traceback.
    Warnings become one line each too.
    """

    @functools.wraps(main)
    def wrapped(args=None):
        show, warnings.showwarning = warnings.showwarning, _show_warning
        try:
            return main(args)
        except KeyboardInterrupt:
            print("\ninterrupted", file=sys.stderr)
            sys.exit(130)
        except (ValueError, OSError) as error:
            print(f"error: {_in_words(error)}", file=sys.stderr)
            sys.exit(2)
        finally:
            warnings.showwarning = show

    return wrapped


def _in_words(error) -> str:
    """Return an error's text on one line; of an OSError the file and what is wrong with it."""
    named = isinstance(error, OSError) and error.filename and error.strerror
    return " ".join((f"{error.filename}: {error.strerror}" if named else str(error)).split())


def _show_warning(message, category, filename, lineno, file=None, line=None):
    if issubclass(category, UserWarning):
        print(f"warning: {message}", file=sys.stderr)


def flag(name: str) -> str:
    """Return the flag of an option."""
    return "--" + name.replace("_", "-")


def check_range(options: argparse.Namespace, words: str, names: Iterable[str]) -> None:
    """Raise ValueError, naming the flag, if an option that was given is out of a range.

    Args:
        options: the parsed options.
        words: a key of `RANGES`.
        names: names of options; one that is None was not given.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and not RANGES[words](value):
            raise ValueError(f"{flag(name)}: expected {words}, got {value}")


def with_options(parser, add_options):
    """Add the options of `add_options(parser)` to a parser and return a parent for subparsers.

    With the parent, the same options may stand after the subcommand too: there they have no
    default, so that they do not undo what stood before it.
    """
    add_options(parser)
    parent = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    add_options(parent)
    for action in parent._actions:
        action.default = argparse.SUPPRESS
    return parent
