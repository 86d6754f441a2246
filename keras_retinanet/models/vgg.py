"""VGG (arXiv 1409.1556) by the old names; `applications` builds it."""

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.models.backbones import Backbone, build_retinanet, validate_name


class VGGBackbone(Backbone):
    """VGG of any size."""

    names = tuple(name for name in BACKBONES if name.startswith("vgg"))


def vgg_retinanet(num_classes, backbone="vgg16", inputs=None, modifier=None, **kwargs):
    """Return a training model on VGG; see `models.backbones.build_retinanet`."""
    validate_name(backbone, VGGBackbone.names)
    return build_retinanet(backbone, num_classes, inputs, modifier, **kwargs)
