"""Processors and GPUs: how TensorFlow starts, which devices it uses, how cores are shared."""

import contextlib
import os
import sys
from collections.abc import Iterator

from keras_retinanet.system.machine import cores

# Lets oneDNN keep the weights as they are at the first call.
FROZEN_WEIGHTS = "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"


def start_tensorflow(op_threads: int | None = None, *, weights_are_frozen: bool = False) -> None:
    """Import TensorFlow without its start-up messages, and with its faster CPU kernels.

    TensorFlow enables oneDNN by default on some processors only; on the others a training step took
    a quarter less time with it.

    Args:
        op_threads: threads that share one operation on the CPU; None for one per core.
        weights_are_frozen: whether this process runs one model, only inside graphs, and never
            changes its weights after the first call. Then oneDNN keeps the weights in its own
            order, in which a convolution of the heads takes 36 ms instead of 55
            (https://github.com/tensorflow/tensorflow/pull/52019). A process that trains, or
            convolves outside a graph, would get wrong numbers.
    """
    if op_threads:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(op_threads))
    if weights_are_frozen:
        os.environ.setdefault(FROZEN_WEIGHTS, "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with _without_stderr():
        import tensorflow  # noqa: F401
        from absl import logging

        logging.set_verbosity(logging.ERROR)  # Keras logs a warning for each .h5 file


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Drop what is written to stderr, by C++ code too, which writes before it reads a log level."""
    with contextlib.suppress(OSError, AttributeError):  # closed, or nobody reads it
        sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # closed
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(nothing)
        os.close(stderr)


@contextlib.contextmanager
def sharing_cores(workers: int) -> Iterator[None]:
    """Give OpenCV an equal share of the cores in each of some threads, inside this context."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(max(1, cores() // workers))
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def setup_gpu(gpu_id: int | str | None) -> None:
    """Choose the device and let GPU memory grow on demand.

    Args:
        gpu_id: number of the GPU in nvidia-smi's order; "cpu" or -1 for none; None for all.

    Raises:
        ValueError: if there is no such GPU, or `gpu_id` is neither a number nor "cpu".
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
