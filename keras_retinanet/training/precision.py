"""In which precision a run computes: what `auto` chooses on a machine."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import tensorflow as tf

from keras_retinanet.system.workers import maximum_over_workers
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.record import RunRecord
from keras_retinanet.training.settings import SettingWarning

# GPUs compute in bfloat16 from this compute capability (Ampere) on.
_BFLOAT16_CAPABILITY = (8, 0)
# A convolution has to be this much faster: the rest of a step takes as long, or a little longer.
_WORTHWHILE = 1.3
_TRIALS = 5
# Of the features and the kernel.
_SHAPES = ((1, 32, 32, 256), (3, 3, 256, 256))

Log = Callable[[str], None]


def resolve(plan: TrainingPlan, state: RunRecord | None, log: Log) -> TrainingPlan:
    """Return a plan that names its precision; say what was chosen, and why.

    Args:
        plan: the plan, whose `mixed_precision` may be "auto".
        state: of the run that goes on, which keeps its precision on any machine; None for a new
            run.
        log: gets the line.
    """
    if plan.mixed_precision == "float16" and not gpu_capabilities():
        problem = "float16 takes many times as long without a GPU: use bfloat16, or none"
        warnings.warn(SettingWarning("mixed_precision", problem), stacklevel=3)
    if plan.mixed_precision != "auto":
        return plan
    if state is not None:
        chosen, why = state.settings.get("mixed_precision", "none"), "the run has so far"
    elif plan.deterministic:
        chosen, why = "none", "what is measured may not come out the same again (deterministic)"
    else:
        chosen, why = choose(gpu_capabilities(), bfloat16_speedup)
        # All workers ask, so that all compute in the same precision.
        is_slow = maximum_over_workers([chosen == "none"])[0]
        if is_slow and chosen != "none":
            chosen, why = "none", "another worker is not faster in bfloat16"
    log(f"Mixed precision: {chosen}, as {why}")
    return replace(plan, mixed_precision=chosen)


def choose(
    capabilities: Sequence[tuple[int, int]], speedup: Callable[[], float]
) -> tuple[str, str]:
    """Return "bfloat16" where it is fast, else "none", and the reason in words.

    What a processor says of itself does not tell: one with AVX-512 BF16, but without AMX, took 1.7
    times as long for a step of ResNet-50 in bfloat16 as in float32.

    Args:
        capabilities: compute capability of each GPU to train on; empty to train on the processor.
        speedup: measures how much faster than in float32 the processor convolves in bfloat16.
    """
    if capabilities:
        number = ".".join(map(str, min(capabilities)))
        has = "has" if min(capabilities) >= _BFLOAT16_CAPABILITY else "lacks"
        chosen = "bfloat16" if has == "has" else "none"
        return chosen, f"a GPU of compute capability {number} {has} bfloat16"
    faster = speedup()
    chosen = "bfloat16" if faster >= _WORTHWHILE else "none"
    return chosen, f"the processor convolves {faster:.2g} times as fast in bfloat16 as in float32"


def gpu_capabilities() -> list[tuple[int, int]]:
    """Return the compute capability of each GPU that TensorFlow may use, (0, 0) if unknown."""
    details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
    return [each.get("compute_capability", (0, 0)) for each in details]


def bfloat16_speedup() -> float:
    """Return how many times as fast as in float32 the processor convolves in bfloat16.

    Measures a layer of the heads, forwards and backwards, which takes a few tenths of a second. It
    is time of the processor that counts, so that other programs matter little.
    """
    seconds = {"float32": 0.0, "bfloat16": 0.0}
    with tf.device("CPU:0"):
        for trial in range(1 + _TRIALS):
            for dtype in seconds:
                start = time.process_time()
                _convolve(dtype)
                if trial:  # the first one prepares
                    seconds[dtype] += time.process_time() - start
    return seconds["float32"] / max(seconds["bfloat16"], 1e-9)


def _convolve(dtype: str) -> None:
    """Compute a convolution of 256 channels on 32x32 cells, and its gradients."""
    inputs = [tf.fill(shape, tf.constant(0.5, dtype)) for shape in _SHAPES]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        found = tf.nn.conv2d(*inputs, strides=1, padding="SAME")
    for gradient in tape.gradient(found, inputs):
        gradient.numpy()
