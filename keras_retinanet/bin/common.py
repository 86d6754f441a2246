"""What the commands share: clean exits, devices, options that stand before or after a data set."""

import argparse
import functools
import math
import os
import sys
import warnings
from collections.abc import Iterable

from keras_retinanet.machine import cores

# Ranges of options, by the words for them in errors.
RANGES = {
    "at least 1": lambda value: value >= 1,
    "0 to 1": lambda value: 0 <= value <= 1,
    "a number above 0": lambda value: 0 < value < math.inf,
    "a number of at least 0": lambda value: value >= 0,
    "a number between 0 and 1": lambda value: 0 < value < 1,
}


def exits_cleanly(main):
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


def quiet_tensorflow(op_threads: int | None = None, *, weights_stay: bool = False) -> None:
    """Import TensorFlow without its start-up messages, and with its faster CPU kernels.

    TensorFlow switches oneDNN on by itself only on some processors; a training step on the others
    took a quarter less time with it.

    Args:
        op_threads: threads that share one operation on the CPU; None for the number of cores.
        weights_stay: whether this process runs one model in graphs alone, with the weights that it
            has at its first call. Then oneDNN keeps them in its own order, in which a convolution
            of the heads takes 36 ms instead of 55 (https://github.com/tensorflow/tensorflow/pull/52019).
            Training, or a convolution outside a graph, would get wrong numbers.
    """
    if op_threads:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(op_threads))
    if weights_stay:
        os.environ.setdefault("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # Its C++ code writes before it reads the log level, so stderr itself has to look away.
    sys.stderr.flush()
    stderr, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        import tensorflow  # noqa: F401
        from absl import logging

        logging.set_verbosity(logging.ERROR)  # Keras warns of each .h5 file through it
    finally:
        os.dup2(stderr, 2)
        os.close(nothing)
        os.close(stderr)


def share_cores(workers: int) -> None:
    """Leave to OpenCV, in each of some threads that run it, its share of the cores."""
    import cv2

    cv2.setNumThreads(max(1, cores() // workers))


def setup_gpu(gpu_id: int | str | None) -> None:
    """Choose the device and let GPU memory grow on demand.

    Args:
        gpu_id: number of the GPU as nvidia-smi counts; "cpu" or -1 for none; None for all.

    Raises:
        ValueError: if there is no such GPU, or this is no number.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpu_id is not None:
        try:
            number = -1 if str(gpu_id).lower() == "cpu" else int(gpu_id)
        except ValueError as error:
            raise ValueError(f"--gpu: expected a number or cpu, got {gpu_id!r}") from error
        if number >= len(gpus):
            raise ValueError(f"--gpu {gpu_id}: TensorFlow sees {len(gpus)} GPUs (counted from 0)")
        gpus = [gpus[number]] if number >= 0 else []
        tf.config.set_visible_devices(gpus, "GPU")
    for device in gpus:
        tf.config.experimental.set_memory_growth(device, True)


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
