"""`retinanet-debug`: look at a data set, its boxes and its anchors, or check all of it."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_retinanet.annotations.image_lists import ImageListError
from keras_retinanet.augmentation.settings import AugmentationSettings
from keras_retinanet.bin import augmentation_options, common, datasets
from keras_retinanet.system import devices
from keras_retinanet.training.plan import DEFAULT_MAX_SIDE, DEFAULT_MIN_SIDE, SHAPES_SETTINGS

if TYPE_CHECKING:
    from keras_retinanet.geometry.anchors import AnchorParameters
    from keras_retinanet.preprocessing.generator import Generator
    from keras_retinanet.reports.sample_pictures import View

# The arrows on Linux (two ways to report them) and Windows; n and m everywhere.
leftkeys = (81, 65361, 2424832, ord("n"))
rightkeys = (83, 65363, 2555904, ord("m"))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that are allowed before and after the data set's name."""
    _add_picture_options(parser.add_argument_group("what to show"))
    # A range of scales is for batches, and a picture is none.
    augmentation_options.add_options(parser, but={"scale_range"}, usual=AugmentationSettings())
    _add_output_options(parser.add_argument_group("where to show it"))
    group = parser.add_argument_group("check instead of showing")
    group.add_argument(
        "--check",
        action="store_true",
        help="read everything once and report on it; exit code 1 if anything is broken",
    )
    group.add_argument("--json", metavar="FILE", help="write the report of --check to FILE")


def _add_picture_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--no-resize", dest="resize", action="store_false", help="do not resize images")
    add("--anchors", action="store_true", help="draw the anchors that match a box")
    add("--display-name", action="store_true", help="write the image's name into the corner")
    add(
        "--show-annotations",
        action="store_true",
        help="draw the boxes: green if an anchor matches, else red (trained with its best one)",
    )
    add("--image-min-side", type=int, help="pixels of the shorter side (default: 800; shapes: 128)")
    add(
        "--image-max-side",
        type=int,
        help="maximum pixels of the longer side (default: 1333; shapes: 192)",
    )
    add("--config", help=".ini file with anchor parameters, pyramid levels and augmentation")
    add("--group-method", default="ratio", choices=["none", "random", "ratio"], help="no effect")
    common.add_max_pixels(group)
    datasets.add_image_list(group)


def _add_output_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--no-gui", action="store_true", help="write all pictures to files, open no window")
    add("--output-dir", default=".", metavar="DIR", help="folder for --no-gui (default: .)")
    add("--flatten-output", action="store_true", help="write to one folder, without subfolders")


