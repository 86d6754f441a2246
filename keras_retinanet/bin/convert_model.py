"""`retinanet-convert-model`: make a model for detection, for Keras or another runtime."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence

from keras_retinanet.bin import common
from keras_retinanet.system import devices


def parse_args(args: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of a list of command line arguments; None means those of the process."""
    parser = argparse.ArgumentParser(
        prog="retinanet-convert-model",
        description="Convert a training model to an inference model, for Keras or another runtime. "
        "A snapshot holds its own backbone and anchors; options given here take precedence. What "
        "is written for another runtime is run at once and compared with the model.",
    )
    # No defaults here: what is not given is left to the model.
    parser.add_argument("model_in", help=f"the model to convert: {common.MODEL_HELP}")
    parser.add_argument(
        "model_out",
        help="where to save the converted model: .keras, .h5, .onnx, .xml (OpenVINO), .tflite "
        "(LiteRT), or a folder (SavedModel)",
    )
    parser.add_argument(
        "--format", choices=sorted(FORMATS), help="the format (default: by the ending of the name)"
    )
    parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16", "float16", "int8"],
        default="float32",
        help="numbers to compute with; not every format has all (default: float32)",
    )
    parser.add_argument(
        "--calibrate",
        metavar="FOLDER",
        help="photos to choose the whole numbers of int8 by, and to compare on (default for the "
        "comparison: drawn pictures)",
    )
    parser.add_argument(
        "--input-size",
        type=_size,
        metavar="HEIGHTxWIDTH",
        help="the one size of images that the file takes (default: any; .tflite needs it)",
    )
    parser.add_argument("--backbone", help="the backbone of the model to convert")
    parser.add_argument("--config", help="an .ini file of anchor parameters and pyramid levels")
    _add_filter_options(parser)
    return parser.parse_args(args)


def _add_filter_options(parser: argparse.ArgumentParser) -> None:
    """Add one option for each attribute of `FilterSettings`."""
    parser.add_argument(
        "--no-nms",
        dest="nms",
        action="store_false",
        help="disable non-maximum suppression; files of other runtimes give the box and the scores "
        "of each anchor",
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
    name = _format(options)
    _check_keras_options(options, name)
    devices.start_tensorflow()
    devices.setup_gpu("cpu")
    from keras_retinanet.config import load_config
    from keras_retinanet.geometry.filter_settings import given_settings
    from keras_retinanet.models.conversion import convert_file

    settings = given_settings(vars(options))
    config = load_config(options.config) if options.config else None
    if name in KERAS_FORMATS:
        convert_file(
            options.model_in,
            options.model_out,
            backbone=options.backbone,
            config=config,
            precision=options.precision,
            **settings,
        )
        return
    from keras_retinanet.export.convert import export_file

    export_file(
        options.model_in,
        options.model_out,
        name,
        precision=options.precision,
        input_size=options.input_size,
        calibrate=options.calibrate,
        is_raw=not settings.pop("nms", True),
        backbone=options.backbone,
        config=config,
        **settings,
    )


# Each format by the endings of its files; a folder has none.
FORMATS = {
    "keras": (".keras",),
    "h5": (".h5", ".hdf5"),
    "saved-model": ("",),
    "onnx": (".onnx",),
    "openvino": (".xml",),
    "litert": (".tflite",),
}
KERAS_FORMATS = ("keras", "h5")


def _format(options: argparse.Namespace) -> str:
    """Return the format to write.

    Raises:
        ValueError: if the file's name does not fit.
    """
    ending = os.path.splitext(options.model_out.rstrip(os.sep))[1].lower()
    if options.format is None:
        for name, endings in FORMATS.items():
            if ending in endings:
                return name
        known = ", ".join(e for endings in FORMATS.values() for e in endings if e)
        raise ValueError(
            f"{options.model_out}: expected a file name that ends in {known}, or a folder"
        )
    if options.format != "saved-model" and ending not in FORMATS[options.format]:
        expected = " or ".join(FORMATS[options.format])
        raise ValueError(
            f"{options.model_out}: expected a name that ends in {expected} for --format "
            f"{options.format}"
        )
    return options.format


def _check_keras_options(options: argparse.Namespace, name: str) -> None:
    """Refuse options that a file of Keras cannot obey.

    Raises:
        ValueError: naming the option.
    """
    if name not in KERAS_FORMATS:
        return
    if options.precision not in ("float32", "bfloat16"):
        raise ValueError(
            f"--precision {options.precision}: a model of Keras computes in float32 or bfloat16"
        )
    for option in ("calibrate", "input_size"):
        if getattr(options, option) is not None:
            raise ValueError(
                f"{common.flag(option)} has no effect on a file of Keras: leave it out"
            )


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if found is None or not all(0 < int(side) < 10**5 for side in found.groups()):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 480x640, got {text}")
    return int(found[1]), int(found[2])


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
