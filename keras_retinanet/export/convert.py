"""A file of a model to a file of another runtime, checked before it is in its place."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from keras_retinanet.config import Config
from keras_retinanet.detection.detector import Detector
from keras_retinanet.detection.keras_runner import KerasRunner
from keras_retinanet.detection.runners import open_exported
from keras_retinanet.export import samples
from keras_retinanet.export.check import TOLERANCES, Difference, compare
from keras_retinanet.export.network import Network, build
from keras_retinanet.models import load_model
from keras_retinanet.models.snapshots import check_backbone
from keras_retinanet.system.types import StrPath

# Images that an export is compared on.
_COMPARED = 4
# Photos that whole numbers are calibrated with.
_CALIBRATED = 100


@dataclass(frozen=True)
class Format:
    """A format of exported files.

    Attributes:
        module: its file in this folder.
        ending: of its files; empty for a folder.
        needs: packages that writing it takes, besides TensorFlow.
        precisions: those that it can have.
        fixed_size: whether its images need one size.
    """

    module: str
    ending: str
    needs: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("float32",)
    fixed_size: bool = False


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "saved-model": Format("saved_model", ""),
        "onnx": Format(
            "onnx", ".onnx", ("onnx", "tf2onnx", "onnxruntime"), ("float32", "float16", "int8")
        ),
        "openvino": Format(
            "openvino", ".xml", ("openvino",), ("float32", "float16", "bfloat16", "int8")
        ),
        "litert": Format(
            "litert", ".tflite", ("ai_edge_litert",), ("float32", "float16", "int8"), True
        ),
    }
)


def export_file(
    path_in: StrPath,
    path_out: StrPath,
    name: str,
    *,
    precision: str = "float32",
    input_size: tuple[int, int] | None = None,
    calibrate: StrPath | None = None,
    is_raw: bool = False,
    backbone: str | None = None,
    config: Config | None = None,
    log: Callable[[str], None] = print,
    **filter_settings: Any,
) -> Difference:
    """Write the model in a file in a format of `FORMATS`, if it detects what the model detects.

    Args:
        path_in: what `models.load_model` takes.
        path_out: where to write; a folder for a SavedModel.
        name: the format.
        precision: see `ExportRecord`.
        input_size: height and width of the images; None for any.
        calibrate: a folder of photos, for int8, and to compare with; None for drawn pictures.
        is_raw: whether to leave the filter out, see `ExportRecord`.
        backbone: name of the backbone that the model should have; another one gives a warning.
        config: anchors and pyramid levels, which take precedence over the model's own.
        log: called with a line about the comparison.
        **filter_settings: attributes of `FilterSettings`, such as `score_threshold=0.3`.

    Returns:
        The greatest differences.

    Raises:
        OSError: if a file cannot be read or written.
        ValueError: if the format cannot be written, the file holds no model, or the differences are
            more than `check.TOLERANCES` allows: then nothing is written.
    """
    kind = FORMATS[name]
    check_request(name, precision, input_size, calibrate)
    model = load_model(path_in)
    if backbone:
        check_backbone(model, backbone)
    config = config or Config()
    network = build(
        model,
        is_raw=is_raw,
        input_size=input_size,
        precision=precision,
        anchor_params=config.anchor_params,
        pyramid_levels=config.pyramid_levels,
        **filter_settings,
    )
    images, what = _images(calibrate)
    out = Path(path_out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.stem[:50]}-") as folder:
        written = Path(folder, out.name)
        write = importlib.import_module(f"keras_retinanet.export.{kind.module}").write
        write(network, str(written), _calibration(calibrate, network))
        difference = _difference(network, written, images)
        log(_describe(difference, f"{len(images)} {what}"))
        if not difference.is_within(TOLERANCES[precision]):
            raise ValueError(
                f"{path_out}: not written: {difference.unmatched} of {difference.compared} "
                f"detections have no counterpart within {_within(precision)}"
            )
        if kind.ending == "" and out.is_dir():
            shutil.rmtree(out)
        for file in Path(folder).iterdir():
            os.replace(file, out.with_name(file.name))
    return difference


def check_request(
    name: str, precision: str, input_size: tuple[int, int] | None, calibrate: StrPath | None
) -> None:
    """Check that a format can be written as it is asked for, before a model is loaded.

    Raises:
        ValueError: if it cannot.
    """
    kind = FORMATS[name]
    if precision not in kind.precisions:
        raise ValueError(
            f"--precision {precision}: {name} has {' and '.join(kind.precisions)} only"
        )
    if kind.fixed_size and input_size is None:
        raise ValueError(
            f"a {kind.ending} file has one size of images: give --input-size HEIGHTxWIDTH"
        )
    if precision == "int8" and calibrate is None:
        raise ValueError("--precision int8 needs --calibrate FOLDER, a hundred photos or so")
    for package in (*kind.needs, *(_QUANTISERS[name] if precision == "int8" else ())):
        if importlib.util.find_spec(package) is None:
            raise ValueError(
                f"writing {name} needs {package}, which is not installed: "
                f"pip install 'keras-retinanet[{name}]'"
            )


# The packages that int8 takes besides.
_QUANTISERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"onnx": (), "openvino": ("nncf",), "litert": ("ai_edge_quantizer",)}
)


def _images(calibrate: StrPath | None) -> tuple[list[np.ndarray], str]:
    """Return images to compare on, and what they are."""
    if calibrate is None:
        return list(samples.drawn_images(_COMPARED)), "drawn pictures"
    return list(samples.photos(os.fspath(calibrate), _COMPARED)), f"photos of {calibrate}"


def _calibration(calibrate: StrPath | None, network: Network) -> Sequence[np.ndarray]:
    """Return batches of one image `(1, h, w, 3)`, as the network takes them, for int8."""
    if network.record.precision != "int8" or calibrate is None:
        return []
    detector = exact_detector(network)
    return [
        detector.prepare(photo).image[None].astype(network.record.input_type)
        for photo in samples.photos(os.fspath(calibrate), _CALIBRATED)
    ]


def exact_detector(network: Network) -> Detector:
    """Return the detector of the exact model, with images of the size of the export."""
    runner = KerasRunner(network.exact)
    runner.input_size = network.record.input_size
    return Detector(runner)


def _difference(network: Network, written: Path, images: Sequence[np.ndarray]) -> Difference:
    """Return the differences between the exact model and a written file."""
    settings = network.record.info.filter_settings
    threshold, limit = settings.score_threshold, settings.max_detections
    expected = exact_detector(network).detect(images, threshold, limit)
    found = Detector(open_exported(written)).detect(images, threshold, limit)
    return compare(expected, found, TOLERANCES[network.record.precision], threshold)


def _within(precision: str) -> str:
    allowed = TOLERANCES[precision]
    sides = f" or {100 * allowed.of_side:g} % of a side" if allowed.of_side else ""
    return f"{allowed.score:g} of its score and {allowed.pixels:g} pixels{sides} of its box"


def _describe(difference: Difference, images: str) -> str:
    if not difference.compared:
        return (
            f"compared on {images}: the model finds nothing on them; give "
            "--calibrate FOLDER with photos on which it does"
        )
    return (
        f"compared on {images}, {difference.compared} detections: scores differ by at "
        f"most {difference.score:.1g}, boxes by {difference.box:.1g} pixels; "
        f"{difference.unmatched} have no counterpart"
    )
