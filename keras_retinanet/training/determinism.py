"""The same numbers from the same run, bit for bit."""

from __future__ import annotations

import os

import tensorflow as tf

from keras_retinanet.training.settings import SettingError


def make_deterministic() -> None:
    """Let TensorFlow use deterministic kernels only, with one thread an operation.

    This holds for the rest of the process: TensorFlow has no way back.

    Raises:
        SettingError: if TensorFlow has already run something with more threads.
    """
    tf.config.experimental.enable_op_determinism()
    if os.environ.get("TF_NUM_INTRAOP_THREADS") == "1":  # as the command sets it
        return
    if tf.config.threading.get_intra_op_parallelism_threads() == 1:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:
        raise SettingError(
            "deterministic",
            "needs one thread an operation, which TensorFlow takes only before it has run "
            "anything: train in a new process",
        ) from None
