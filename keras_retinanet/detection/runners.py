"""Exported files, each run by its runtime: SavedModel, ONNX, OpenVINO, LiteRT.

A runtime is imported when a file of its format is opened, and TensorFlow only for a SavedModel.
"""

from __future__ import annotations

import importlib
import os
import threading
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np

from keras_retinanet.detection.exported import KEY, MAX_RECORD_BYTES, ExportRecord
from keras_retinanet.detection.formats import (
    EXPORTED,
    LITERT,
    ONNX,
    OPENVINO,
    SAVED_MODEL,
    Format,
    exported_format,
)
from keras_retinanet.detection.onnx_files import read_metadata
from keras_retinanet.detection.saved_model_files import check_saved_model
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.system.files import only_regular, read_file
from keras_retinanet.system.machine import cores
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# The name of the input, and that of the function from it to the outputs where a format has names.
INPUT = "images"
SIGNATURE = "serve"
# The names of outputs, in the order of a runner's results; a raw network has no labels.
OUTPUTS = ("boxes", "scores", "labels")
# The graph of a ResNet-152, without weights, takes 0.8 MB and has 20,000 elements.
MAX_XML_BYTES = 2**23
MAX_XML_ELEMENTS = 500_000
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

    format: Format

    def __init__(self, record: ExportRecord, path: str) -> None:
        self.record, self.info = record, record.info
        self.input_type, self.input_size = record.input_type, record.input_size
        self.is_raw = record.is_raw
        self.outputs = OUTPUTS[:2] if record.is_raw else OUTPUTS
        runtime = _import(self.format, path)
        try:
            inputs, outputs = self._open(runtime, path)
        except Exception as error:  # a runtime raises nearly anything for a damaged file
            raise ValueError(f"{path}: cannot be loaded: {shorten(error, 200)}") from error
        if list(inputs) != [INPUT] or not set(self.outputs) <= set(outputs):
            raise ValueError(
                f"{path}: expected a network from {INPUT} to {', '.join(self.outputs)}, as its "
                f"metadata says, got one from {shorten(', '.join(inputs))} to "
                f"{shorten(', '.join(outputs))}"
            )
        self._process = os.getpid()

    def _open(self, runtime: ModuleType, path: str) -> tuple[Iterable[str], Iterable[str]]:
        """Load the file; return the names of inputs and outputs."""
        raise NotImplementedError

    def run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        """Run a batch.

        Raises:
            RuntimeError: in a fork of the process that loaded the file.
        """
        if os.getpid() != self._process:
            raise RuntimeError(
                "the model was loaded before this process was forked, so it would wait for ever "
                "for threads that only its parent has: load it in each worker"
            )
        return self._run(batch)

    def _run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        raise NotImplementedError


class OnnxRunner(_ExportedRunner):
    """An .onnx file in ONNX Runtime, on a GPU where its package has CUDA."""

    format = ONNX

    def __init__(self, path: str) -> None:
        super().__init__(ExportRecord.from_json(read_metadata(path).get(KEY), path), path)

    def _open(self, runtime: ModuleType, path: str) -> tuple[Iterable[str], Iterable[str]]:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = 3  # errors
        # With TF32, products would have 10 bits.
        known = {"CUDAExecutionProvider": {"use_tf32": "0"}, "CPUExecutionProvider": {}}
        there = runtime.get_available_providers()
        providers = [one for one in known.items() if one[0] in there]
        self._session = runtime.InferenceSession(path, options, providers)
        return (
            [one.name for one in self._session.get_inputs()],
            [one.name for one in self._session.get_outputs()],
        )

    def _run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        return self._session.run(self.outputs, {INPUT: batch})


class OpenVinoRunner(_ExportedRunner):
    """An .xml file, with the .bin file beside it, in OpenVINO on the processor."""

    format = OPENVINO

    def __init__(self, path: str) -> None:
        super().__init__(ExportRecord.from_json(_record_in_xml(path), path), path)

    def _open(self, runtime: ModuleType, path: str) -> tuple[Iterable[str], Iterable[str]]:
        core = runtime.Core()
        precision = "bf16" if self.record.precision == "bfloat16" else "f32"
        options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": cores()}
        self._network = core.compile_model(core.read_model(path), "CPU", options)
        self._requests = threading.local()
        return (
            [name for port in self._network.inputs for name in port.names],
            [name for port in self._network.outputs for name in port.names],
        )

    def _run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        if not hasattr(self._requests, "own"):  # a request runs one batch at a time
            self._requests.own = self._network.create_infer_request()
        results = self._requests.own.infer([batch])
        return [np.array(results[name]) for name in self.outputs]


