"""DenseNet (arXiv 1608.06993) by the old names; `applications` builds it."""

from keras_retinanet.backbone_table import BACKBONES
from keras_retinanet.models.backbones import Backbone, build_retinanet, validate_name


class DenseNetBackbone(Backbone):
    """DenseNet of any size."""

    names = tuple(name for name in BACKBONES if name.startswith("densenet"))


allowed_backbones = DenseNetBackbone.names


def densenet_retinanet(num_classes, backbone="densenet121", inputs=None, modifier=None, **kwargs):
    """Return a training model on DenseNet; see `models.backbones.build_retinanet`."""
    validate_name(backbone, DenseNetBackbone.names)
    return build_retinanet(backbone, num_classes, inputs, modifier, **kwargs)
