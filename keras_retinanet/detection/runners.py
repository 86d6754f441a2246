"""Exported files, each run by its runtime: SavedModel, ONNX, OpenVINO, LiteRT.

A runtime is imported when a file of its format is opened, and TensorFlow only for a SavedModel.
"""

from __future__ import annotations

import importlib
import os
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np

from keras_retinanet.detection.exported import KEY, MAX_RECORD_BYTES, ExportRecord
from keras_retinanet.detection.formats import ENDINGS, FOLDER, exported_format
from keras_retinanet.detection.onnx_files import read_metadata
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.system.files import read_file
from keras_retinanet.system.machine import cores
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# The names of outputs, in the order of a runner's results; a raw network has no labels.
OUTPUTS = ("boxes", "scores", "labels")
# The graph of a network of a thousand layers, without weights, takes 2 MB.
MAX_XML_BYTES = 2**26
# The graphs of a SavedModel, protocol buffers with small constants: those of ours take 5 MB.
MAX_GRAPH_BYTES = 2**28
# Where a SavedModel has its record.
RECORD_IN_FOLDER = os.path.join("assets.extra", f"{KEY}.json")


class Runner:
    """A network that runs batches of images.

    Attributes:
        info: what the model knows about itself; None if it knows nothing.
        input_type: of the images, "uint8" or a type of floats.
        input_size: height and width of the images; None for any.
        is_raw: whether it returns all boxes and scores, see `ExportRecord`.
        devices: number of batches that `run_all` runs at once.
    """

    info: ModelInfo | None = None
    input_type: str = "float32"
    input_size: tuple[int, int] | None = None
    is_raw: bool = False
    devices: int = 1

    def run(self, batch: np.ndarray) -> Sequence[Any]:
        """Return boxes, scores and labels of images `(b, h, w, 3)`, or raw boxes and scores."""
        raise NotImplementedError

    def run_all(self, batches: Sequence[np.ndarray]) -> list[Sequence[Any]]:
        """Run as many batches as there are devices at once."""
        return [self.run(batch) for batch in batches]


class _ExportedRunner(Runner):
    """An exported file, as its record describes it."""

    def __init__(self, record: ExportRecord) -> None:
        self.record, self.info = record, record.info
        self.input_type, self.input_size = record.input_type, record.input_size
        self.is_raw = record.is_raw
        self.outputs = OUTPUTS[:2] if record.is_raw else OUTPUTS


class OnnxRunner(_ExportedRunner):
    """An .onnx file in ONNX Runtime."""

    def __init__(self, path: str) -> None:
        record = ExportRecord.from_json(read_metadata(path).get(KEY), path)
        super().__init__(record)
        runtime = _import("onnxruntime", "onnx", path)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = 3  # errors
        providers = runtime.get_available_providers()
        self._session = runtime.InferenceSession(path, options, providers)
        self._input = self._session.get_inputs()[0].name

    def run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        """Run a batch."""
        return self._session.run(self.outputs, {self._input: batch})


class OpenVinoRunner(_ExportedRunner):
    """An .xml file, with the .bin file beside it, in OpenVINO."""

    def __init__(self, path: str) -> None:
        record = ExportRecord.from_json(_record_in_xml(path), path)
        super().__init__(record)
        runtime = _import("openvino", "openvino", path)
        core = runtime.Core()
        network = core.read_model(path)
        precision = "bf16" if record.precision == "bfloat16" else "f32"
        options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": cores()}
        self._network = core.compile_model(network, "CPU", options)
        self._requests = threading.local()

    def run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        """Run a batch."""
        if not hasattr(self._requests, "own"):  # a request runs one batch at a time
            self._requests.own = self._network.create_infer_request()
        results = self._requests.own.infer([batch])
        return [np.array(results[name]) for name in self.outputs]


class LiteRtRunner(_ExportedRunner):
    """A .tflite file in LiteRT."""

    def __init__(self, path: str) -> None:
        super().__init__(ExportRecord.from_json(_appended_record(path), path))
        runtime = _import("ai_edge_litert.interpreter", "litert", path)
        interpreter = runtime.Interpreter(model_path=path, num_threads=cores())
        self._run = interpreter.get_signature_runner("serve")
        self._one_at_a_time = threading.Lock()

    def run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        """Run the images of a batch one after the other: the file is of one image."""
        with self._one_at_a_time:
            results = [self._run(images=image[None]) for image in batch]
        return [np.concatenate([one[name] for one in results]) for name in self.outputs]


