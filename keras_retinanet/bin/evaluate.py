"""`retinanet-evaluate`: measure how good a model is on a data set."""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Callable

from keras_retinanet.bin import common, datasets
from keras_retinanet.system import devices

# What the published metrics leave out of COCO's twelve: recall by size.
_JSON_KEYS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")
# The defaults of an inference model; a threshold below, or more detections, need another one.
_MODEL_SCORE_THRESHOLD, _MODEL_DETECTIONS = 0.05, 300


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that may stand before or after the data set's name."""
    add = parser.add_argument
    add("--convert-model", action="store_true", help="convert a training model (done anyway)")
    add("--backbone", help="the network under the pyramid, where the file does not tell")
    add("--gpu", help="number of the GPU to use, or cpu")
    add("--score-threshold", type=float, default=0.05, help="leave out scores up to this (0.05)")
    add("--iou-threshold", type=float, default=0.5, help="overlap of a hit, for mAP (0.5)")
    add("--max-detections", type=int, default=100, help="most boxes an image, for mAP (100)")
    add("--save-path", metavar="DIR", help="write pictures of the detections to DIR")
    add("--image-min-side", type=int, help="shortest side (default: as trained)")
    add("--image-max-side", type=int, help="longest side (default: as trained)")
    add("--no-resize", action="store_true", help="leave images as they are")
    add("--config", help=".ini file with the anchors, where the file of the model lacks them")
    add("--group-method", default="ratio", choices=["none", "random", "ratio"], help="no effect")
    add("--batch-size", type=int, default=1, help="images at a time; does not change the numbers")
    add("--json", metavar="FILE", help="write the numbers to FILE")


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Return the options of a list of command line arguments; None for those of the program.

    Raises:
        ValueError: naming an option whose value cannot be.
    """
    parser = argparse.ArgumentParser(
        prog="retinanet-evaluate", description="Measure how good a model is on a data set."
    )
    parent = common.with_options(parser, add_options)
    model = ("model", "training snapshot or converted model, .keras or .h5")
    datasets.add_dataset_parsers(parser, [parent], "evaluate", [model])
    options = parser.parse_args(args)
    counts = ("max_detections", "image_min_side", "image_max_side", "batch_size")
    common.check_range(options, "at least 1", counts)
    common.check_range(options, "0 to 1", ("score_threshold", "iou_threshold"))
    if options.json and os.path.isdir(options.json):
        raise ValueError(f"--json {options.json}: expected a file, got a folder")
    return options


@common.report_errors
def main(args: list[str] | None = None) -> None:
    """Run the command."""
    options = parse_args(args)
    if not os.path.exists(options.model):
        raise ValueError(f"model not found: {options.model}")
    # Who gives the arguments may train in the same process.
    devices.quiet_tensorflow(weights_stay=args is None)
    devices.setup_gpu(options.gpu)
    model = load_model(options)
    generator = open_data(options, model)
    run(options, model, generator)


def load_model(options: argparse.Namespace):
    """Return the model in the file, with a warning for options that mean nothing to it."""
    from keras_retinanet import models

    print("Loading model, this may take a second...")
    names = {"backbone_name": options.backbone} if options.backbone else {}
    model = models.load_model(options.model, **names)
    if not models.is_training_model(model):
        for name in ("config", "convert_model"):
            if getattr(options, name):
                warnings.warn(
                    f"{common.flag(name)} has no effect on a converted model", stacklevel=2
                )
    return model


def open_data(options: argparse.Namespace, model: object):
    """Return the data set, its images prepared as the model knows them; given options win."""
    from keras_retinanet import models
    from keras_retinanet.evaluation import measure

    details = getattr(model, "info", None)
    if details is None:
        backbone = models.backbone(options.backbone or "resnet50")
        details = models.ModelInfo(backbone.backbone, 1, normalisation=backbone.normalisation)
    sides = {}
    for name in ("image_min_side", "image_max_side"):
        given, known = getattr(options, name), getattr(details, name)
        sides[name] = known if given is None else given
        if given not in (None, known):
            warnings.warn(f"{common.flag(name)} {given}: trained with {known}", stacklevel=2)
    if options.no_resize and not details.no_resize:
        warnings.warn("--no-resize: trained with resized images", stacklevel=2)
    resizes = not (options.no_resize or (details.no_resize and options.image_min_side is None))
    sized = argparse.Namespace(**{**vars(options), **sides, "no_resize": not resizes})
    generator = create_generator(sized, details.preprocess_image)
    measure.check_classes(model, generator)
    _compare_names(details.class_names, generator.class_names())
    return generator


def create_generator(args: argparse.Namespace, preprocess_image: Callable):
    """Return the data set that parsed options name, in its own order.

    Args:
        args: the options; for sides that are None, those of `Generator`.
        preprocess_image: function that normalises a BGR image.
    """
    sides = {name: getattr(args, name) for name in ("image_min_side", "image_max_side")}
    return datasets.open_validation(
        args,
        **{name: side for name, side in sides.items() if side is not None},
        no_resize=args.no_resize,
        preprocess_image=preprocess_image,
        group_method="none",
        shuffle_groups=False,
        strict=True,
    )


def _compare_names(known: tuple | None, found: list) -> None:
    if known is not None and list(known) != list(found):
        warnings.warn(
            f"the model's classes are {list(known)}, the data set's {list(found)}", stacklevel=2
        )


def run(options: argparse.Namespace, model: object, generator: object) -> None:
    """Detect, print the numbers, write what was asked for."""
    from keras_retinanet.evaluation import measure

    detector = measure.as_detector(model, generator, **convert_options(options))
    with measure.progress_bar("Running network", generator.size()) as progress:
        everything, seconds = measure.detect_dataset(
            generator,
            detector,
            options.score_threshold,
            batch_size=options.batch_size,
            progress=progress,
        )
    best = [found.best(options.max_detections) for found in everything]
    precisions = measure.pascal_numbers(generator, best, options.iou_threshold)
    summary = measure.coco_numbers(generator, everything)
    print_numbers(generator, precisions, summary, seconds)
    if options.json:
        write_json(options.json, generator, precisions, summary, seconds)
    if options.save_path:
        measure.save_pictures(generator, best, options.save_path, options.score_threshold)


def convert_options(options: argparse.Namespace) -> dict:
    """Return what `convert_model` is to be told."""
    chosen = {
        "score_threshold": min(_MODEL_SCORE_THRESHOLD, options.score_threshold),
        "max_detections": max(_MODEL_DETECTIONS, options.max_detections),
    }
    if options.config:
        from keras_retinanet.config import load_config

        config = load_config(options.config)
        chosen |= {"anchor_params": config.anchor_params, "pyramid_levels": config.pyramid_levels}
    return chosen


def print_numbers(generator: object, precisions: dict, summary: dict, seconds: float) -> None:
    """Print the lines that keras-retinanet always printed, then COCO's table."""
    from keras_retinanet.evaluation import measure, metrics

    print(metrics.format_pascal(precisions, measure.class_names(generator)))
    if not sum(count for _, count in precisions.values()):
        print("No test instances found.")
    else:
        weighted = metrics.mean_average_precision(precisions, weighted=True)
        print(f"Inference time for {generator.size()} images: {seconds:.4f}")
        print(f"mAP using the weighted average of precisions among classes: {weighted:.4f}")
        print(f"mAP: {metrics.mean_average_precision(precisions):.4f}")
    print(metrics.format_coco(summary))


def write_json(
    path: str, generator: object, precisions: dict, summary: dict, seconds: float
) -> None:
    """Write the numbers to a JSON file, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    from keras_retinanet.evaluation import measure, metrics
    from keras_retinanet.system import files

    names = measure.class_names(generator)
    contents = {
        "coco": {key: summary[key] for key in _JSON_KEYS},
        "pascal": {
            "mAP": metrics.mean_average_precision(precisions),
            "weighted_mAP": metrics.mean_average_precision(precisions, weighted=True),
            "per_class": {
                names[label]: {"AP": precision, "instances": count}
                for label, (precision, count) in precisions.items()
            },
        },
        "images": generator.size(),
        "seconds_per_image": seconds,
    }
    files.atomic_write(path, json.dumps(contents, indent=1) + "\n")


if __name__ == "__main__":
    main()
