"""`retinanet-detect`: find objects on photos with a snapshot or a converted model."""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Iterator

from keras_retinanet.bin import common
from keras_retinanet.detection.sources import choose_targets, find_images
from keras_retinanet.system import devices

CONVERTED_THRESHOLD = 0.05  # what scores less is not kept when a snapshot is converted on the fly


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line.

    Args:
        argv: Arguments; None takes those of the process.

    Raises:
        SystemExit: With code 2 for arguments that cannot be right, 0 for `--help`.
    """
    parser = argparse.ArgumentParser(prog="retinanet-detect", description="Find objects on photos.")
    parser.add_argument("model", help="training snapshot or converted model, .keras or .h5")
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="source",
        help="image file, folder or pattern such as 'a*.jpg'",
    )
    parser.add_argument("--output", metavar="DIR", help="write copies with boxes drawn to DIR")
    parser.add_argument("--json", metavar="FILE", help="write everything found to FILE")
    parser.add_argument(
        "--score-threshold",
        type=float,
        default=0.5,
        help="least score, 0 to 1 (default: 0.5); what a converted model left out stays out",
    )
    parser.add_argument("--batch-size", type=int, default=1, help="images at a time (default: 1)")
    parser.add_argument(
        "--image-min-side", type=int, help="pixels of the shorter side (default: as trained)"
    )
    parser.add_argument(
        "--image-max-side", type=int, help="most pixels of the longer side (default: as trained)"
    )
    parser.add_argument("--gpu", help="number of the GPU, or cpu (default: all GPUs)")
    options = parser.parse_args(argv)
    _check(parser, options)
    return options


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    try:
        common.check_range(options, "0 to 1", ["score_threshold"])
        common.check_range(
            options, "at least 1", ["batch_size", "image_min_side", "image_max_side"]
        )
    except ValueError as error:
        parser.error(str(error))


@common.report_errors
def main(argv: list[str] | None = None) -> None:
    """Run the command; unreadable images are skipped and named at the end, with exit code 2.

    Args:
        argv: Arguments; None takes those of the process.
    """
    options = parse_args(argv)
    paths = find_images(options.sources)
    targets = choose_targets(paths, options.output) if options.output else {}
    if not os.path.isfile(options.model):
        raise ValueError(f"model not found: {options.model}")
    from keras_retinanet.reports import detections

    # Who gives the arguments may train in the same process.
    devices.quiet_tensorflow(weights_stay=argv is None)
    devices.setup_gpu(options.gpu)
    start = time.perf_counter()
    detector = load_detector(options)
    print(f"model loaded in {time.perf_counter() - start:.1f} s")
    found, bad = detect(detector, paths, targets, options)
    if options.json:
        detections.write_json(found, options.json)
    detections.print_table(found, options.score_threshold)
    if bad:
        reasons = "; ".join(_reason(path, error) for path, error in bad.items())
        raise ValueError(f"skipped {len(bad)} of {len(paths)} images: {reasons}")


def _reason(path: str, error: Exception) -> str:
    return str(error) if path in str(error) else f"{path}: {error}"


def load_detector(options: argparse.Namespace):
    """Load the model; image sides given as options win over those it was trained with."""
    from keras_retinanet import models
    from keras_retinanet.evaluation.measure import Detector
    from keras_retinanet.images import resize_image

    model = models.load_model(options.model)
    filtering = {"score_threshold": min(options.score_threshold, CONVERTED_THRESHOLD)}
    details = getattr(model, "info", None)
    given = (options.image_min_side, options.image_max_side)
    if given == (None, None) or details is None:
        return Detector(model, **filtering)
    trained = (details.image_min_side, details.image_max_side)
    sides = tuple(asked or known for asked, known in zip(given, trained, strict=True))
    if sides != trained or details.no_resize:
        before = "unresized images" if details.no_resize else "sides {} and {}".format(*trained)
        warnings.warn(
            f"resizing to sides {sides[0]} and {sides[1]}; the model was trained with {before}",
            stacklevel=2,
        )
    return Detector(model, resize_image=lambda image: resize_image(image, *sides), **filtering)


def detect(
    detector, paths: list[str], targets: dict[str, str], options: argparse.Namespace
) -> tuple[list, dict[str, Exception]]:
    """Run the model on image files, with a progress bar on stderr.

    Args:
        detector: An `evaluation.Detector`.
        paths: Image files.
        targets: Where annotated copies go; paths that are not in it get none.
        options: With `score_threshold` and `batch_size`.

    Returns:
        The `ImageDetections` of each readable image, in the order of `paths`, and the error of
        each unreadable one.
    """
    from rich.console import Console
    from rich.progress import Progress

    from keras_retinanet.reports.detections import describe, write_copy

    found: dict = {}
    bad: dict[str, Exception] = {}
    images: dict = {}  # those that wait for their batch
    names = detector.info.class_names if detector.info else None
    samples = _read(detector, paths, images, bad)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("Detecting", total=len(paths))
        for indices, results, _ in detector.detect_batches(samples, options.batch_size):
            for index, result in zip(indices, results, strict=True):
                image, path = images.pop(index), paths[index]
                found[index] = describe(path, image, result, names, options.score_threshold)
                if path in targets:
                    write_copy(image, found[index], targets[path])
            progress.update(task, completed=len(found) + len(bad))
        progress.update(task, completed=len(paths))
    return [found[index] for index in sorted(found)], bad


def _read(detector, paths: list[str], images: dict, bad: dict) -> Iterator[tuple]:
    """Yield (index, prepared image) of the readable files; fill `images` and `bad` on the way."""
    from keras_retinanet.images import read_image_bgr

    for index, path in enumerate(paths):
        try:
            image = read_image_bgr(path)
        except (OSError, ValueError) as error:
            bad[path] = error
            continue
        images[index] = image
        yield index, detector.prepare(image)


if __name__ == "__main__":
    main()