class SavedModelRunner(_ExportedRunner):
    """A folder in TensorFlow's format."""

    def __init__(self, path: str) -> None:
        record = Path(path, RECORD_IN_FOLDER)
        text = read_file(record, MAX_RECORD_BYTES) if record.is_file() else None
        super().__init__(ExportRecord.from_json(text, path))
        tensorflow = _import("tensorflow", None, path)
        _check_operations(path)
        self._model = tensorflow.saved_model.load(path)
        self._serve = self._model.signatures["serve"]

    def run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        """Run a batch."""
        from keras_retinanet.system.processes import refuse_after_fork

        refuse_after_fork()
        results = self._serve(images=batch)
        return [np.asarray(results[name]) for name in self.outputs]


# Operations of TensorFlow that read or write files, or call Python: no network has them.
_FORBIDDEN = {
    "CreateSummaryFileWriter",
    "DebugIdentityV2",
    "DebugIdentityV3",
    "EagerPyFunc",
    "FixedLengthRecordDataset",
    "FixedLengthRecordReaderV2",
    "IdentityReaderV2",
    "ImmutableConst",
    "LoadLibrary",
    "MatchingFiles",
    "Print",
    "PrintV2",
    "PyFunc",
    "PyFuncStateless",
    "ReadFile",
    "Save",
    "SaveSlices",
    "TFRecordDataset",
    "TFRecordReaderV2",
    "TextLineDataset",
    "TextLineReaderV2",
    "WholeFileReaderV2",
    "WriteFile",
    "WriteGraphSummary",
    "WriteSummary",
}


def _check_operations(path: str) -> None:
    """Check that the graphs of a SavedModel do nothing but compute.

    Raises:
        ValueError: naming the folder, if one does, or the file of the graphs is damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    content = SavedModel()
    try:
        content.ParseFromString(read_file(os.path.join(path, "saved_model.pb"), MAX_GRAPH_BYTES))
    except DecodeError:
        raise ValueError(f"{path}: saved_model.pb is damaged, or of another kind") from None
    for meta_graph in content.meta_graphs:
        graph = meta_graph.graph_def
        nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
        found = sorted({node.op for node in nodes} & _FORBIDDEN)
        if found:
            raise ValueError(
                f"{path}: expected a network, got a program that uses {', '.join(found[:5])}"
            )


# The runner of each format of `formats.exported_format`.
RUNNERS: Mapping[str, Callable[[str], Runner]] = MappingProxyType(
    {".onnx": OnnxRunner, ".xml": OpenVinoRunner, ".tflite": LiteRtRunner, FOLDER: SavedModelRunner}
)


def open_exported(path: StrPath) -> Runner:
    """Return the runner of an exported file.

    Raises:
        OSError: if there is no such file.
        ValueError: naming the file, if it is of no known format, is damaged, was not exported by
            this package, or its runtime is not installed.
    """
    kind = exported_format(path)
    if kind is None:
        raise ValueError(
            f"{path}: expected an exported model: a file that ends in {', '.join(ENDINGS)}, or the "
            "folder of a SavedModel"
        )
    os.stat(path)  # the system's error if there is no such file
    try:
        return RUNNERS[kind](os.fspath(path))
    except (ValueError, OSError):
        raise
    except Exception as error:  # a runtime raises nearly anything for a damaged file
        raise ValueError(f"{path}: cannot be loaded: {shorten(error, 200)}") from error


def _appended_record(path: str) -> bytes | None:
    """Return the record in the zip archive at the end of a .tflite file; None if it has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = f"{KEY}.json"
            if name not in archive.namelist():
                return None
            with archive.open(name) as file:
                return file.read(MAX_RECORD_BYTES + 1)
    except zipfile.BadZipFile:
        return None


def _record_in_xml(path: str) -> str | None:
    """Return the record in an .xml file of OpenVINO; None if it has none.

    Raises:
        ValueError: naming the file, if it is no such file.
    """
    text = read_file(path, MAX_XML_BYTES)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        raise ValueError(f"{path}: expected an XML file of OpenVINO, got another file") from None
    if root.tag != "net":
        raise ValueError(f"{path}: expected an XML file of OpenVINO, got one of <{root.tag}>")
    entry = root.find(f"rt_info/{KEY}")
    return None if entry is None else entry.get("value")


def _import(name: str, extra: str | None, path: str) -> ModuleType:
    """Import a runtime.

    Raises:
        ValueError: naming the file, if the runtime is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = "tensorflow" if extra is None else f"'keras-retinanet[{extra}]'"
        raise ValueError(
            f"{path}: running it needs {name.partition('.')[0]}, which is not installed: "
            f"pip install {package} ({error})"
        ) from None
