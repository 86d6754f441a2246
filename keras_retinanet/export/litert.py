"""LiteRT's files, formerly TensorFlow Lite's, for phones and small computers."""

from __future__ import annotations

import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from keras_retinanet.detection.exported import KEY
from keras_retinanet.export.network import Network, save_frozen


def write(network: Network, path: str, calibration: Iterable[np.ndarray] = ()) -> None:
    """Write a network of one image of a fixed size; its record is a zip archive at the end."""
    with tempfile.TemporaryDirectory() as folder:
        save_frozen(network, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serve"])
        if network.record.precision == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        data = bytes(converter.convert())
    if network.record.precision == "int8":
        data = _quantised(data, calibration)
    with open(path, "wb") as file:
        file.write(data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{KEY}.json", network.record.to_json())


# The names of all convolutions but the last of each head, which has no activation: its outputs
# would have 8 bits too, and with them the scores and boxes.
_NOT_LAST_OF_HEAD = r"^(?![^;]*_submodel[^;]*/BiasAdd)"


def _quantised(data: bytes, calibration: Iterable[np.ndarray]) -> bytes:
    """Return a model whose convolutions compute with 8-bit integers."""
    from ai_edge_quantizer import qtyping, quantizer

    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "model.tflite")
        with open(source, "wb") as file:
            file.write(data)
        tool = quantizer.Quantizer(source)
        # Not DEPTHWISE_CONV_2D, which loses the most by it and takes little time.
        tool.add_static_config(
            regex=_NOT_LAST_OF_HEAD,
            operation_name=qtyping.TFLOperationName.CONV_2D,
            activation_num_bits=8,
            weight_num_bits=8,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*preserve_all_tensors")  # its own choice
            statistics = tool.calibrate({"serve": [{"images": batch} for batch in calibration]})
            return bytes(tool.quantize(statistics).quantized_model)
