"""`retinanet-convert-model`: make a model for detection, for Keras or another runtime."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from keras_retinanet.bin import common
from keras_retinanet.detection.formats import (
    EXPORTED,
    FORMATS,
    Format,
    exported_format,
    format_by_ending,
    format_named,
)
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
    parser.add_argument("model_in", help=f"the model to convert: {common.KERAS_MODEL_HELP}")
    parser.add_argument(
        "model_out",
        help="where to save the converted model: .keras, .h5, .onnx, .xml (OpenVINO), .tflite "
        "(LiteRT), or a folder (SavedModel)",
    )
    parser.add_argument(
        "--format",
        choices=[one.name for one in FORMATS],
        help="the format (default: by the ending of the name)",
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
        help="photos to calibrate int8 with, and to compare on (default for the comparison: drawn "
        "pictures)",
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
    kind = _format(options)
    _check_options(options, kind)
    devices.start_tensorflow()
    devices.setup_gpu("cpu")
    from keras_retinanet.config import load_config
    from keras_retinanet.geometry.filter_settings import given_settings
    from keras_retinanet.models.conversion import convert_file

    settings = given_settings(vars(options))
    path_in, path_out = options.model_in, options.model_out
    shared: dict[str, Any] = {
        "backbone": options.backbone,
        "config": load_config(options.config) if options.config else None,
    }
    if kind in EXPORTED:
        from keras_retinanet.export.convert import export_file

        export_file(
            path_in,
            path_out,
            kind.name,
            precision=options.precision,
            input_size=options.input_size,
            calibrate=options.calibrate,
            is_raw=not settings.pop("nms", True),
            log=print,
            **shared,
            **settings,
        )
    elif options.precision == "float32":
        convert_file(path_in, path_out, **shared, **settings)
    else:
        from keras_retinanet.export.convert import convert_keras_file

        convert_keras_file(
            path_in,
            path_out,
            precision=options.precision,
            calibrate=options.calibrate,
            log=print,
            **shared,
            **settings,
        )


def _format(options: argparse.Namespace) -> Format:
    """Return the format to write.

    Raises:
        ValueError: if the name does not fit it.
    """
    by_ending = format_by_ending(options.model_out)
    if options.format is None:
        if by_ending is None:
            known = ", ".join(ending for one in FORMATS for ending in one.endings)
            raise ValueError(
                f"{options.model_out}: expected a file name that ends in {known}, or the name of "
                "a folder (--format saved-model)"
            )
        return by_ending
    chosen = format_named(options.format)
    if chosen.endings and by_ending != chosen:
        raise ValueError(
            f"{options.model_out}: expected a name that ends in {' or '.join(chosen.endings)} for "
            f"--format {chosen.name}"
        )
    return chosen


def _check_options(options: argparse.Namespace, kind: Format) -> None:
    """Refuse what a format cannot obey, before TensorFlow starts.

    Raises:
        ValueError: naming the option.
    """
    if exported_format(options.model_in) is not None:
        raise ValueError(
            f"{options.model_in}: expected a model of Keras to convert, got an exported one: "
            "give the snapshot that it was made of"
        )
    if kind in EXPORTED:
        without_effect = ["parallel_iterations"]
    else:
        if options.precision not in kind.precisions:
            raise ValueError(
                f"--precision {options.precision}: a model of Keras computes in "
                f"{' or '.join(kind.precisions)}"
            )
        without_effect = ["input_size", *(["calibrate"] if options.precision == "float32" else [])]
    for name in without_effect:
        if getattr(options, name) is not None:
            raise ValueError(
                f"{common.flag(name)} has no effect on {kind.name} in {options.precision}: leave "
                "it out"
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
