"""`retinanet-evaluate`: measure how good a model is on a data set."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_retinanet.bin import common, datasets
from keras_retinanet.detection.formats import exported_format, runs_in_tensorflow
from keras_retinanet.system import devices
from keras_retinanet.zoo.class_names import with_other_spellings

if TYPE_CHECKING:
    import keras
    import numpy as np

    from keras_retinanet.detection.runners import Runner
    from keras_retinanet.model_info import ModelInfo
    from keras_retinanet.preprocessing.generator import Generator


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that are allowed before and after the data set's name."""
    add = parser.add_argument
    add(
        "--convert-model",
        action="store_true",
        help="convert a training model (no effect: this is always done)",
    )
    add("--backbone", help="the network below the pyramid, if the file does not name it")
    add("--gpu", help="number of the GPU to use, or cpu")
    add(
        "--score-threshold",
        type=float,
        default=0.05,
        help="leave out detections with scores up to this (default: 0.05)",
    )
    add(
        "--iou-threshold",
        type=float,
        default=0.5,
        help="minimum IoU of a true positive, for mAP (default: 0.5)",
    )
    add(
        "--max-detections",
        type=int,
        help="maximum number of detections per image (default: 100, or the number of objects in "
        "the image that has most)",
    )
    add("--save-path", metavar="DIR", help="write pictures of the detections to DIR")
    add("--image-min-side", type=int, help="pixels of the shorter side (default: as trained)")
    add(
        "--image-max-side",
        type=int,
        help="maximum pixels of the longer side (default: as trained)",
    )
    add("--no-resize", action="store_true", help="do not resize images")
    common.add_max_pixels(parser)
    datasets.add_image_list(parser)
    add("--config", help=".ini file with the anchors, if the model's file lacks them")
    add("--group-method", default="ratio", choices=["none", "random", "ratio"], help="no effect")
    add(
        "--batch-size",
        type=int,
        default=1,
        help="images per batch; does not change the numbers (default: 1)",
    )
    common.add_tiles(parser)
    add("--json", metavar="FILE", help="write the numbers to FILE")
    add(
        "--reference",
        metavar="MODEL",
        help="measure this model too, such as the one that was exported, and compare",
    )
    add(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="exit with code 1 if AP is more than so many points (of 100) below that of "
        "--reference",
    )


