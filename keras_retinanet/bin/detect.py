"""`retinanet-detect`: find objects in photos with a snapshot or a converted model."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from keras_retinanet.bin import common
from keras_retinanet.bin.list_models import print_models
from keras_retinanet.detection.formats import runs_in_tensorflow
from keras_retinanet.detection.sources import find_images
from keras_retinanet.reports.pictures import picture_paths
from keras_retinanet.system import devices
from keras_retinanet.system.image_kinds import is_image_name
from keras_retinanet.system.messages import shorten

if TYPE_CHECKING:
    from keras_retinanet.detection.detector import Detector
    from keras_retinanet.reports.detections import ImageDetections


def parse_args(args: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed options.

    Args:
        args: command line arguments; None for those of the program.

    Raises:
        SystemExit: with code 2 for wrong arguments, 0 for `--help`.
    """
    parser = argparse.ArgumentParser(prog="retinanet-detect", description="Find objects in photos.")
    add = parser.add_argument
    add("model", help=common.MODEL_HELP)
    add(
        "sources",
        nargs="+",
        metavar="source",
        help="image file, folder or pattern such as 'a*.jpg'",
    )
    add(
        "--list-models",
        action=common.PrintAndExit,
        const=print_models,
        help="print the published models that have names",
    )
    add("--no-recursive", action="store_true", help="leave out the subfolders of folders")
    add(
        "--output",
        metavar="DIR",
        help="write copies with boxes drawn to DIR, in the same subfolders as the images",
    )
    add("--json", metavar="FILE", help="write all detections to FILE")
    add(
        "--score-threshold",
        type=float,
        default=0.5,
        help="minimum score, 0 to 1 (default: 0.5); a converted model has a threshold of its own "
        "too",
    )
    add(
        "--max-detections",
        type=int,
        help="maximum number of detections per image, the best ones (default: what the model "
        "keeps, 300 for a snapshot); a converted model has a maximum of its own too",
    )
    common.add_max_pixels(parser)
    add("--batch-size", type=int, default=1, help="images per batch (default: 1)")
    add("--image-min-side", type=int, help="pixels of the shorter side (default: as trained)")
    add(
        "--image-max-side",
        type=int,
        help="maximum pixels of the longer side (default: as trained)",
    )
    add("--gpu", help="number of the GPU, or cpu (default: all GPUs)")
    options = parser.parse_args(args)
    try:
        common.check_range(options, "0 to 1", ["score_threshold"])
        numbers = ["batch_size", "image_min_side", "image_max_side", "max_detections", "max_pixels"]
        common.check_range(options, "at least 1", numbers)
    except ValueError as error:
        parser.error(str(error))
    return options


@common.report_errors
def main(args: Sequence[str] | None = None, *, own_process: bool = False) -> None:
    """Run the command; images that fail are named at the end, with exit code 1, or 2 if all did.

    Args:
        args: command line arguments; None for those of the program.
        own_process: whether the process does nothing else with TensorFlow, so that its convolutions
            may be tuned for weights that never change.
    """
    options = parse_args(args)
    _check_model(options.model)
    sources = find_images(options.sources, not options.no_recursive, options.output)
    paths = list(sources.images)
    copies: list[str] = []
    if options.output:
        copies = picture_paths(paths, options.output, names=list(sources.images.values()))
    if options.output:
        _check_writable(options.output, "", "--output")
    if options.json:
        _check_writable(*os.path.split(options.json), "--json")
    if sources.left_out:
        print(_left_out(sources.left_out), file=sys.stderr)
    if runs_in_tensorflow(options.model):
        devices.start_tensorflow(weights_are_frozen=own_process)
        devices.setup_gpu(options.gpu)
    elif options.gpu is not None:
        raise ValueError("--gpu: the runtime of an exported file chooses its device itself")
    from keras_retinanet.detection.detector import Detector
    from keras_retinanet.reports import detections

    start = time.perf_counter()
    detector = Detector.load(
        options.model,
        min_side=options.image_min_side,
        max_side=options.image_max_side,
        score_threshold=options.score_threshold,
        max_detections=options.max_detections,
    )
    print(f"model loaded in {time.perf_counter() - start:.1f} s")
    found, errors = run(options, detector, paths, dict(zip(paths, copies, strict=False)))
    detections.print_table(found, options.score_threshold)
    errors = {**sources.errors, **errors}
    if errors:
        reasons = "; ".join(_reason(path, error) for path, error in errors.items())
        text = f"skipped {len(errors)} of {len(paths) + len(sources.errors)} images: {reasons}"
        if not found:
            raise ValueError(text)
        print(f"error: {text}", file=sys.stderr)
        sys.exit(1)


