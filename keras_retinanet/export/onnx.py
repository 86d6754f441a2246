"""ONNX files, for ONNX Runtime, Triton and other servers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from keras_retinanet.detection.exported import KEY
from keras_retinanet.export.network import Network

# The operators of ONNX 1.13, which runtimes since 2023 have.
OPSET = 18
# Tensors with fewer values stay in float32: half precision would save next to nothing.
_LARGE = 1000


def write(network: Network, path: str, calibration: Iterable[np.ndarray] = ()) -> None:
    """Write a network; its batch and image size are free unless the record says otherwise.

    Args:
        network: the network.
        path: the file.
        calibration: for int8, batches of one image.
    """
    traced = tf.function(network.serve, input_signature=[network.signature()])
    model, _ = tf2onnx.convert.from_function(
        traced, input_signature=[network.signature()], opset=OPSET
    )
    if network.record.precision == "float16":
        _store_in_half(model.graph)
    if network.record.precision == "int8":
        model = _quantised(model, calibration)
    onnx.helper.set_model_props(model, {KEY: network.record.to_json()})
    onnx.save(model, path)


def _store_in_half(graph: onnx.GraphProto) -> None:
    """Store large weights as float16; runtimes compute with them in float32 again."""
    casts = []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= _LARGE:
            name = tensor.name
            half = onnx.numpy_helper.from_array(values.astype("float16"), f"{name}_half")
            tensor.CopyFrom(half)
            cast = onnx.helper.make_node("Cast", [half.name], [name], to=onnx.TensorProto.FLOAT)
            casts.append(cast)
    for cast in reversed(casts):
        graph.node.insert(0, cast)


def _is_grouped(node: onnx.NodeProto) -> bool:
    """Return whether a node is a convolution in groups, such as a depthwise one."""
    return any(one.name == "group" and one.i > 1 for one in node.attribute)


def _quantised(model: onnx.ModelProto, calibration: Iterable[np.ndarray]) -> onnx.ModelProto:
    """Return a model whose convolutions compute with 8-bit integers."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[np.ndarray] = iter(calibration)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.left, None)
            return None if batch is None else {model.graph.input[0].name: batch}

    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (os.path.join(folder, f"{name}.onnx") for name in "abc")
        onnx.save(model, source)
        quantization.quant_pre_process(source, prepared, skip_symbolic_shape=True)
        nodes = [node for node in onnx.load(prepared).graph.node if node.op_type == "Conv"]
        # The first convolution and depthwise ones lose the most by it, and take little time.
        excluded = [node.name for node in nodes if node is nodes[0] or _is_grouped(node)]
        quantization.quantize_static(
            prepared,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=excluded,
            per_channel=True,
            reduce_range=False,
        )
        return onnx.load(target)
