"""Models that keras-retinanet 1.0.0 and older wrote with Keras 2, as `.h5`.

Keras 3 cannot load them. The configuration in the file describes the architecture, which is built
again; the weights are matched by name.
"""

import re
from dataclasses import dataclass, replace
from typing import Any

import h5py
import keras

from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.geometry.coders import CornerCoder
from keras_retinanet.geometry.filter_settings import FilterSettings, given_settings
from keras_retinanet.models.backbones import retinanet_on
from keras_retinanet.models.building import limited_weights, stored_numbers
from keras_retinanet.models.classes import set_info
from keras_retinanet.models.hdf5 import StoredWeights, read_config, stored_weights
from keras_retinanet.models.old_backbones import build_features, identify
from keras_retinanet.models.retinanet import retinanet_bbox
from keras_retinanet.models.weights import assign_weights, match_weights

# The layers with weights inside the two heads.
_HEADS = {
    f"{head}_submodel": [*(f"pyramid_{head}_{i}" for i in range(4)), f"pyramid_{head}"]
    for head in ("regression", "classification")
}


@dataclass(frozen=True)
class Architecture:
    """The architecture that the configuration of an old model describes.

    Attributes:
        layers: name -> configuration of each layer.
        backbone: name of the backbone.
        normalisation: the mode of `images.preprocess_image` of its training.
        num_classes: number of classes.
        num_anchors: number of anchors per location.
        pyramid_levels: levels, in the order of the outputs.
        anchors: of an inference model; None for a training model.
        coder: of an inference model; the default for a training model, whose file does not say.
        filter_settings: of an inference model; None for a training model.
    """

    layers: dict[str, Any]
    backbone: str
    normalisation: str
    num_classes: int
    num_anchors: int
    pyramid_levels: tuple[int, ...]
    anchors: AnchorParameters | None = None
    coder: CornerCoder = CornerCoder()
    filter_settings: FilterSettings | None = None


def read_old_model(file: h5py.File, backbone_name: str | None = None) -> keras.Model:
    """Return the model in a file of Keras 2: a `RetinaNet`, or a `RetinaNetBBox` if converted.

    Args:
        file: the file.
        backbone_name: name of the backbone, which only decides where the layers leave several
            (MobileNets of one width have the same layers, whatever the size of their ImageNet
            images).

    Raises:
        ValueError: if the file does not hold a RetinaNet of keras-retinanet on a known backbone,
            or not all of its weights.
    """
    config = read_config(file)
    if config is None:
        raise ValueError(
            "expected a model, got an HDF5 file without model_config (a file of weights alone can "
            "be given to --weights)"
        )
    try:
        with limited_weights(stored_numbers(file)):
            return _build(file, read_architecture(config, backbone_name))
    except (ValueError, OSError):
        raise
    except Exception as error:  # a wrong type or a missing entry may raise anything
        raise ValueError(
            "expected a model of keras-retinanet, got one that cannot be built again: "
            f"{type(error).__name__} {error}"
        ) from error


def _build(file: h5py.File, architecture: Architecture) -> keras.Model:
    """Return the model of an architecture with the weights in a file."""
    stored = stored_weights(file, _HEADS)
    _check_head(stored, architecture)
    model = retinanet_on(
        build_features(architecture.layers),
        name=architecture.backbone,
        normalisation=architecture.normalisation,
        num_classes=architecture.num_classes,
        num_anchors=architecture.num_anchors,
        pyramid_levels=list(architecture.pyramid_levels),
    )
    report, matches = match_weights(model, stored)
    wrong = [*report.missing, *report.mismatched, *report.unexpected]
    if wrong:
        raise ValueError(
            f"the weights do not fit the {architecture.backbone} that the file describes: "
            f"{report.summary()}; {', '.join(wrong[:5])}"
        )
    assign_weights(matches)
    if architecture.filter_settings is None:
        return model
    # In the info, unlike given as an argument, the anchors cause no warning about other ones.
    assert model.info is not None  # `retinanet_on` sets it
    info = replace(model.info, anchors=architecture.anchors, coder=architecture.coder)
    set_info(model, info)
    return retinanet_bbox(model=model, **architecture.filter_settings.to_dict())


