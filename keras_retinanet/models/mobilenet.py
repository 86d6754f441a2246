"""MobileNet (arXiv 1704.04861) by the old names; `applications` builds it."""

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.models.backbones import Backbone, build_retinanet, validate_name


class MobileNetBackbone(Backbone):
    """MobileNet of any size."""

    names = tuple(name for name in BACKBONES if name.startswith(("mobilenet1", "mobilenet2")))
    allowed_backbones = ("mobilenet128", "mobilenet160", "mobilenet192", "mobilenet224")


def mobilenet_retinanet(
    num_classes, backbone="mobilenet224_1.0", inputs=None, modifier=None, **kwargs
):
    """Return a training model on MobileNet; see `models.backbones.build_retinanet`."""
    validate_name(backbone, MobileNetBackbone.names)
    return build_retinanet(backbone, num_classes, inputs, modifier, **kwargs)
