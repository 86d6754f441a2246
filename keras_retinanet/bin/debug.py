"""`retinanet-debug`: look at a data set, its boxes and its anchors, or check all of it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import replace

from keras_retinanet.bin import common, datasets, train_options
from keras_retinanet.system import devices

# The arrows on Linux (two ways to report them) and Windows; n and m everywhere.
leftkeys = (81, 65361, 2424832, ord("n"))
rightkeys = (83, 65363, 2555904, ord("m"))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that may stand before or after the data set's name."""
    _add_picture_options(parser.add_argument_group("what to show"))
    _add_output_options(parser.add_argument_group("where to show it"))
    group = parser.add_argument_group("check instead of showing")
    group.add_argument(
        "--check",
        action="store_true",
        help="read everything once and report on it; exit code 1 if anything is broken",
    )
    group.add_argument("--json", metavar="FILE", help="write the report of --check to FILE")


def _add_picture_options(group):
    add = group.add_argument
    add("--no-resize", dest="resize", action="store_false", help="leave images as they are")
    add("--anchors", action="store_true", help="draw the anchors that match a box")
    add("--display-name", action="store_true", help="write the image's name into the corner")
    add(
        "--show-annotations",
        action="store_true",
        help="draw the boxes: green if an anchor matches, else red (training does not see it)",
    )
    add("--random-transform", action="store_true", help="change images as in training")
    add("--image-min-side", type=int, help="shortest side (default: 800; shapes: 128)")
    add("--image-max-side", type=int, help="longest side (default: 1333; shapes: 192)")
    add("--config", help=".ini file with anchor parameters and pyramid levels")
    add("--group-method", default="ratio", choices=["none", "random", "ratio"], help="no effect")