def read_architecture(config: dict[str, Any], backbone_name: str | None = None) -> Architecture:
    """Return the architecture that a model configuration of Keras 2 describes.

    Args:
        config: the dictionary in the attribute `model_config`.
        backbone_name: see `read_old_model`.

    Raises:
        ValueError: if it is not a RetinaNet, or its backbone is unknown.
        KeyError, TypeError, ...: if an expected entry is missing or of another type.
    """
    layers = {layer["config"]["name"]: layer for layer in config["config"]["layers"]}
    for name in ("regression_submodel", "classification_submodel", "P3"):
        if name not in layers:
            raise ValueError(
                f"expected a model of keras-retinanet, got a model without a layer {name!r}"
            )
    num_classes, num_anchors = _head_sizes(layers)
    name, normalisation = identify(layers, backbone_name)
    training = Architecture(
        layers=layers,
        backbone=name,
        normalisation=normalisation,
        num_classes=num_classes,
        num_anchors=num_anchors,
        pyramid_levels=_levels(layers["regression_submodel"]),
    )
    filters = [layer for layer in layers.values() if layer["class_name"] == "FilterDetections"]
    if not filters:
        return training
    decoding = layers["boxes"]["config"]
    return replace(
        training,
        anchors=_anchors(layers),
        coder=CornerCoder(decoding["mean"], decoding["std"]),
        filter_settings=FilterSettings(**given_settings(filters[0]["config"])),
    )


def _head_sizes(layers: dict[str, Any]) -> tuple[int, int]:
    """Return the numbers of classes and of anchors per location."""
    regression = _inner_configs(layers["regression_submodel"])
    classification = _inner_configs(layers["classification_submodel"])
    values = regression["pyramid_regression_reshape"]["target_shape"][-1]
    num_classes = classification["pyramid_classification_reshape"]["target_shape"][-1]
    num_anchors = regression["pyramid_regression"]["filters"] // 4
    if values != 4 or classification["pyramid_classification"]["filters"] != (
        num_classes * num_anchors
    ):
        raise ValueError(
            f"the heads do not fit each other: {values} values per box, {num_classes} classes, "
            f"{num_anchors} anchors"
        )
    return num_classes, num_anchors


def _inner_configs(submodel: dict[str, Any]) -> dict[str, Any]:
    """Return the configurations of the layers of a submodel by name."""
    return {layer["config"]["name"]: layer["config"] for layer in submodel["config"]["layers"]}


def _levels(submodel: dict[str, Any]) -> tuple[int, ...]:
    """Return the levels on which a head runs, in order."""
    sources = [node[0][0] for node in submodel["inbound_nodes"]]
    if not all(re.fullmatch(r"P\d", source) for source in sources):
        raise ValueError(f"expected heads on pyramid levels such as P3, got them on {sources}")
    return tuple(int(source[1:]) for source in sources)


def _anchors(layers: dict[str, Any]) -> AnchorParameters | None:
    """Return the anchors of an inference model; None if it has no layers for them."""
    configs = [layer["config"] for layer in layers.values() if layer["class_name"] == "Anchors"]
    if not configs:
        return None
    configs.sort(key=lambda config: int(config["name"].rpartition("_")[2]))
    shapes = {(tuple(config["ratios"]), tuple(config["scales"])) for config in configs}
    if len(shapes) != 1:
        raise ValueError("expected the same anchor ratios and scales on all levels, got several")
    ratios, scales = shapes.pop()
    return AnchorParameters(
        [config["size"] for config in configs],
        [config["stride"] for config in configs],
        ratios,
        scales,
    )


def _check_head(stored: StoredWeights, architecture: Architecture) -> None:
    """Raise ValueError if the file does not hold the head it describes.

    Otherwise a short file could ask for a model of any size.
    """
    shapes = [tuple(data.shape) for _, data in stored.get("pyramid_classification", [])]
    expected = (architecture.num_classes * architecture.num_anchors,)
    if expected not in shapes:
        raise ValueError(
            f"expected {expected[0]} biases in the last layer of the classification head "
            f"({architecture.num_classes} classes, {architecture.num_anchors} anchors), "
            f"got weights of shapes {shapes}"
        )
