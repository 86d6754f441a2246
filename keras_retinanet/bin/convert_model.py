"""`retinanet-convert-model`: make the inference model of a training snapshot."""

import argparse

from keras_retinanet.bin import common
from keras_retinanet.system import devices


def parse_args(args):
    """Return the options of a list of command line arguments."""
    parser = argparse.ArgumentParser(
        prog="retinanet-convert-model",
        description="Convert a training model to an inference model. A snapshot knows its backbone "
        "and anchors; what is given here wins.",
    )
    # No defaults here: what is not given is left to the model.
    parser.add_argument("model_in", help="the model to convert (.keras, or .h5 of any age)")
    parser.add_argument("model_out", help="where to save the converted model (.keras or .h5)")
    parser.add_argument("--backbone", help="the backbone of the model to convert")
    parser.add_argument("--config", help="an .ini file of anchor parameters and pyramid levels")
    _add_filter_options(parser)
    return parser.parse_args(args)


def _add_filter_options(parser) -> None:
    """Add the options on which boxes to keep."""
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
        type=_share,
        help="IoU above which non-maximum suppression drops a box (default 0.5)",
    )
    parser.add_argument(
        "--score-threshold", type=_share, help="drop boxes with lower scores (default 0.05)"
    )
    parser.add_argument(
        "--max-detections", type=_count, help="number of boxes to keep (default 300)"
    )
    parser.add_argument(
        "--pre-nms-top-k",
        type=_count,
        help="look at this many scores of each pyramid level, the best (the paper: 1000; default "
        "all)",
    )
    parser.add_argument(
        "--parallel-iterations", type=_count, help="images filtered in parallel (default 32)"
    )
    parser.set_defaults(nms=None, class_specific_filter=None)


@common.report_errors
def main(args=None) -> None:
    """Run the command."""
    options = parse_args(args)
    devices.quiet_tensorflow()
    devices.setup_gpu("cpu")
    from keras_retinanet.models.folding import fold_batch_norm
    from keras_retinanet.models.snapshots import save_model

    save_model(fold_batch_norm(convert(options)), options.model_out)


def convert(options):
    """Return the inference model that the options ask for."""
    from keras_retinanet import models
    from keras_retinanet.config import load_config
    from keras_retinanet.models.retinanet import extract_training_model
    from keras_retinanet.models.snapshots import check_backbone, check_suffix, is_keras2_file

    check_suffix(options.model_out)
    config = load_config(options.config) if options.config else None
    model = models.load_model(options.model_in)
    if options.backbone:
        check_backbone(model, options.backbone)
    settings = {}
    if isinstance(model, models.RetinaNetBBox) and is_keras2_file(options.model_in):
        # A converted model of keras-retinanet 1.0.0 comes out in today's format.
        settings = _settings(model.get_layer("filtered_detections").get_config())
        model = extract_training_model(model)
    try:
        models.check_training_model(model)
    except ValueError as error:
        raise ValueError(f"{options.model_in}: {error}") from None
    settings.update(_settings(vars(options)))
    if config:
        settings["anchor_params"] = config.anchor_params
        settings["pyramid_levels"] = config.pyramid_levels
    return models.convert_model(model, **settings)


_SETTINGS = (
    "nms",
    "class_specific_filter",
    "nms_threshold",
    "score_threshold",
    "max_detections",
    "parallel_iterations",
    "pre_nms_top_k",
)


def _settings(values: dict) -> dict:
    """Return those of the values that are settings of the filter and are given."""
    return {name: values[name] for name in _SETTINGS if values.get(name) is not None}


def _share(text) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text}")
    return value


def _count(text) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text}")
    return value


if __name__ == "__main__":
    main()
