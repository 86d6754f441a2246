"""`retinanet-detect`: find objects in photos with a snapshot or a converted model."""

from __future__ import annotations

import argparse
import contextlib
import errno
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keras_retinanet.bin import common
from keras_retinanet.bin.list_models import print_models
from keras_retinanet.detection.formats import model_files, runs_in_tensorflow
from keras_retinanet.detection.sources import Sources, find_images
from keras_retinanet.reports.pictures import picture_paths
from keras_retinanet.system import devices
from keras_retinanet.system.image_kinds import is_image_name
from keras_retinanet.system.messages import reason_with_path, shorten

if TYPE_CHECKING:
    from keras_retinanet.detection.detector import Detector
    from keras_retinanet.reports.detections import Selection
    from keras_retinanet.reports.results import Results


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
        help="image, video, folder, pattern such as 'a*.jpg', address (http, rtsp, ...), number of "
        "a camera, text file of these (.txt), or - for the lines of stdin",
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
        help="write copies with boxes drawn to DIR, in the same subfolders as the images; the copy "
        "of a video is an .mp4",
    )
    add(
        "--json",
        metavar="FILE",
        help="write all detections to FILE: a list, or a line for each image if it ends in .jsonl",
    )
    add("--csv", metavar="FILE", help="write the detections as a CSV file to train on")
    add("--coco", metavar="FILE", help="write the detections as a COCO results file")
    add(
        "--skip-existing",
        action="store_true",
        help="leave out images that are in the files of --output, --json and --csv already, and "
        "add to these",
    )
    add("--classes", metavar="A,B", help="only these classes, by name (default: all)")
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
    common.add_tiles(parser)
    common.add_max_pixels(parser)
    add("--batch-size", type=int, default=1, help="images per batch (default: 1)")
    add("--image-min-side", type=int, help="pixels of the shorter side (default: as trained)")
    add(
        "--image-max-side",
        type=int,
        help="maximum pixels of the longer side (default: as trained)",
    )
    add("--gpu", help="number of the GPU, or cpu (default: all GPUs)")
    add("--engine", choices=["ray"], help="run on a Ray cluster (default: in this process)")
    add(
        "--address",
        help="the address of the Ray cluster, such as auto or ray://host:10001 (default: one that "
        "is started on this machine)",
    )
    options = parser.parse_args(args)
    try:
        common.check_range(options, "0 to 1", ["score_threshold"])
        numbers = ["batch_size", "image_min_side", "image_max_side", "max_detections", "max_pixels"]
        common.check_range(options, "at least 1", numbers)
        _check_together(options)
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
    copies = _copies(options, sources)
    records = {name: getattr(options, name) for name in RECORDS if getattr(options, name)}
    _check_records(options, records, sources)
    if options.output:
        _check_writable(options.output, "", "--output")
    if sources.left_out:
        print(_left_out(sources.left_out), file=sys.stderr)
    from keras_retinanet.reports.results import EarlierRun, Results

    earlier = EarlierRun.of(records, copies) if options.skip_existing else EarlierRun()
    paths = [path for path in sources.images if not earlier.has(path, sources.videos)]
    skipped = len(sources.images) - len(paths)
    if skipped:
        print(f"skipped {skipped} images that are done", file=sys.stderr)
    errors = {path: reason_with_path(path, error) for path, error in sources.errors.items()}
    is_empty = not skipped
    if paths:
        results = Results(records, copies, earlier)
        if options.engine:
            run_on_cluster(options, paths, results)
        else:
            run(options, _load(options, own_process), paths, sources.videos, results)
        results.report(options.score_threshold)
        errors |= results.errors
        is_empty = is_empty and not results.tally.images
    if errors:
        text = (
            f"{len(errors)} of {len(sources.images) + len(sources.errors)} images had errors: "
            f"{'; '.join(errors.values())}"
        )
        if is_empty:
            raise ValueError(text)
        print(f"error: {text}", file=sys.stderr)
        sys.exit(1)


