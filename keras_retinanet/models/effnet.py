"""EfficientNet (arXiv 1905.11946) under its names in 1.0.0; `applications` builds it."""

from collections.abc import Callable
from typing import Any

import keras

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.models.backbones import Backbone, build_retinanet, builder, validate_name
from keras_retinanet.models.classes import RetinaNet


class EfficientNetBackbone(Backbone):
    """EfficientNet of any size."""

    names = tuple(name for name in BACKBONES if name.startswith("EfficientNet"))


def effnet_retinanet(
    num_classes: int,
    backbone: str = "EfficientNetB0",
    inputs: keras.KerasTensor | None = None,
    modifier: Callable[[keras.Model], keras.Model] | None = None,
    **kwargs: Any,
) -> RetinaNet:
    """Return a training model on EfficientNet; see `models.backbones.build_retinanet`."""
    validate_name(backbone, EfficientNetBackbone.names)
    return build_retinanet(backbone, num_classes, inputs, modifier, **kwargs)


EfficientNetB0_retinanet = builder("EfficientNetB0", __name__)
EfficientNetB1_retinanet = builder("EfficientNetB1", __name__)
EfficientNetB2_retinanet = builder("EfficientNetB2", __name__)
EfficientNetB3_retinanet = builder("EfficientNetB3", __name__)
EfficientNetB4_retinanet = builder("EfficientNetB4", __name__)
EfficientNetB5_retinanet = builder("EfficientNetB5", __name__)
EfficientNetB6_retinanet = builder("EfficientNetB6", __name__)
EfficientNetB7_retinanet = builder("EfficientNetB7", __name__)