def _add_output_options(group):
    add = group.add_argument
    add("--no-gui", action="store_true", help="write all pictures to files, open no window")
    add("--output-dir", default=".", metavar="DIR", help="where --no-gui writes to (.)")
    add("--flatten-output", action="store_true", help="write to one folder, without subfolders")


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Return the options.

    Raises:
        ValueError: if a value cannot be, or options do not go together.
    """
    parser = argparse.ArgumentParser(
        prog="retinanet-debug",
        description="Look at a data set, its boxes and its anchors, or check all of it. "
        "Keys: right arrow or m for the next image, left arrow or n for the previous, q to quit.",
    )
    parent = common.with_options(parser, add_options)
    datasets.add_dataset_parsers(parser, [parent], "debug")
    options = parser.parse_args(args)
    shapes = options.dataset_type == "shapes"
    defaults = train_options.SHAPES_DEFAULTS if shapes else train_options.DEFAULTS
    for name in ("image_min_side", "image_max_side"):
        if getattr(options, name) is None:
            setattr(options, name, defaults[name])
    common.check_range(options, "at least 1", ("image_min_side", "image_max_side"))
    if options.json and not options.check:
        raise ValueError("--json is for --check: add it")
    if options.json and os.path.isdir(options.json):
        raise ValueError(f"--json {options.json}: expected a file, got a folder")
    return options


@common.report_errors
def main(args: list[str] | None = None) -> None:
    """Run the command."""
    options = parse_args(args)
    if not (options.check or options.no_gui):
        check_display()
    devices.quiet_tensorflow()
    if options.check:
        check(options)
        return
    generator = create_generator(options)
    run(generator, options, generator.config.anchor_params, generator.config.pyramid_levels)


def create_generator(args: argparse.Namespace):
    """Return the data set that the options name."""
    return datasets.open_validation(args, **data_arguments(args))


def run(generator, args: argparse.Namespace, anchor_params, pyramid_levels) -> None:
    """Show the images of a data set, or write them to files.

    Args:
        generator: a `Generator`.
        args: what `parse_args` returned.
        anchor_params: an `AnchorParameters`; None means the usual ones.
        pyramid_levels: levels in use; None means 3 to 7.
    """
    from keras_retinanet.config import Config

    generator.config = Config(anchor_params, pyramid_levels)
    (write if args.no_gui else browse)(generator, args)


def make_output_path(output_dir: str, image_path: str, flatten: bool = False) -> str:
    """Return where the picture of an image goes; see `dataset_text.choose_targets`."""
    from keras_retinanet.reports import dataset_text

    return dataset_text.choose_targets([image_path], output_dir, flatten)[0]


def check_display() -> None:
    """Raise ValueError where no window can be opened: OpenCV's Qt would abort the process."""
    if not sys.platform.startswith("linux"):
        return
    displays = [os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")]
    if not any(displays):
        raise ValueError("there is no display for a window: use --no-gui to write pictures")
    # A display may be named and not be there, so a process that may be aborted tries.
    trial = [sys.executable, "-c", "import cv2; cv2.namedWindow('Image')"]
    if subprocess.run(trial, capture_output=True).returncode:
        raise ValueError(
            f"no window can be opened on the display {' '.join(filter(None, displays))}: "
            "use --no-gui to write pictures"
        )


def data_arguments(options: argparse.Namespace) -> dict:
    """Return what the reader of the data set is told, whatever its format."""
    from keras_retinanet.augmentation.settings import RANDOM_TRANSFORM
    from keras_retinanet.config import Config, load_config

    config = load_config(options.config) if options.config else Config()
    changes = (
        replace(RANDOM_TRANSFORM, **(config.augmentation or {}))
        if options.random_transform
        else None
    )
    return {
        "image_min_side": options.image_min_side,
        "image_max_side": options.image_max_side,
        "no_resize": not options.resize,
        "config": config,
        "group_method": "none",
        "shuffle_groups": False,
        **(changes.generator_arguments() if changes else {}),
    }


def check(options: argparse.Namespace) -> None:
    """Report on the whole data set; exit with code 1 if anything is broken."""
    from keras_retinanet.evaluation import measure
    from keras_retinanet.reports import dataset_text
    from keras_retinanet.reports.dataset import check_dataset

    arguments = data_arguments(options)
    try:
        generator = datasets.open_validation(options, **arguments, missing_ok=True)
    except ValueError as error:
        # Annotations that cannot be understood are no wrong use of the command: they are broken.
        sys.exit(f"error: {' '.join(str(error).split())}")
    with measure.progress_bar("Reading", generator.size()) as progress:
        report = check_dataset(generator, progress)
    dataset_text.print_report(report)
    if options.json:
        dataset_text.write_json(options.json, report)
    if report.broken:
        sys.exit(1)


def draw(options: argparse.Namespace, generator, index: int, epoch: int):
    """Return the picture of an image, with the random changes of an epoch if they are asked for."""
    from keras_retinanet.reports import samples

    return samples.draw_sample(
        generator,
        samples.load_sample(generator, index, epoch if options.random_transform else None),
        anchors=options.anchors,
        annotations=options.show_annotations,
        name=generator.image_path(index) if options.display_name else None,
    )


def write(generator, options: argparse.Namespace) -> None:
    """Write the picture of each image to a file.

    Raises:
        ValueError: at the end, naming the images that cannot be read.
        OSError: if a picture cannot be written.
    """
    from keras_retinanet.evaluation import measure
    from keras_retinanet.reports import dataset_text

    paths = [generator.image_path(index) for index in range(generator.size())]
    targets = dataset_text.choose_targets(paths, options.output_dir, options.flatten_output)
    bad = []
    with measure.progress_bar("Writing", len(paths)) as progress:
        for index, target in enumerate(targets):
            try:
                picture = draw(options, generator, index, epoch=0)
            except (OSError, ValueError) as error:
                bad.append(str(error))
            else:
                dataset_text.write_picture(target, picture)
            progress(1)
    print(f"wrote {len(paths) - len(bad)} pictures to {options.output_dir}")
    if bad:
        raise ValueError(f"skipped {len(bad)} of {len(paths)} images: {'; '.join(bad)}")


def browse(generator, options: argparse.Namespace) -> None:
    """Show one picture after the other in a window, as the keys say."""
    from keras_retinanet.reports import window

    shown: Counter = Counter()

    def render(index):
        shown[index] += 1
        try:
            # An image that is shown again is changed anew.
            return draw(options, generator, index, epoch=shown[index] - 1)
        except (OSError, ValueError) as error:
            warnings.warn(f"an image that cannot be read: {error}", stacklevel=2)
            return window.unreadable(generator.image_path(index))

    window.browse(render, generator.size(), leftkeys, rightkeys)


if __name__ == "__main__":
    main()
