"""What the commands share: clean exits, ranges, options before or after the data set."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FrameType, MappingProxyType
from typing import Any, ParamSpec, TextIO, cast

from keras_retinanet.annotations.absent_files import why_absent
from keras_retinanet.detection.formats import exported_format
from keras_retinanet.system.limits import MAX_PIXELS
from keras_retinanet.zoo.fetching import check_name
from keras_retinanet.zoo.table import find, is_name

# Help for an argument that `check_model` checks.
KERAS_MODEL_HELP = (
    "training snapshot or converted model, .keras or .h5; checkpoint of torchvision, detectron2 or "
    "MMDetection, .pth, .pkl or .safetensors; or a name that retinanet-detect --list-models shows"
)
MODEL_HELP = (
    f"{KERAS_MODEL_HELP}; or an exported model, .onnx, .xml, .tflite or the folder of a SavedModel"
)

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
    warning becomes one line too. A signal lets `main` clean up, and gives the usual code: 130 for
    SIGINT, 143 for SIGTERM, 129 for SIGHUP. If nobody reads the output any more, as after `| head`,
    the command ends without a word, with code 141.
    """

    @functools.wraps(main)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        show, warnings.showwarning = warnings.showwarning, _show_warning
        try:
            code = _run(functools.partial(main, *args, **kwargs))
        finally:
            warnings.showwarning = show
        # Only here, where the error and all that it kept alive are gone.
        if code is not None:
            sys.exit(code)

    return wrapped


def _run(main: Callable[[], None]) -> int | None:
    """Call a `main` and report its error; return the exit code, None if it returned.

    Raises:
        BaseException: what `main` raised, if it is a defect, or SystemExit.
    """
    with _standard_streams(), _interruptible() as received:
        error: BaseException | None = None
        try:
            main()
        except BaseException as raised:
            error = raised
        is_nameless = isinstance(error, OSError) and error.filename is None
        unwritten = _flush(probe=is_nameless)
        if received:  # whatever error a library made of it
            number = signal.Signals(received[0])
            _print_error(f"\n{_SIGNALS[number.name]}")
            return 128 + number
        says_nothing = isinstance(error, SystemExit) and not error.code
        if unwritten is not None and (error is None or is_nameless or says_nothing):
            error = unwritten
        if isinstance(error, KeyboardInterrupt):
            _print_error("\ninterrupted")
            return 130
        if isinstance(error, BrokenPipeError) and error.filename is None:
            return 141
        if isinstance(error, (ValueError, OSError)):
            _print_error(f"error: {_one_line(error)}")
            return 2
        if error is not None:
            raise error
        return None


def _print_error(text: str) -> None:
    try:
        print(text, file=sys.stderr)
    except OSError:  # nobody reads it
        _discard_output(sys.stderr)


# The signals that let a command clean up, and what it says. Windows has no SIGHUP.
_SIGNALS: Mapping[str, str] = MappingProxyType(
    {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
)


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Let each of `_SIGNALS` raise KeyboardInterrupt; yield the list of those that came.

    A signal that is ignored, as under `nohup`, or that the program handles itself, is left alone. A
    second one ends the process at once.
    """
    received: list[int] = []
    before: dict[int, Any] = {}

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for other in before:
            signal.signal(other, signal.SIG_DFL)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():  # others cannot handle signals
        for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
            handler = signal.getsignal(number)
            if handler in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = handler
                signal.signal(number, stop)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _standard_streams() -> Iterator[None]:
    """Open standard streams that are closed, as after `>&-`, on the null device.

    Otherwise the first files that are opened would get their numbers, and what C libraries print.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        yield
        return
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    with open(os.devnull, "w") as nothing, contextlib.ExitStack() as restore:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:
                setattr(sys, name, nothing)
                restore.callback(setattr, sys, name, None)
        yield


def _flush(probe: bool) -> OSError | None:
    """Write what the standard streams hold back; return the error of one that takes no more.

    Args:
        probe: whether to write to stdout too, which without a buffer holds nothing back.
    """
    failed = None
    for stream, name in ((sys.stderr, "standard error"), (sys.stdout, "standard output")):
        try:
            if probe and stream is sys.stdout:
                stream.write("\n")
            stream.flush()
        except OSError as error:
            failed = error
            if not isinstance(error, BrokenPipeError):
                failed = OSError(error.errno, error.strerror, name)
            _discard_output(stream)
    return failed


def _discard_output(stream: TextIO) -> None:
    """Send what is written to a stream, and what it holds back, to the null device."""
    with contextlib.suppress(OSError, ValueError):  # it may have no file
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


class _Unread:
    """A standard stream that drops what is written once nobody reads it any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            _discard_output(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            _discard_output(self._stream)


@contextlib.contextmanager
def outliving_its_readers() -> Iterator[None]:
    """Let what runs inside go on when nobody reads its output any more.

    It is for a command whose results are files: the terminal or the `tee` of a training run may end
    days before it.
    """
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _Unread(stream)) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


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
        _print_error(f"warning: {message}")


def flag(name: str) -> str:
    """Return the flag of an option."""
    if name == "freeze_bn":  # which there is only to switch off
        return "--no-freeze-bn"
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


def check_model(model: str) -> None:
    """Check that a model is a file or the name of a published one, without loading anything.

    Raises:
        ValueError: if it is neither.
    """
    check_name(model)
    if os.path.isfile(model) or (os.path.isdir(model) and exported_format(model) is not None):
        return
    if is_name(model) and not os.path.exists(model):
        return
    guess = why_absent(model)
    if is_name(model):
        guess += ", and hides the published model of this name"
        if find(model).name != model:
            guess += f": write {find(model).name}"
    raise ValueError(f"model not found: {model}" + (f" ({guess})" if guess else ""))


class PrintAndExit(argparse.Action):
    """An option like `--help`: it calls the function in its `const`, which prints, and exits."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        """Take no value."""
        super().__init__(option_strings, dest, nargs=0, **{**kwargs, "default": argparse.SUPPRESS})

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Print and exit."""
        self.const()
        parser.exit()


def add_max_pixels(group: argparse._ActionsContainer) -> None:
    """Add the option for the bound on the pixels of an image."""
    group.add_argument(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        help=f"refuse an image that declares more pixels (default: {MAX_PIXELS})",
    )


def add_tiles(group: argparse._ActionsContainer) -> None:
    """Add the options for the tiles of large images, which `check_tiles` checks."""
    group.add_argument(
        "--tile",
        type=int,
        metavar="PIXELS",
        help="cut larger images into square tiles of this side (default: whole images)",
    )
    group.add_argument(
        "--overlap",
        type=int,
        metavar="PIXELS",
        help="what neighbouring tiles share at least, the size of an object (default: a quarter of "
        "a tile)",
    )


def check_tiles(options: argparse.Namespace) -> None:
    """Check the options for tiles.

    Raises:
        ValueError: naming the option.
    """
    check_range(options, "at least 1", ["tile"])
    if options.overlap is None:
        return
    if options.tile is None:
        raise ValueError("--overlap has no effect without --tile")
    if not 0 <= options.overlap < options.tile:
        raise ValueError(
            f"--overlap: expected 0 to less than --tile {options.tile}, got {options.overlap}"
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