def parse_args(args: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed options.

    Args:
        args: command line arguments; None for those of the program.

    Raises:
        ValueError: if a value is wrong, or options do not go together.
    """
    parser = argparse.ArgumentParser(
        prog="retinanet-debug",
        description="Look at a data set, its boxes and its anchors, or check all of it. "
        "Keys: right arrow or m for the next image, left arrow or n for the previous, q to quit.",
    )
    parent = common.with_options(parser, add_options)
    datasets.add_dataset_parsers(parser, [parent], "debug")
    options = datasets.parse(parser, args, "debug")
    defaults: dict[str, Any] = {
        "image_min_side": DEFAULT_MIN_SIDE,
        "image_max_side": DEFAULT_MAX_SIDE,
    }
    if options.dataset_type == "shapes":
        defaults |= SHAPES_SETTINGS
    for name in ("image_min_side", "image_max_side"):
        if getattr(options, name) is None:
            setattr(options, name, defaults[name])
    common.check_range(options, "at least 1", ("image_min_side", "image_max_side", "max_pixels"))
    augmentation_options.given(options)  # checks them
    if options.json and not options.check:
        raise ValueError("--json is for --check: add it")
    if options.json and os.path.isdir(options.json):
        raise ValueError(f"--json {options.json}: expected a file, got a folder")
    return options


@common.report_errors
def main(args: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        args: command line arguments; None for those of the program.
    """
    options = parse_args(args)
    if not (options.check or options.no_gui):
        from keras_retinanet.reports import window

        window.check_display()
    devices.start_tensorflow()
    if options.check:
        check(options)
        return
    generator = create_generator(options)
    run(generator, options, generator.config.anchor_params, generator.config.pyramid_levels)


def create_generator(args: argparse.Namespace, *, missing_ok: bool = False) -> Generator:
    """Return the data set that parsed options name.

    Args:
        args: what `parse_args` returned.
        missing_ok: whether image files may be missing.
    """
    return datasets.open_one(args, **data_arguments(args), missing_ok=missing_ok)


def run(
    generator: Generator,
    args: argparse.Namespace,
    anchor_params: AnchorParameters | None,
    pyramid_levels: Sequence[int] | None,
) -> None:
    """Show the images of a data set, or write them to files.

    Args:
        generator: the data set.
        args: what `parse_args` returned.
        anchor_params: the anchors; None for the default ones.
        pyramid_levels: levels in use; None for 3 to 7.

    Raises:
        ValueError: naming the images that cannot be read, after the others were written.
        OSError: if a picture cannot be written.
    """
    from keras_retinanet.config import Config
    from keras_retinanet.reports.sample_pictures import View, browse_images

    levels = None if pyramid_levels is None else tuple(pyramid_levels)
    generator.config = Config(anchor_params, levels)
    is_random = args.random_transform or bool(augmentation_options.given(args))
    view = View(args.anchors, args.show_annotations, args.display_name, is_random)
    if args.no_gui:
        _write(generator, args, view)
    else:
        browse_images(generator, view, leftkeys, rightkeys)


def _write(generator: Generator, args: argparse.Namespace, view: View) -> None:
    from keras_retinanet.reports.progress import progress_bar
    from keras_retinanet.reports.sample_pictures import write_images

    count = generator.size()
    with progress_bar("Writing", count) as progress:
        errors = write_images(generator, args.output_dir, view, args.flatten_output, progress)
    print(f"wrote {count - len(errors)} pictures to {args.output_dir}")
    if errors:
        raise ValueError(f"skipped {len(errors)} of {count} images: {'; '.join(errors)}")


def make_output_path(output_dir: str, image_path: str, flatten: bool = False) -> str:
    """Return the file to which the picture of an image is written; see `picture_paths`."""
    from keras_retinanet.reports.pictures import picture_paths

    return picture_paths([image_path], output_dir, label="_debug", flatten=flatten)[0]


def data_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments for the data set, whatever its format.

    Images are changed as the flags say, and the config with `--random-transform`; else not at all.
    """
    from keras_retinanet.config import Config, load_config

    config = load_config(options.config) if options.config else Config()
    in_file = config.augmentation if options.random_transform else None
    changes = augmentation_options.settings(options, in_file, AugmentationSettings())
    return {
        "image_min_side": options.image_min_side,
        "image_max_side": options.image_max_side,
        "no_resize": not options.resize,
        "max_pixels": options.max_pixels,
        "config": config,
        "group_method": "none",
        "shuffle_groups": False,
        **changes.generator_arguments(),
    }


def check(options: argparse.Namespace) -> None:
    """Report on the whole data set; exit with code 1 if anything is broken."""
    from keras_retinanet.reports import dataset_text
    from keras_retinanet.reports.dataset import check_dataset
    from keras_retinanet.reports.progress import progress_bar

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* listed again")  # the report names them
            generator = create_generator(options, missing_ok=True)
    except ImageListError:
        raise
    except ValueError as error:
        # Malformed annotations are not wrong usage (code 2): the data set is broken (code 1).
        sys.exit(f"error: {' '.join(str(error).split())}")
    with progress_bar("Reading", generator.size()) as progress:
        report = check_dataset(generator, progress)
    dataset_text.print_report(report)
    if options.json:
        dataset_text.write_json(options.json, report)
    if report.broken:
        sys.exit(1)


if __name__ == "__main__":
    main()
