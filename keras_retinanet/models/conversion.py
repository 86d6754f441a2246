"""Convert a file of a training model to a file of an inference model."""

from typing import Any

import keras

from keras_retinanet.config import Config
from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.models import convert_model
from keras_retinanet.models.classes import RetinaNetBBox, check_training_model
from keras_retinanet.models.folding import fold_batch_norm
from keras_retinanet.models.precision import set_precision
from keras_retinanet.models.retinanet import extract_training_model
from keras_retinanet.models.snapshots import (
    check_backbone,
    check_suffix,
    is_keras2_file,
    load_model,
    save_model,
)
from keras_retinanet.system.types import StrPath


def convert_file(
    path_in: StrPath,
    path_out: StrPath,
    *,
    backbone: str | None = None,
    config: Config | None = None,
    precision: str = "float32",
    **filter_settings: Any,
) -> None:
    """Write the inference model of the training model in a file.

    Frozen batch normalisation is folded into the convolutions. A converted model of keras-retinanet
    1.0.0 can be given too: it is written in today's format, with its own filter settings where
    none are given here.

    Args:
        path_in: the training model, `.keras`, or `.h5` of any age.
        path_out: where to write the inference model; `.keras` or `.h5`.
        backbone: name of the backbone that the model should have; another one gives a warning.
        config: anchors and pyramid levels, which take precedence over the model's own, with a
            warning where they differ.
        precision: the numbers that it computes with, "float32" or "bfloat16".
        **filter_settings: attributes of `FilterSettings`, such as `score_threshold=0.3`.

    Raises:
        OSError: if a file cannot be read or written.
        ValueError: if the file does not hold such a model, the anchors do not fit it, or a
            setting is unknown or out of range.
    """
    check_suffix(path_out)
    FilterSettings.from_dict(filter_settings)  # refuses bad ones before the model is loaded
    config = config or Config()
    model = load_model(path_in)
    if backbone:
        check_backbone(model, backbone)
    if isinstance(model, RetinaNetBBox) and is_keras2_file(path_in):
        if model.info:
            filter_settings = {**model.info.filter_settings.to_dict(), **filter_settings}
        model = extract_training_model(model)
    _check_training_model(model, path_in)
    set_precision(model, precision)  # not of the inference model: its boxes need all digits
    inference = convert_model(
        model,
        anchor_params=config.anchor_params,
        pyramid_levels=config.pyramid_levels,
        **filter_settings,
    )
    save_model(fold_batch_norm(inference), path_out)


def _check_training_model(model: keras.Model, path: StrPath) -> None:
    """Raise ValueError, naming the file, if a model is not a training model."""
    try:
        check_training_model(model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