class LiteRtRunner(_ExportedRunner):
    """A .tflite file in LiteRT."""

    format = LITERT

    def __init__(self, path: str) -> None:
        super().__init__(ExportRecord.from_json(_appended_record(path), path), path)

    def _open(self, runtime: ModuleType, path: str) -> tuple[Iterable[str], Iterable[str]]:
        interpreter = runtime.Interpreter(model_path=path, num_threads=cores())
        names = interpreter.get_signature_list()[SIGNATURE]
        self._serve = interpreter.get_signature_runner(SIGNATURE)
        self._one_at_a_time = threading.Lock()
        return names["inputs"], names["outputs"]

    def _run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        with self._one_at_a_time:  # and one image at a time
            results = [self._serve(images=image[None]) for image in batch]
        return [np.concatenate([one[name] for one in results]) for name in self.outputs]


class SavedModelRunner(_ExportedRunner):
    """A folder in TensorFlow's format."""

    format = SAVED_MODEL

    def __init__(self, path: str) -> None:
        record = Path(path, RECORD_IN_FOLDER)
        text = read_file(record, MAX_RECORD_BYTES) if record.is_file() else None
        known = ExportRecord.from_json(text, path)
        _import(self.format, path)
        check_saved_model(path)
        super().__init__(known, path)

    def _open(self, runtime: ModuleType, path: str) -> tuple[Iterable[str], Iterable[str]]:
        self._model = runtime.saved_model.load(path)  # keeps the weights alive
        self._serve = self._model.signatures[SIGNATURE]
        return self._serve.structured_input_signature[1], self._serve.structured_outputs

    def _run(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        results = self._serve(images=batch)
        return [np.asarray(results[name]) for name in self.outputs]


# The runner of each format.
RUNNERS: Mapping[str, Callable[[str], _ExportedRunner]] = MappingProxyType(
    {
        ONNX.name: OnnxRunner,
        OPENVINO.name: OpenVinoRunner,
        LITERT.name: LiteRtRunner,
        SAVED_MODEL.name: SavedModelRunner,
    }
)


def open_exported(path: StrPath) -> _ExportedRunner:
    """Return the runner of an exported file.

    Raises:
        OSError: if there is no such file.
        ValueError: naming the file, if it is of no known format, is damaged, was not exported by
            this package, or its runtime is not installed.
    """
    kind = exported_format(path)
    if kind is None:
        endings = ", ".join(ending for one in EXPORTED for ending in one.endings)
        raise ValueError(
            f"{path}: expected an exported model: a file that ends in {endings}, or the folder of "
            "a SavedModel"
        )
    os.stat(path)  # the system's error if there is no such file
    return RUNNERS[kind.name](os.fspath(path))


def _appended_record(path: str) -> bytes | None:
    """Return the record in the zip archive at the end of a .tflite file; None if it has none."""
    try:
        with (
            open(path, "rb", opener=only_regular) as whole,
            zipfile.ZipFile(whole) as archive,
        ):
            name = f"{KEY}.json"
            if name not in archive.namelist():
                return None
            with archive.open(name) as file:
                return file.read(MAX_RECORD_BYTES + 1)
    except zipfile.BadZipFile:
        return None


class _XmlTarget:
    """What `ElementTree.XMLParser` calls, to find the record; a tree would take much memory.

    Attributes:
        root: the name of the outermost element.
        record: the record in it; None if it has none.
    """

    root: str = ""
    record: str | None = None

    def __init__(self) -> None:
        self._path: list[str] = []
        self._count = 0

    def doctype(self, name: str, *ids: str | None) -> None:
        """Refuse a document type: its defaults could add megabytes to each element."""
        raise ValueError("expected no document type, got one")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Look at an element."""
        self._count += 1
        if self._count > MAX_XML_ELEMENTS:
            raise ValueError(f"expected at most {MAX_XML_ELEMENTS} elements, got more")
        self._path.append(tag)
        self.root = self.root or tag
        if len(self._path) == 3 and self._path[1:] == ["rt_info", KEY]:
            self.record = attributes.get("value")

    def end(self, tag: str) -> None:
        """Leave an element."""
        self._path.pop()


def _record_in_xml(path: str) -> str | None:
    """Return the record in an .xml file of OpenVINO; None if it has none.

    Raises:
        ValueError: naming the file, if it is no such file.
    """
    target = _XmlTarget()
    parser = ElementTree.XMLParser(target=target)
    text = read_file(path, MAX_XML_BYTES)
    try:
        parser.feed(text)
        parser.close()
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        what = shorten(error, 100)
        raise ValueError(
            f"{path}: expected an XML file of OpenVINO, got another file ({what})"
        ) from None
    if target.root != "net":
        what = shorten(target.root)
        raise ValueError(f"{path}: expected an XML file of OpenVINO, got one of <{what}>")
    return target.record


def _import(format: Format, path: str) -> ModuleType:
    """Import the runtime of a format.

    Raises:
        ValueError: naming the file, if the runtime is not installed.
    """
    try:
        return importlib.import_module(format.module)
    except ImportError as error:
        raise ValueError(
            f"{path}: running it needs {format.package}, which is not installed: "
            f"pip install {format.package} ({error})"
        ) from None
