"""DenseNet (arXiv 1608.06993) under its names in 1.0.0; `applications` builds it."""

from collections.abc import Callable
from typing import Any

import keras

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.models.backbones import Backbone, build_retinanet, validate_name
from keras_retinanet.models.classes import RetinaNet


class DenseNetBackbone(Backbone):
    """DenseNet of any size."""

    names = tuple(name for name in BACKBONES if name.startswith("densenet"))


allowed_backbones = DenseNetBackbone.names


def densenet_retinanet(
    num_classes: int,
    backbone: str = "densenet121",
    inputs: keras.KerasTensor | None = None,
    modifier: Callable[[keras.Model], keras.Model] | None = None,
    **kwargs: Any,
) -> RetinaNet:
    """Return a training model on DenseNet; see `models.backbones.build_retinanet`."""
    validate_name(backbone, DenseNetBackbone.names)
    return build_retinanet(backbone, num_classes, inputs, modifier, **kwargs)
