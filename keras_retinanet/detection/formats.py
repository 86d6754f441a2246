"""The formats of models, by their names and endings; nothing is imported for it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from keras_retinanet.system.types import StrPath


@dataclass(frozen=True)
class Format:
    """A format that `retinanet-convert-model` writes.

    Attributes:
        name: for `--format`; also the extra of `pip install` with what writing takes.
        endings: of its files; none for a folder.
        precisions: those that it can have.
        module: imported to run its files; empty for Keras's own formats.
        package: the package that has it.
        writers: modules that are imported to write it, besides TensorFlow.
        quantisers: modules that int8 takes besides.
        one_image: whether its network takes one image at a time, of one size.
    """

    name: str
    endings: tuple[str, ...]
    precisions: tuple[str, ...]
    module: str = ""
    package: str = ""
    writers: tuple[str, ...] = ()
    quantisers: tuple[str, ...] = ()
    one_image: bool = False


KERAS = Format("keras", (".keras",), ("float32", "bfloat16"))
HDF5 = Format("h5", (".h5", ".hdf5"), ("float32", "bfloat16"))
SAVED_MODEL = Format("saved-model", (), ("float32",), "tensorflow", "tensorflow")
ONNX = Format(
    "onnx",
    (".onnx",),
    ("float32", "float16", "int8"),
    module="onnxruntime",
    package="onnxruntime",
    writers=("onnx", "tf2onnx", "onnxruntime"),
)
OPENVINO = Format(
    "openvino",
    (".xml",),
    ("float32", "bfloat16", "float16", "int8"),
    module="openvino",
    package="openvino",
    writers=("openvino",),
    quantisers=("nncf",),
)
LITERT = Format(
    "litert",
    (".tflite",),
    ("float32", "float16", "int8"),
    module="ai_edge_litert.interpreter",
    package="ai-edge-litert",
    writers=("ai_edge_litert",),
    quantisers=("ai_edge_quantizer",),
    one_image=True,
)
# Those of other runtimes than Keras.
EXPORTED = (SAVED_MODEL, ONNX, OPENVINO, LITERT)
FORMATS = (KERAS, HDF5, *EXPORTED)


def format_named(name: str) -> Format:
    """Return the format of a name.

    Raises:
        ValueError: if there is none.
    """
    for one in FORMATS:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in FORMATS)
    raise ValueError(f"expected a format, one of {known}, got {name}")


def format_by_ending(path: StrPath) -> Format | None:
    """Return the format that a file's name ends in, `SAVED_MODEL` for a folder's; None for others.

    A name without an ending, or with a separator at its end, is that of a folder.
    """
    text = os.fspath(path)
    ending = os.path.splitext(text)[1]
    if not ending or text.endswith(("/", os.sep)):
        return SAVED_MODEL
    return next((one for one in FORMATS if ending.lower() in one.endings), None)


def exported_format(path: StrPath) -> Format | None:
    """Return the format of an exported model; None if a path is not that of one.

    A folder is one if it holds the graph of a SavedModel; a file need not exist.
    """
    if os.path.isdir(path):
        return SAVED_MODEL if os.path.isfile(os.path.join(path, "saved_model.pb")) else None
    found = format_by_ending(path)
    return found if found in (ONNX, OPENVINO, LITERT) else None


def runs_in_tensorflow(path: StrPath) -> bool:
    """Return whether a model runs in TensorFlow, not in a runtime of its own."""
    return exported_format(path) in (None, SAVED_MODEL)


def model_files(path: StrPath) -> list[str]:
    """Return the files that are read with a model: its own, and those that belong to it."""
    text, found = os.fspath(path), exported_format(path)
    if found is SAVED_MODEL:
        return [os.path.join(folder, name) for folder, _, names in os.walk(text) for name in names]
    return [text, f"{os.path.splitext(text)[0]}.bin"] if found is OPENVINO else [text]