def _load_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `Detector.load` that follow from the options."""
    return {
        "min_side": options.image_min_side,
        "max_side": options.image_max_side,
        "score_threshold": options.score_threshold,
        "max_detections": options.max_detections,
        "tile": options.tile,
        "overlap": options.overlap,
    }


def _load(options: argparse.Namespace, own_process: bool) -> Detector:
    """Load the model; TensorFlow is started only for one that runs in it.

    Raises:
        ValueError: if a GPU is chosen for a model that does not run in TensorFlow.
    """
    if runs_in_tensorflow(options.model):
        devices.start_tensorflow(weights_are_frozen=own_process)
        devices.setup_gpu(options.gpu)
    elif options.gpu is not None:
        raise ValueError("--gpu: the runtime of an exported file chooses its device itself")
    from keras_retinanet.detection.detector import Detector

    start = time.perf_counter()
    detector = Detector.load(options.model, **_load_options(options))
    print(f"model loaded in {time.perf_counter() - start:.1f} s")
    return detector


# The options of files of detections.
RECORDS = ("json", "csv", "coco")


def _check_together(options: argparse.Namespace) -> None:
    """Check options that depend on others.

    Raises:
        ValueError: naming the option.
    """
    common.check_tiles(options)
    if options.address and not options.engine:
        raise ValueError("--address has no effect without --engine ray")
    if options.engine and options.coco:
        raise ValueError("--engine ray: a COCO results file needs the model's classes: use --json")
    if options.engine and options.gpu is not None:
        raise ValueError("--gpu: each machine of a cluster uses its own devices")
    if options.skip_existing:
        if options.coco:
            raise ValueError(
                "--skip-existing: a COCO results file does not say which images are done: use "
                "--json"
            )
        if not (options.output or options.json or options.csv):
            raise ValueError("--skip-existing needs --output, --json or --csv")


def _copies(options: argparse.Namespace, sources: Sources) -> dict[str, str]:
    """Return source -> file of its copy with boxes, if copies are asked for.

    Raises:
        ValueError: if a copy would replace an image, or a file cannot hold frames of videos.
    """
    if sources.videos and options.engine:
        raise ValueError(f"--engine ray: expected images, got {next(iter(sources.videos))}")
    if sources.videos and (options.csv or options.coco):
        name = "--csv" if options.csv else "--coco"
        raise ValueError(
            f"{name}: expected images only, got the video {next(iter(sources.videos))}, whose "
            "frames are not files: use --json"
        )
    address = next((path for path in sources.images if "://" in path), None)
    if options.csv and address is not None:
        raise ValueError(
            f"--csv: expected files only, as retinanet-train reads them, got {address}: use --json"
        )
    if not options.output:
        return {}
    paths, names = list(sources.images), list(sources.images.values())
    if options.skip_existing and not (options.json or options.csv):
        _check_names(names)
    videos = [path in sources.videos for path in paths]
    targets = picture_paths(paths, options.output, names=names, keep_names=videos)
    return dict(zip(paths, targets, strict=True))


def _check_names(names: Sequence[str]) -> None:
    """Check that copies have names of their own, which say what is done when files are added.

    Raises:
        ValueError: naming one that two images would share.
    """
    taken: set[str] = set()
    for name in names:
        if name.lower() in taken:
            raise ValueError(
                f"--skip-existing: several images have the name {shorten(name)}, so their copies "
                "do not say which are done: give --json or --csv too"
            )
        taken.add(name.lower())


def _check_records(
    options: argparse.Namespace, records: Mapping[str, str], sources: Sources
) -> None:
    """Check that the files of detections can be written, and replace nothing else.

    Raises:
        ValueError: naming the option and the file, if not.
    """
    read = (*model_files(options.model), *options.sources, *sources.images)
    taken = {os.path.realpath(path): path for path in read}
    for name, path in records.items():
        if is_image_name(path):
            raise ValueError(f"--{name} {shorten(path)}: expected a file to write, got an image")
        _check_writable(*os.path.split(path), f"--{name}")
        other = taken.setdefault(os.path.realpath(path), f"the file of --{name}")
        if other != f"the file of --{name}":
            raise ValueError(f"--{name} {shorten(path)}: would replace {shorten(other)}")
    if "coco" in records:
        from keras_retinanet.reports.records import coco_id

        ids: dict[int | str, str] = {}
        for path in sources.images:
            if (first := ids.setdefault(coco_id(path), path)) != path:
                raise ValueError(
                    f"--coco: {shorten(first)} and {shorten(path)} would have the same image id, "
                    f"{coco_id(path)!r}: use --json"
                )


def _check_model(path: str) -> None:
    """Check that a model is a file or a name, and that it does not stand after the images.

    Raises:
        ValueError: if it is neither, or the name of an image.
    """
    if is_image_name(path):
        raise ValueError(
            f"{shorten(path)}: expected a model, got the name of an image; write the model before "
            "the images"
        )
    common.check_model(path)


def _check_writable(folder: str, name: str, option: str) -> None:
    """Check that a file can be written in a folder, before hours of work.

    A folder that is missing is made with its first file, not here: what is checked is the nearest
    one above it.

    Raises:
        ValueError: naming the option and the path, if it cannot.
    """
    path = os.path.join(folder, name)
    try:
        nearest = _nearest_folder(folder)
        # As long a name as that of the file that will replace it.
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=f".{name}-"):
            pass
        if name and os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise ValueError(
            f"{option}: {shorten(path)} cannot be written: {error.strerror or error}"
        ) from None


def _nearest_folder(folder: str) -> str:
    """Return the folder, or the nearest one above it that exists.

    Raises:
        OSError: if its name is too long, or something above it is no folder.
    """
    while folder:
        try:
            os.lstat(folder)
            return folder
        except FileNotFoundError:
            folder = os.path.dirname(folder)
    return "."


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
    options: argparse.Namespace,
    detector: Detector,
    paths: Sequence[str],
    videos: Mapping[str, bool],
    results: Results,
) -> None:
    """Run the detector on images and videos.

    Args:
        options: parsed options.
        detector: the detector.
        paths: the images and videos.
        videos: those of the paths that are videos, see `Sources`.
        results: what takes the results.

    Raises:
        OSError: if a file of detections cannot be written.
        ValueError: if the model has no such class.
    """
    from keras_retinanet.detection.detections import class_labels
    from keras_retinanet.detection.photos import detect_photos
    from keras_retinanet.reports.copies import Copies
    from keras_retinanet.reports.progress import progress_bar

    selection = _selection(options)
    class_labels(selection.classes or (), detector.class_names)  # refuses unknown classes
    total = len(paths) if not videos else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(results.writing(detector.class_names))
        progress = stack.enter_context(progress_bar("Detecting", total))

        def skip(path: str, error: Exception) -> None:
            results.fail(path, error)
            progress(1)

        depth = 4 if detector.tile is None else 0  # a large image may fill the memory
        copies = stack.enter_context(Copies(results.copies, results.fail, depth))
        photos = detect_photos(
            detector, paths, options.batch_size, skip, options.max_pixels, videos
        )
        with _ended_by_hand(any(videos.values())):
            for photo in photos:
                found, maximum = selection.of(photo)
                is_live = photo.video is not None and photo.video.is_live
                results.add(found, maximum, is_live=is_live)
                copies.add(photo, found)
                del photo  # its memory is needed for the next one
                progress(1)


@contextlib.contextmanager
def _ended_by_hand(is_live: bool) -> Iterator[None]:
    """Go on to the results when a camera or a stream is ended, which Ctrl-C alone does."""
    try:
        yield
    except KeyboardInterrupt:
        if not is_live:
            raise


def run_on_cluster(options: argparse.Namespace, paths: Sequence[str], results: Results) -> None:
    """Run the detector on a Ray cluster.

    Args:
        options: parsed options.
        paths: the images.
        results: what takes the results.

    Raises:
        OSError: if a file of detections cannot be written, or there is no cluster.
        ValueError: if Ray is not installed, or the model cannot be loaded or has no such class.
    """
    from keras_retinanet.reports.cluster import ClusterRun, detect_on_cluster
    from keras_retinanet.reports.progress import progress_bar
    from keras_retinanet.reports.recorded import absolute

    work = ClusterRun(
        absolute(options.model) if os.path.exists(options.model) else options.model,
        _load_options(options),
        _selection(options),
        options.batch_size,
        options.max_pixels,
        {absolute(path): os.path.abspath(copy) for path, copy in results.copies.items()},
    )
    found = detect_on_cluster(work, [absolute(path) for path in paths], options.address)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(found))
        first = next(found, None)  # a cluster that cannot be used leaves the files as they were
        stack.enter_context(results.writing(None))
        progress = stack.enter_context(progress_bar("Detecting", len(paths)))
        for path, result in zip(paths, itertools.chain([first], found), strict=False):
            if result is None:
                break
            if result.error:
                results.errors[path] = result.error
            if result.found is not None:
                results.add(replace(result.found, path=path), result.maximum)
            progress(1)


def _selection(options: argparse.Namespace) -> Selection:
    """Return which detections are asked for."""
    from keras_retinanet.reports.detections import Selection

    classes = None
    if options.classes is not None:
        classes = tuple(name.strip() for name in options.classes.split(","))
    return Selection(options.score_threshold, options.max_detections, classes)


if __name__ == "__main__":
    command()
