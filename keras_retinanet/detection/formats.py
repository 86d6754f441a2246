"""Which files are exported models, by their names; nothing is imported for it."""

from __future__ import annotations

import os

from keras_retinanet.system.types import StrPath

# The endings of exported files: ONNX, OpenVINO, LiteRT.
ENDINGS = (".onnx", ".xml", ".tflite")
# What stands for the folder of a SavedModel.
FOLDER = ""


def exported_format(path: StrPath) -> str | None:
    """Return the ending of an exported file, or `FOLDER`; None if it is not an exported model.

    A folder is one if it holds the graph of a SavedModel; a file need not exist.
    """
    if os.path.isdir(path):
        return FOLDER if os.path.isfile(os.path.join(path, "saved_model.pb")) else None
    ending = os.path.splitext(path)[1].lower()
    return ending if ending in ENDINGS else None


def runs_in_tensorflow(path: StrPath) -> bool:
    """Return whether a model runs in TensorFlow, not in a runtime of its own."""
    return exported_format(path) in (None, FOLDER)