def parse_args(args: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed options.

    Args:
        args: command line arguments; None for those of the program.

    Raises:
        ValueError: naming an option with a wrong value.
    """
    parser = argparse.ArgumentParser(
        prog="retinanet-evaluate", description="Measure how good a model is on a data set."
    )
    parent = common.with_options(parser, add_options)
    model = ("model", common.MODEL_HELP)
    datasets.add_dataset_parsers(parser, [parent], "evaluate", [model])
    options = datasets.parse(parser, args, "evaluate", ["model"])
    counts = ("max_detections", "image_min_side", "image_max_side", "batch_size", "max_pixels")
    common.check_range(options, "at least 1", counts)
    common.check_range(options, "0 to 1", ("score_threshold", "iou_threshold"))
    common.check_tiles(options)
    if options.max_drop is not None:
        if not options.reference:
            raise ValueError("--max-drop has no effect without --reference")
        if not 0 <= options.max_drop <= 100:  # also not a number
            raise ValueError(f"--max-drop: expected points from 0 to 100, got {options.max_drop}")
    if options.json and os.path.isdir(options.json):
        raise ValueError(f"--json {options.json}: expected a file, got a folder")
    return options


@common.report_errors
def main(args: Sequence[str] | None = None, *, own_process: bool = False) -> None:
    """Run the command.

    Args:
        args: command line arguments; None for those of the program.
        own_process: whether the process does nothing else with TensorFlow, so that its convolutions
            may be tuned for weights that never change.
    """
    options = parse_args(args)
    for path in filter(None, (options.model, options.reference)):
        common.check_model(path)
    devices.start_tensorflow(weights_are_frozen=own_process)
    devices.setup_gpu(options.gpu)
    model = load_model(options, options.model)
    generator = open_data(options, model)
    measured = run(options, model, generator)
    if options.reference:
        compare(options, measured)


def compare(options: argparse.Namespace, ap: float) -> None:
    """Measure the reference, print both numbers; exit with code 1 if the drop is too large.

    Args:
        options: parsed options.
        ap: COCO's AP of the model.

    Raises:
        ValueError: if there is nothing to compare, as without ground truth.
    """
    print(f"\nReference: {options.reference}")
    reference = load_model(options, options.reference)
    alone = argparse.Namespace(**{**vars(options), "json": None, "save_path": None})
    expected = run(alone, reference, open_data(options, reference))
    if min(ap, expected) < 0:  # COCO's -1
        raise ValueError("--reference: there is no AP to compare, since the data set has no box")
    drop = 100 * (expected - ap)
    change = f"{abs(drop):.2f} points {'below' if drop > 0 else 'above'} it" if drop else "the same"
    print(f"\nAP {100 * ap:.2f}, of the reference {100 * expected:.2f}: {change}")
    if options.max_drop is not None and drop > options.max_drop:
        print(
            f"error: AP {100 * ap:.2f} is {drop:.2f} points below that of the reference, more than "
            f"--max-drop {options.max_drop:g}",
            file=sys.stderr,
        )
        sys.exit(1)


def command() -> None:
    """Run the command in a process of its own."""
    main(own_process=True)


def load_model(options: argparse.Namespace, path: str) -> keras.Model | Runner:
    """Return the model in a file, with a warning for options that have no effect on it."""
    from keras_retinanet import models
    from keras_retinanet.detection.detector import warn_of_limits
    from keras_retinanet.detection.runners import open_exported

    print("Loading model, this may take a second...")
    if exported_format(path) is not None:
        model, is_training = open_exported(path), False
    else:
        names = {"backbone_name": options.backbone} if options.backbone else {}
        model = models.load_model(path, **names)
        is_training = models.is_training_model(model)
    info = getattr(model, "info", None)
    if not is_training and info is not None:
        warn_of_limits(path, info, options.score_threshold, options.max_detections or 0)
    if not is_training:
        without_effect = ["config", "convert_model"]
        if exported_format(path) is not None:
            without_effect += ["backbone"]
            if not runs_in_tensorflow(path):
                without_effect += ["gpu"]
        for name in without_effect:
            if getattr(options, name):
                warnings.warn(
                    f"{common.flag(name)} has no effect on a converted model", stacklevel=2
                )
    return model


def open_data(options: argparse.Namespace, model: keras.Model | Runner) -> Generator:
    """Return the data set, with images prepared as for the model; given sides take precedence."""
    from keras_retinanet import models
    from keras_retinanet.detection.detector import with_sides
    from keras_retinanet.evaluation import measure

    info = getattr(model, "info", None)
    if info is None:
        backbone = models.backbone(options.backbone or "resnet50")
        info = models.ModelInfo(backbone.backbone, 1, normalisation=backbone.normalisation)
    sides = options.image_min_side, options.image_max_side
    size = getattr(model, "input_size", None)
    info = with_sides(info, *sides, no_resize=options.no_resize, input_size=size)
    prepared = {name: getattr(info, name) for name in ("image_min_side", "image_max_side")}
    known = info.known_classes()
    sized = argparse.Namespace(**{**vars(options), **prepared, "no_resize": info.no_resize})
    generator = create_generator(
        sized,
        info.preprocess_image,
        known_classes=known if known is None else with_other_spellings(known),
        resize_rule=info.resize_rule,
    )
    measure.check_classes(model, generator)
    measure.warn_of_other_names(model, generator)
    measure.warn_if_empty(generator)
    return generator


def create_generator(
    args: argparse.Namespace,
    preprocess_image: Callable[[np.ndarray], np.ndarray],
    *,
    known_classes: Mapping[str, int] | None = None,
    resize_rule: str = "keras_retinanet",
) -> Generator:
    """Return the data set that parsed options name, in its own order.

    Args:
        args: the options; sides that are None are those of `Generator`.
        preprocess_image: function that normalises a BGR image.
        known_classes: class name -> label of the model; None if its names are not known.
        resize_rule: how images are resized, see `images.resize_image`.
    """
    sides = {name: getattr(args, name) for name in ("image_min_side", "image_max_side")}
    return datasets.open_one(
        args,
        known_classes,
        **{name: side for name, side in sides.items() if side is not None},
        no_resize=args.no_resize,
        resize_rule=resize_rule,
        max_pixels=args.max_pixels,
        preprocess_image=preprocess_image,
        group_method="none",
        shuffle_groups=False,
        strict=True,
    )


def run(options: argparse.Namespace, model: keras.Model | Runner, generator: Generator) -> float:
    """Evaluate the model, print the numbers and write the files that the options ask for.

    Returns:
        COCO's AP, 0 to 1.
    """
    from keras_retinanet.evaluation import measure
    from keras_retinanet.reports import numbers
    from keras_retinanet.reports.progress import progress_bar

    limit = measure.detection_limit(generator, options.max_detections)
    measure.warn_if_crowded(generator, limit)
    info = getattr(model, "info", None)
    tiles = {"tile": options.tile, "overlap": options.overlap}
    kept = convert_options(options, limit, info)
    detector = measure.as_detector(model, generator, **tiles, **kept)
    with progress_bar("Running network", generator.size()) as progress:
        detections, seconds = measure.detect_dataset(
            generator,
            detector,
            options.score_threshold,
            batch_size=options.batch_size,
            progress=progress,
        )
    best = [found.best(limit) for found in detections]
    precisions = measure.pascal_numbers(generator, best, options.iou_threshold)
    summary = measure.coco_numbers(generator, detections, limit)
    print(numbers.format_numbers(generator, precisions, summary, seconds, limit))
    if options.json:
        numbers.write_json(options.json, generator, precisions, summary, seconds)
    if options.save_path:
        measure.save_pictures(generator, best, options.save_path, options.score_threshold)
    return summary["AP"]


def convert_options(
    options: argparse.Namespace, max_detections: int, info: ModelInfo | None = None
) -> dict[str, Any]:
    """Return the arguments of `convert_model` that follow from the options.

    Args:
        options: parsed options.
        max_detections: maximum number of detections per image that will count.
        info: what the model knows about itself; None if it knows nothing.
    """
    from keras_retinanet.config import load_config
    from keras_retinanet.detection.detector import filter_for

    arguments = filter_for(options.score_threshold, max_detections, info)
    if options.config:
        config = load_config(options.config)
        arguments |= {
            "anchor_params": config.anchor_params,
            "pyramid_levels": config.pyramid_levels,
        }
    return arguments


if __name__ == "__main__":
    command()
