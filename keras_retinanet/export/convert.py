"""A file of a model to a file of another format, checked before it is in its place."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_retinanet.config import Config
from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import Detector
from keras_retinanet.detection.formats import (
    EXPORTED,
    SAVED_MODEL,
    Format,
    exported_format,
    format_named,
)
from keras_retinanet.detection.keras_runner import KerasRunner
from keras_retinanet.detection.runners import RECORD_IN_FOLDER, open_exported
from keras_retinanet.export import samples
from keras_retinanet.export.check import TOLERANCES, Difference, compare
from keras_retinanet.export.network import Network, build
from keras_retinanet.geometry.filter_settings import FIXED_TOP_K
from keras_retinanet.models import load_model
from keras_retinanet.models.conversion import convert_file
from keras_retinanet.models.snapshots import check_backbone, check_suffix
from keras_retinanet.system.types import StrPath

# Images that an export is compared on.
_COMPARED = 4
# Photos that int8 is calibrated with.
_CALIBRATED = 100


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
    log: Callable[[str], None] | None = None,
    **filter_settings: Any,
) -> Difference:
    """Write the model in a file in another format, if it detects what the model detects.

    Args:
        path_in: what `models.load_model` takes.
        path_out: where to write; a folder for a SavedModel, which may replace another one.
        name: the name of one of `formats.EXPORTED`.
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
    kind = format_named(name)
    check_request(kind, path_out, precision, input_size, calibrate)
    photos = [] if calibrate is None else samples.photos_of(calibrate)
    model = load_model(path_in)
    if backbone:
        check_backbone(model, backbone)
    config = config or Config()
    options: dict[str, Any] = {
        "is_raw": is_raw,
        "input_size": input_size,
        "precision": precision,
        "one_image": kind.one_image,
        "anchor_params": config.anchor_params,
        "pyramid_levels": config.pyramid_levels,
    }
    try:
        network = build(model, **options, **filter_settings)
    except ValueError as error:
        raise ValueError(f"{path_in}: {error}") from None
    images, what = _images(photos, calibrate)
    write = importlib.import_module(f"keras_retinanet.export.{kind.name.replace('-', '_')}").write
    with _replacing(Path(os.path.abspath(path_out))) as written:
        write(network, str(written), _calibration(network, photos))
        expected = _found(exact_detector(network), network, images)
        difference = _difference(network, written, images, expected)
        is_sure = difference.found > 0
        if not is_sure:
            # Whatever the model finds on them, with however low a score, has to agree.
            what += ", where the model finds nothing: with a score threshold of 0"
            all_scores = {"score_threshold": 0.0, "pre_nms_top_k": FIXED_TOP_K}
            low = build(model, **options, **{**filter_settings, **all_scores})
            other = written.with_name(f"all-{written.name}")
            write(low, str(other), _calibration(low, photos))
            all_expected = _found(exact_detector(low), low, images)
            difference = _difference(low, other, images, all_expected)
        _accept(difference, is_sure, precision, path_out, what, log)
        _warn_of_limit(network, path_out, images, expected)
    return difference


def convert_keras_file(
    path_in: StrPath,
    path_out: StrPath,
    *,
    precision: str,
    calibrate: StrPath | None = None,
    log: Callable[[str], None] | None = None,
    **options: Any,
) -> Difference:
    """Write an inference model of Keras in half precision, if it detects what it does in float32.

    Args:
        path_in: what `models.conversion.convert_file` takes.
        path_out: where to write it.
        precision: "bfloat16".
        calibrate: a folder of photos to compare on; None for drawn pictures.
        log: called with a line about the comparison.
        **options: for `convert_file`.

    Returns:
        The greatest differences.

    Raises:
        OSError: if a file cannot be read or written.
        ValueError: as `convert_file`, and if the differences are more than `check.TOLERANCES`
            allows: then nothing is written.
    """
    check_suffix(path_out)
    images, what = _images([] if calibrate is None else samples.photos_of(calibrate), calibrate)
    with _replacing(Path(os.path.abspath(path_out))) as written:
        exact = written.with_name(f"exact-{written.name}")
        found: list[list[Detections]] = []
        for path, numbers in ((exact, "float32"), (written, precision)):
            convert_file(path_in, path, precision=numbers, **options)
            model = load_model(path)
            settings = model.info.filter_settings
            detector = Detector(model)
            found.append(detector.detect(images, settings.score_threshold, settings.max_detections))
        difference = compare(found[0], found[1], TOLERANCES[precision], settings.score_threshold)
        _accept(difference, difference.found > 0, precision, path_out, what, log)
    return difference


