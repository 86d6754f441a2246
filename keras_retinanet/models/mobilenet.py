"""MobileNet (arXiv 1704.04861) under its names in 1.0.0; `applications` builds it."""

from collections.abc import Callable
from typing import Any, NoReturn

import keras

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.models.backbones import Backbone, build_retinanet, validate_name
from keras_retinanet.models.classes import RetinaNet


class MobileNetBackbone(Backbone):
    """MobileNet of any size."""

    names = tuple(name for name in BACKBONES if name.startswith(("mobilenet1", "mobilenet2")))
    allowed_backbones = ("mobilenet128", "mobilenet160", "mobilenet192", "mobilenet224")


def mobilenet_retinanet(
    num_classes: int,
    backbone: str = "mobilenet224_1.0",
    inputs: keras.KerasTensor | None = None,
    modifier: Callable[[keras.Model], keras.Model] | None = None,
    **kwargs: Any,
) -> RetinaNet:
    """Return a training model on MobileNet; see `models.backbones.build_retinanet`."""
    validate_name(backbone, MobileNetBackbone.names)
    return build_retinanet(backbone, num_classes, inputs, modifier, **kwargs)


def __getattr__(name: str) -> NoReturn:
    if name == "MobileNetRetinaNet":
        raise ImportError(
            "keras_retinanet.models.mobilenet.MobileNetRetinaNet was removed before 1.0.0: use "
            'mobilenet_retinanet(num_classes, backbone="mobilenet224_1.0", inputs=inputs), and '
            "keras_retinanet.models.load_weights(model, path) for its weights"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
