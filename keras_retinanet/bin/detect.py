"""`retinanet-detect`: find objects in photos with a snapshot or a converted model."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_retinanet.bin import common
from keras_retinanet.detection.sources import find_images
from keras_retinanet.reports.pictures import picture_paths
from keras_retinanet.system import devices

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
    add("model", help="training snapshot or converted model, .keras or .h5")
    add(
        "sources",
        nargs="+",
        metavar="source",
        help="image file, folder or pattern such as 'a*.jpg'",
    )
    add("--output", metavar="DIR", help="write copies with boxes drawn to DIR")
    add("--json", metavar="FILE", help="write all detections to FILE")
    add(
        "--score-threshold",
        type=float,
        default=0.5,
        help="minimum score, 0 to 1 (default: 0.5); a converted model has a threshold of its own "
        "too",
    )
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
        common.check_range(
            options, "at least 1", ["batch_size", "image_min_side", "image_max_side"]
        )
    except ValueError as error:
        parser.error(str(error))
    return options


@common.report_errors
def main(args: Sequence[str] | None = None, *, own_process: bool = False) -> None:
    """Run the command; unreadable images are skipped and named at the end, with exit code 2.

    Args:
        args: command line arguments; None for those of the program.
        own_process: whether the process does nothing else with TensorFlow, so that its convolutions
            may be tuned for weights that never change.
    """
    options = parse_args(args)
    paths = find_images(options.sources)
    copies = picture_paths(paths, options.output) if options.output else []
    if not os.path.isfile(options.model):
        raise ValueError(f"model not found: {options.model}")
    devices.start_tensorflow(weights_are_frozen=own_process)
    devices.setup_gpu(options.gpu)
    from keras_retinanet.detection.photos import load_detector
    from keras_retinanet.reports import detections

    start = time.perf_counter()
    detector = load_detector(
        options.model, options.image_min_side, options.image_max_side, options.score_threshold
    )
    print(f"model loaded in {time.perf_counter() - start:.1f} s")
    found, errors = run(options, detector, paths, dict(zip(paths, copies, strict=False)))
    if options.json:
        detections.write_json(found, options.json)
    detections.print_table(found, options.score_threshold)
    if errors:
        reasons = "; ".join(_reason(path, error) for path, error in errors.items())
        raise ValueError(f"skipped {len(errors)} of {len(paths)} images: {reasons}")


def command() -> None:
    """Run the command in a process of its own."""
    main(own_process=True)


def run(
    options: argparse.Namespace, detector: Detector, paths: Sequence[str], copies: dict[str, str]
) -> tuple[list[ImageDetections], dict[str, Exception]]:
    """Run the detector on image files, and write the annotated copies.

    Args:
        options: parsed options.
        detector: the detector.
        paths: the image files.
        copies: path -> file of the annotated copy, for those that get one.

    Returns:
        What was found on each readable image, in the order of `paths`, and the error of each
        unreadable one.
    """
    from keras_retinanet.detection.photos import detect_photos
    from keras_retinanet.reports.detections import describe, write_copy
    from keras_retinanet.reports.progress import progress_bar

    found: dict[str, ImageDetections] = {}
    errors: dict[str, Exception] = {}
    names = detector.info.class_names if detector.info else None
    with progress_bar("Detecting", len(paths)) as progress:

        def skip(path: str, error: Exception) -> None:
            errors[path] = error
            progress(1)

        for photo in detect_photos(detector, paths, options.batch_size, on_error=skip):
            described = describe(
                photo.path, photo.image, photo.detections, names, options.score_threshold
            )
            if photo.path in copies:
                write_copy(photo.image, described, copies[photo.path])
            found[photo.path] = described
            progress(1)
    return [found[path] for path in paths if path in found], errors


def _reason(path: str, error: Exception) -> str:
    return str(error) if path in str(error) else f"{path}: {error}"


if __name__ == "__main__":
    command()
