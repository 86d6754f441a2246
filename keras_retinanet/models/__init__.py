"""RetinaNet models: build, save, load, convert."""

from typing import Any

import keras

from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.models.backbones import BACKBONES, Backbone, backbone
from keras_retinanet.models.classes import (
    RetinaNet,
    RetinaNetBBox,
    assert_training_model,
    check_training_model,
    is_training_model,
    set_info,
)
from keras_retinanet.models.retinanet import retinanet_bbox
from keras_retinanet.models.snapshots import load_model, save_model
from keras_retinanet.models.weights import WeightsReport, load_weights

__all__ = [
    "BACKBONES",
    "Backbone",
    "ModelInfo",
    "RetinaNet",
    "RetinaNetBBox",
    "WeightsReport",
    "assert_training_model",
    "backbone",
    "check_training_model",
    "convert_model",
    "is_training_model",
    "load_model",
    "load_weights",
    "save_model",
    "set_info",
]


def convert_model(
    model: keras.Model,
    nms: bool = True,
    class_specific_filter: bool = True,
    anchor_params: AnchorParameters | None = None,
    **kwargs: Any,
) -> RetinaNetBBox:
    """Return the inference model of a training model, whose weights it shares.

    Args:
        model: a training model.
        nms: see `layers.FilterSettings`.
        class_specific_filter: see `layers.FilterSettings`.
        anchor_params: the anchors; None means those in the model's info, or the paper's.
        **kwargs: for `models.retinanet.retinanet_bbox`, such as `score_threshold`. Filter settings
            that are not given are those of the model's info, or the defaults.

    Raises:
        ValueError: if the model is not a training model, the anchors do not fit it, or a setting is
            out of range.
    """
    info: ModelInfo | None = getattr(model, "info", None)
    settings = info.filter_settings.to_dict() if info else {}
    given = {**kwargs, "nms": nms, "class_specific_filter": class_specific_filter}
    return retinanet_bbox(model=model, anchor_params=anchor_params, **{**settings, **given})