def _images(photos: Sequence[str], folder: StrPath | None) -> tuple[list[np.ndarray], str]:
    """Return images to compare on, and what they are."""
    if photos:
        images = list(samples.read(photos, _COMPARED))
        return images, f"{len(images)} photos of {folder}"
    images = list(samples.drawn_images(_COMPARED))
    return images, f"{len(images)} drawn pictures"


def _accept(
    difference: Difference,
    is_sure: bool,
    precision: str,
    path_out: StrPath,
    what: str,
    log: Callable[[str], None] | None,
) -> None:
    """Report differences, and refuse those that are more than allowed.

    Args:
        difference: how far apart the detections are.
        is_sure: whether one of the networks finds something with a score above the threshold.
        precision: that of the file.
        path_out: the file, for messages.
        what: what was compared.
        log: called with a line about the comparison.

    Raises:
        ValueError: if they are, or if it cannot be told although something is found.
    """
    allowed = TOLERANCES[precision]
    if not difference.compared and not is_sure:
        warnings.warn(
            f"{path_out}: not compared, as the model finds nothing on {what}: give --calibrate "
            "FOLDER with photos of what it finds",
            stacklevel=3,
        )
        return
    if not difference.compared:
        raise ValueError(
            f"{path_out}: not written: it cannot be compared with the model. On {what} both find "
            "as many objects as they can return, with scores that differ by less than the "
            f"tolerance of {allowed.score:g}: give --calibrate FOLDER with photos of fewer "
            "objects, or a higher --max-detections"
        )
    if not difference.is_within(allowed):
        raise ValueError(
            f"{path_out}: not written: it differs from the model by more than {allowed}. On "
            f"{what}: {difference}. {_advice(precision)}"
        )
    if log is not None:
        log(f"compared on {what}: {difference}")


def check_request(
    kind: Format,
    path_out: StrPath,
    precision: str,
    input_size: tuple[int, int] | None,
    calibrate: StrPath | None,
) -> None:
    """Check that a format can be written as it is asked for, before a model is loaded.

    Raises:
        ValueError: if it cannot.
    """
    if kind not in EXPORTED:
        raise ValueError(f"format: {kind.name} is written by models.conversion.convert_file")
    if precision not in kind.precisions:
        raise ValueError(
            f"--precision {precision}: {kind.name} has {', '.join(kind.precisions)} only"
        )
    if kind.one_image and input_size is None:
        raise ValueError(
            f"a {kind.endings[0]} file has one size of images: give --input-size HEIGHTxWIDTH"
        )
    if precision == "int8" and calibrate is None:
        raise ValueError("--precision int8 needs --calibrate FOLDER, a hundred photos or so")
    for module in (*kind.writers, *(kind.quantisers if precision == "int8" else ())):
        if importlib.util.find_spec(module) is None:
            raise ValueError(
                f"writing {kind.name} needs {module}, which is not installed: "
                f"pip install 'keras-retinanet[{kind.name}]'"
            )
    if kind == SAVED_MODEL:
        _check_folder(path_out)
    elif os.path.isdir(path_out):
        raise ValueError(f"{path_out}: expected the name of a file to write, got a folder")


