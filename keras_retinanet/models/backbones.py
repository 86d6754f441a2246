"""The table of backbones, and what they have in common."""

import difflib
from importlib import import_module

import keras

from keras_retinanet import initializers, layers, losses
from keras_retinanet.images import preprocess_image
from keras_retinanet.models.classes import RetinaNet, RetinaNetBBox, set_details
from keras_retinanet.models.details import first_details
from keras_retinanet.models.retinanet import retinanet

# Name -> module and class of its `Backbone`; the module is imported on first use.
BACKBONES = {
    "resnet50": ("keras_retinanet.models.resnet", "ResNetBackbone"),
    "resnet101": ("keras_retinanet.models.resnet", "ResNetBackbone"),
    "resnet152": ("keras_retinanet.models.resnet", "ResNetBackbone"),
    "resnet18_0.5": ("keras_retinanet.models.small_resnet", "SmallResNetBackbone"),
    "mobilenet_v2": ("keras_retinanet.models.mobilenet_v2", "MobileNetV2Backbone"),
}


class Backbone:
    """A backbone by name: how to build on it, feed it and get its ImageNet weights.

    Attributes:
        backbone: its name.
        normalisation: the mode of `images.preprocess_image` that its ImageNet weights expect.
        custom_objects: name -> class or function, for Keras to load models with.
    """

    normalisation = "caffe"

    def __init__(self, backbone):
        """Keep the name.

        Raises:
            ValueError: if there is no such backbone.
        """
        self.backbone = backbone
        self.custom_objects = custom_objects()
        self.validate()

    def retinanet(self, *args, **kwargs):
        """Return a training model on this backbone, without ImageNet weights.

        Args:
            *args: the number of classes.
            **kwargs: `num_classes`, `inputs`, `modifier`, `freeze_bn`, and what
                `models.retinanet.retinanet` takes.
        """
        raise NotImplementedError("retinanet method not implemented.")

    def download_imagenet(self):
        """Return the path of a file of ImageNet weights, downloaded on first use."""
        raise NotImplementedError("download_imagenet method not implemented.")

    def validate(self):
        """Raise ValueError if there is no backbone of this name."""
        raise NotImplementedError("validate method not implemented.")

    def preprocess_image(self, inputs):
        """Return BGR images `(..., 3)` of values 0..255 normalised for the ImageNet weights."""
        return preprocess_image(inputs, mode=self.normalisation)


def backbone(backbone_name) -> Backbone:
    """Return the backbone of a name such as "resnet50".

    Raises:
        ValueError: if there is none.
    """
    if backbone_name not in BACKBONES:
        close = difflib.get_close_matches(str(backbone_name), BACKBONES, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(
            f"Backbone class for {backbone_name!r} not implemented; expected one of "
            f"{', '.join(BACKBONES)}{hint}"
        )
    module, name = BACKBONES[backbone_name]
    return getattr(import_module(module), name)(backbone_name)


def validate_name(name, allowed) -> None:
    """Raise ValueError if a backbone's name is not among the allowed ones."""
    if name not in allowed:
        raise ValueError(f"Backbone ('{name}') not in allowed backbones ({list(allowed)}).")


def custom_objects() -> dict:
    """Return the classes and losses by the names under which files of models mention them."""
    return {
        "RetinaNet": RetinaNet,
        "RetinaNetBBox": RetinaNetBBox,
        "UpsampleLike": layers.UpsampleLike,
        "PriorProbability": initializers.PriorProbability,
        "RegressBoxes": layers.RegressBoxes,
        "FilterDetections": layers.FilterDetections,
        "Anchors": layers.Anchors,
        "ClipBoxes": layers.ClipBoxes,
        "_smooth_l1": losses.smooth_l1(),
        "_focal": losses.focal(),
    }


def image_input() -> keras.KerasTensor:
    """Return the symbolic input for images of any size."""
    first = keras.config.image_data_format() == "channels_first"
    return keras.Input((3, None, None) if first else (None, None, 3))


def retinanet_on(features, *, name, normalisation, num_classes, modifier=None, **kwargs):
    """Return a training model on a model of features, with its first details set.

    Args:
        features: model with the outputs C3, C4, C5, or C2 to C5.
        name: name of the backbone.
        normalisation: the mode of `images.preprocess_image` it expects.
        num_classes: number of classes.
        modifier: function that gets the model of features and returns the one to use, such as
            `utils.model.freeze`.
        **kwargs: for `models.retinanet.retinanet`.
    """
    if modifier:
        features = modifier(features)
    stages = ("C2", "C3", "C4", "C5")[-len(features.outputs) :]
    model = retinanet(
        inputs=features.inputs[0],
        backbone_layers=dict(zip(stages, features.outputs, strict=True)),
        num_classes=num_classes,
        **kwargs,
    )
    num_anchors, levels = kwargs.get("num_anchors"), kwargs.get("pyramid_levels")
    set_details(model, first_details(name, normalisation, num_classes, num_anchors, levels))
    return model
