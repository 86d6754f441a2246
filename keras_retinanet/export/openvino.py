"""OpenVINO's files: an .xml with the graph, and a .bin of the same name with the weights."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import openvino
from openvino import opset11

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
    _let_ties_be_in_any_order(model)
    if network.record.precision == "int8":
        model = _quantised(model, calibration)
    model.set_rt_info(network.record.to_json(), [KEY])
    written = Path(path).with_suffix(".xml")  # it writes to no other spelling
    openvino.save_model(model, written, compress_to_fp16=network.record.precision == "float16")
    written.replace(path)


def _let_ties_be_in_any_order(model: openvino.Model) -> None:
    """Let the best scores be found in the fast way.

    The converter asks for equal scores in the order of their anchors, for which OpenVINO compares
    each score with each of the best: 1.9 s for 100,000 anchors, where the network takes 1.3.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() != "TopK":
            continue
        asked = node.get_attributes()
        found = opset11.topk(
            *node.input_values(),
            axis=asked["axis"],
            mode=asked["mode"],
            sort=asked["sort"],
            index_element_type=asked["index_element_type"],
            stable=False,
        )
        for i in range(2):
            node.output(i).replace(found.output(i))


def _quantised(model: openvino.Model, calibration: Iterable[np.ndarray]) -> openvino.Model:
    """Return a model whose convolutions compute with 8-bit integers."""
    import nncf

    nncf.set_log_level(logging.ERROR)  # it tells of each operation that stays as it is
    nodes = model.get_ordered_ops()
    convolutions = [node for node in nodes if node.get_type_name() in _QUANTISED]
    first = [node.get_friendly_name() for node in convolutions[:1]]
    others = {node.get_type_name() for node in nodes} - _QUANTISED
    return nncf.quantize(
        model,
        nncf.Dataset(calibration),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=first, types=sorted(others), validate=False),
    )


# The operations that compute with 8-bit integers. Boxes and scores need more digits; the first
# convolution and depthwise ones (GroupConvolution) lose the most by them and take little time.
_QUANTISED = {"Convolution"}