def _check_folder(path: StrPath) -> None:
    """Check that a SavedModel may be written to a path: it replaces nothing but another one."""
    if not os.path.lexists(path):
        return
    is_ours = os.path.isdir(path) and not os.path.islink(path)
    if is_ours and os.listdir(path):
        is_ours = exported_format(path) == SAVED_MODEL and os.path.isfile(
            os.path.join(path, RECORD_IN_FOLDER)
        )
    if not is_ours or os.path.samefile(path, os.curdir):
        raise ValueError(
            f"{path}: expected the name of a new folder, or of one with an exported SavedModel to "
            "replace"
        )


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or folder to; what is there, and its .bin, replaces `path`.

    Nothing is replaced if an error is raised. The .xml file is in place last, so that it never
    stands beside the weights of another.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem[:50]}-") as folder:
        written = Path(folder, path.name)
        yield written
        if written.is_dir():
            _sync(*(one for one in written.rglob("*") if one.is_file()))
            before = Path(folder, "before")
            if path.is_dir():
                path.rename(before)
            try:
                written.rename(path)
            except OSError:
                if before.is_dir():
                    before.rename(path)
                raise
            return
        weights = written.with_suffix(".bin")
        _sync(written)
        if weights.exists():
            _sync(weights)
            path.unlink(missing_ok=True)
            os.replace(weights, path.with_suffix(".bin"))
        os.replace(written, path)


def _sync(*paths: Path) -> None:
    """Wait until files are on the disk."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())


class _Calibration:
    """Batches of one image `(1, h, w, 3)`, as a network takes them; the photos are read each time.

    Args:
        network: the network.
        photos: paths.
    """

    def __init__(self, network: Network, photos: Sequence[str]) -> None:
        self._detector, self._photos = exact_detector(network), photos
        self._type = network.record.input_type

    def __iter__(self) -> Iterator[np.ndarray]:
        for photo in samples.read(self._photos, _CALIBRATED):
            yield self._detector.prepare(photo).image[None].astype(self._type)


def _calibration(network: Network, photos: Sequence[str]) -> Iterable[np.ndarray]:
    """Return what int8 is calibrated with."""
    return _Calibration(network, photos) if network.record.precision == "int8" else ()


def exact_detector(network: Network, *, is_unlimited: bool = False) -> Detector:
    """Return the detector of the exact model, with images of the size of the export."""
    runner = KerasRunner(network.unlimited if is_unlimited else network.exact)
    runner.input_size = network.record.input_size
    return Detector(runner)


def _found(detector: Detector, network: Network, images: Sequence[np.ndarray]) -> list[Detections]:
    """Return what a detector finds that filters as a network does."""
    settings = network.record.info.filter_settings
    return detector.detect(images, settings.score_threshold, settings.max_detections)


def _difference(
    network: Network, written: Path, images: Sequence[np.ndarray], expected: Sequence[Detections]
) -> Difference:
    """Return the differences between what the exact model finds and what a written file does."""
    found = _found(Detector(open_exported(written)), network, images)
    threshold = network.record.info.filter_settings.score_threshold
    return compare(expected, found, TOLERANCES[network.record.precision], threshold)


def _warn_of_limit(
    network: Network, path_out: StrPath, images: Sequence[np.ndarray], limited: Sequence[Detections]
) -> None:
    """Warn if Keras finds something else, since its filter looks at more scores.

    Args:
        network: the network.
        path_out: where it is written, for the warning.
        images: what it is compared on.
        limited: what the exact model finds on them among as many scores as the network looks at.
    """
    if network.unlimited is network.exact:
        return
    settings = network.record.info.filter_settings
    every = _found(exact_detector(network, is_unlimited=True), network, images)
    difference = compare(every, limited, TOLERANCES["float32"], settings.score_threshold)
    if difference.unmatched:
        warnings.warn(
            f"{path_out}: {difference.unmatched} of {difference.compared} detections differ from "
            f"those of Keras, since more than {settings.pre_nms_top_k} scores of a pyramid level "
            f"are above the threshold of {settings.score_threshold:g}: a higher --pre-nms-top-k or "
            "--score-threshold gives the same",
            stacklevel=3,
        )


def _advice(precision: str) -> str:
    if precision == "int8":
        return "Give --calibrate photos like those that it will see, or use float16"
    if precision == "float32":
        return "Use another format, and report this one"
    return "Use float32"
