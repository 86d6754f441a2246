"""`retinanet-convert-model`: make the inference model of a training snapshot."""

import argparse
from collections.abc import Sequence

from keras_retinanet.bin import common
from keras_retinanet.system import devices


def parse_args(args: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of a list of command line arguments; None means those of the process."""
    parser = argparse.ArgumentParser(
        prog="retinanet-convert-model",
        description="Convert a training model to an inference model. A snapshot holds its own "
        "backbone and anchors; options given here take precedence.",
    )
    # No defaults here: what is not given is left to the model.
    parser.add_argument("model_in", help=f"the model to convert: {common.MODEL_HELP}")
    parser.add_argument("model_out", help="where to save the converted model (.keras or .h5)")
    parser.add_argument("--backbone", help="the backbone of the model to convert")
    parser.add_argument("--config", help="an .ini file of anchor parameters and pyramid levels")
    _add_filter_options(parser)
    return parser.parse_args(args)


def _add_filter_options(parser: argparse.ArgumentParser) -> None:
    """Add one option for each attribute of `FilterSettings`."""
    parser.add_argument(
        "--no-nms", dest="nms", action="store_false", help="disable non-maximum suppression"
    )
    parser.add_argument(
        "--no-class-specific-filter",
        dest="class_specific_filter",
        action="store_false",
        help="filter by the best class of a box only",
    )
    parser.add_argument(
        "--nms-threshold",
        type=_fraction,
        help="IoU above which non-maximum suppression drops a box (default: the model's, "
        "mostly 0.5)",
    )
    parser.add_argument(
        "--score-threshold",
        type=_fraction,
        help="drop boxes with lower scores (default: the model's, mostly 0.05)",
    )
    parser.add_argument(
        "--max-detections",
        type=_count,
        help="number of boxes to keep (default: the model's, mostly 300)",
    )
    parser.add_argument(
        "--pre-nms-top-k",
        type=_count,
        help="only look at this many of the best scores of each pyramid level (the paper: 1000; "
        "default: the model's, mostly all)",
    )
    parser.add_argument(
        "--parallel-iterations", type=_count, help="images filtered in parallel (default 32)"
    )
    parser.set_defaults(nms=None, class_specific_filter=None)


@common.report_errors
def main(args: Sequence[str] | None = None) -> None:
    """Run the command."""
    options = parse_args(args)
    common.check_model(options.model_in)
    devices.start_tensorflow()
    devices.setup_gpu("cpu")
    from keras_retinanet.config import load_config
    from keras_retinanet.geometry.filter_settings import given_settings
    from keras_retinanet.models.conversion import convert_file

    convert_file(
        options.model_in,
        options.model_out,
        backbone=options.backbone,
        config=load_config(options.config) if options.config else None,
        **given_settings(vars(options)),
    )


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got {text}")
    return value


if __name__ == "__main__":
    main()
