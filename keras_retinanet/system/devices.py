"""Processors and GPUs: how TensorFlow starts, which devices it uses, how cores are shared."""

import os
import sys

from keras_retinanet.system.machine import cores


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