def _check_model(path: str) -> None:
    """Check that a model is a file or a name, and that it does not stand after the images.

    Raises:
        ValueError: if it is neither, or the name of an image.
    """
    if is_image_name(path):
        raise ValueError(
            f"{shorten(path)}: expected a model (.keras or .h5), got the name of an image; write "
            "the model before the images"
        )
    common.check_model(path)


def _check_writable(folder: str, name: str, option: str) -> None:
    """Check that a file can be written in a folder, before hours of work.

    A folder that has to be made for it is removed again: it is made with its first file.

    Raises:
        ValueError: naming the option and the path, if it cannot.
    """
    path = os.path.join(folder, name)
    is_new = not os.path.exists(folder or ".")
    try:
        os.makedirs(folder or ".", exist_ok=True)
        # As long a name as that of the file that will replace it.
        with tempfile.NamedTemporaryFile(dir=folder or ".", prefix=f".{name}-"):
            pass
        if name and os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if is_new:
            os.rmdir(folder)
    except OSError as error:
        raise ValueError(
            f"{option}: {shorten(path)} cannot be written: {error.strerror or error}"
        ) from None


def _left_out(paths: Sequence[str]) -> str:
    """Return a line about files that were left out, with the first of their names."""
    names = ", ".join(shorten(os.path.basename(path), 60) for path in paths[:5])
    names += ", ..." if len(paths) > 5 else ""
    which = (
        "1 file that is no image" if len(paths) == 1 else f"{len(paths)} files that are no images"
    )
    return f"left out {which}: {names}"


def command() -> None:
    """Run the command in a process of its own."""
    main(own_process=True)


def run(
    options: argparse.Namespace, detector: Detector, paths: Sequence[str], copies: Mapping[str, str]
) -> tuple[list[ImageDetections], dict[str, Exception]]:
    """Run the detector on image files, and write results as they come.

    Args:
        options: parsed options.
        detector: the detector.
        paths: the image files.
        copies: path -> file of the annotated copy, for those that get one.

    Returns:
        What was found on each readable image, in the order of `paths`, and the error of each image
        that could not be read, or whose copy could not be written.

    Raises:
        OSError: if the JSON file cannot be written at the end.
    """
    from keras_retinanet.detection.photos import detect_photos
    from keras_retinanet.reports.detections import JsonFile, describe, write_copy
    from keras_retinanet.reports.progress import progress_bar

    found: dict[str, ImageDetections] = {}
    errors: dict[str, Exception] = {}
    full: list[str] = []  # images that may have more objects than were returned
    names = detector.class_names
    report = JsonFile(options.json, paths) if options.json else None
    try:
        with progress_bar("Detecting", len(paths)) as progress:

            def skip(path: str, error: Exception) -> None:
                errors[path] = error
                progress(1)

            photos = detect_photos(detector, paths, options.batch_size, skip, options.max_pixels)
            for photo in photos:
                kept = photo.detections.best(options.max_detections)
                described = describe(photo.path, photo.image, kept, names, options.score_threshold)
                found[photo.path] = described
                if kept.capped and len(described.detections) == len(kept):
                    full.append(photo.path)
                if report:
                    report.add(described)
                try:
                    if photo.path in copies:
                        write_copy(photo.image, described, copies[photo.path])
                except Exception as error:  # must not cost the other images
                    errors[photo.path] = error
                progress(1)
    finally:  # also where the program is stopped
        if report:
            report.write()
    if full:
        _tell_full(full, len(found[full[0]].detections))
    return [found[path] for path in paths if path in found], errors


def _tell_full(paths: Sequence[str], count: int) -> None:
    images = shorten(paths[0])
    if len(paths) > 1:
        images += f" and {len(paths) - 1} more images"
    print(
        f"warning: {images}: {count} detections, the maximum: there may be more; raise "
        "--max-detections",
        file=sys.stderr,
    )


def _reason(path: str, error: Exception) -> str:
    """Return what was wrong with an image, on one line, with its path."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, OSError) and error.filename and error.filename != path:
        text = f"{error.filename}: {text}"
    if not isinstance(error, (OSError, ValueError)):
        text = f"{type(error).__name__}: {text}"
    text = shorten(text, 300)
    return text if path in text else f"{path}: {text}"


if __name__ == "__main__":
    command()
