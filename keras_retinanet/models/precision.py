"""Computing in half precision, with weights, outputs and losses in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from keras_retinanet.layers import Normalise
from keras_retinanet.models.weights import leaf_layers

# They scale pixels: eight bits of a difference of two near numbers would be fewer of the image.
_SCALES_PIXELS = (Normalise, keras.layers.Rescaling, keras.layers.Normalization)
_HALF = ("mixed_bfloat16", "mixed_float16")


def set_precision(model: keras.Model, dtype: str) -> None:
    """Let the layers of a model compute in half precision, or again in float32.

    Their variables are float32 all the same. These layers stay in float32: those that the outputs
    of the model and of the models inside it come from, such as the sigmoid of a head; those that
    scale pixels; and those that their maker gave another type. What Keras computes in float32 by
    itself, as batch and group normalisation do, is so, too.

    The model itself is changed. What is traced already, as by `fit`, stays as it was: call this
    before the model is compiled.

    Args:
        model: a model.
        dtype: "bfloat16", "float16" or "float32".

    Raises:
        ValueError: if it is another type.
    """
    if dtype not in ("bfloat16", "float16", "float32"):
        raise ValueError(f"dtype: expected bfloat16, float16 or float32, got {dtype!r}")
    if dtype == "float32":
        for layer in _half_layers(model):
            layer.dtype_policy = "float32"
        return
    kept = set(_output_layers(model))
    for layer in leaf_layers(model):
        is_usual = layer.dtype_policy.name in ("float32", *_HALF)
        if is_usual and layer not in kept and not isinstance(layer, _SCALES_PIXELS):
            layer.dtype_policy = f"mixed_{dtype}"


@contextlib.contextmanager
def in_float32(model: keras.Model) -> Iterator[None]:
    """Let Keras save a model as one that computes in float32.

    The precision belongs to the run: who uses its snapshots may have another machine.
    """
    before = [(layer, layer.dtype_policy) for layer in _half_layers(model)]
    set_precision(model, "float32")
    try:
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy


def _half_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers that compute in half precision, with variables in float32."""
    return [layer for layer in leaf_layers(model) if layer.dtype_policy.name in _HALF]


def _output_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers from which the outputs of a model and of the models inside it come."""
    yield from (tensor._keras_history.operation for tensor in model.outputs)
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _output_layers(layer)
