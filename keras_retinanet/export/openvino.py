"""OpenVINO's files: an .xml with the graph, and a .bin of the same name with the weights."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable

import numpy as np
import openvino

from keras_retinanet.detection.exported import KEY
from keras_retinanet.export.network import Network, save_frozen


def write(network: Network, path: str, calibration: Iterable[np.ndarray] = ()) -> None:
    """Write a network.

    Args:
        network: the network.
        path: the .xml file.
        calibration: for int8, batches of one image.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Graphs whose weights are variables are not converted, nor those that went through ONNX.
        save_frozen(network, folder)
        model = openvino.convert_model(folder)
    if network.record.precision == "int8":
        model = _quantised(model, calibration)
    model.set_rt_info(network.record.to_json(), [KEY])
    openvino.save_model(model, path, compress_to_fp16=network.record.precision == "float16")


def _quantised(model: openvino.Model, calibration: Iterable[np.ndarray]) -> openvino.Model:
    """Return a model whose convolutions compute with 8-bit integers."""
    import nncf

    others = {node.get_type_name() for node in model.get_ordered_ops()} - _QUANTISED
    return nncf.quantize(
        model,
        nncf.Dataset(calibration),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(types=sorted(others), validate=False),
    )


# The operations that compute with 8-bit integers; boxes and scores need more digits.
_QUANTISED = {"Convolution", "GroupConvolution"}
