"""Models that keras-retinanet 1.0.0 and older wrote with Keras 2, as `.h5`.

Keras 3 cannot load them. The configuration in the file tells the architecture, which is then built
anew; the weights are matched by name.
"""

import re
from dataclasses import dataclass, replace

import h5py

from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.models.backbones import retinanet_on
from keras_retinanet.models.classes import set_info
from keras_retinanet.models.hdf5 import read_config, stored_weights
from keras_retinanet.models.old_backbones import build_features, identify
from keras_retinanet.models.retinanet import retinanet_bbox
from keras_retinanet.models.weights import assign, pair

# The layers with weights inside the two heads.
_SUBMODELS = {
    f"{kind}_submodel": [*(f"pyramid_{kind}_{i}" for i in range(4)), f"pyramid_{kind}"]
    for kind in ("regression", "classification")
}

_FILTER_SETTINGS = (
    "nms",
    "class_specific_filter",
    "nms_threshold",
    "score_threshold",
    "max_detections",
    "parallel_iterations",
)


@dataclass(frozen=True)
class Architecture:
    """What the configuration of an old model says.

    Attributes:
        layers: name -> configuration of each layer.
        backbone: name of the backbone.
        normalisation: the mode of `images.preprocess_image` that it was fed with.
        num_classes: number of classes.
        num_anchors: number of anchors at one place.
        pyramid_levels: levels, in the order of the outputs.
        anchors: of an inference model; None for a training model.
        detection: arguments of `FilterDetections` of an inference model; None for a training
            model.
    """

    layers: dict
    backbone: str
    normalisation: str
    num_classes: int
    num_anchors: int
    pyramid_levels: tuple[int, ...]
    anchors: AnchorParameters | None = None
    detection: dict | None = None


def read_old_model(file: h5py.File, backbone_name: str | None = None):
    """Return the model in a file of Keras 2: a `RetinaNet`, or a `RetinaNetBBox` if converted.

    Args:
        file: the file.
        backbone_name: name of the backbone; only heeded where the file leaves several (MobileNets
            of one width have the same layers, whatever the size of their ImageNet images).

    Raises:
        ValueError: if the file holds no RetinaNet of keras-retinanet on a known backbone, or not
            all of its weights.
    """
    config = read_config(file)
    if config is None:
        raise ValueError(
            f"{file.filename}: expected a model, got an HDF5 file without model_config (weights "
            "alone can be given to --weights)"
        )
    try:
        return _build(file, read_architecture(config, backbone_name))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{file.filename}: expected a model of keras-retinanet, got one that cannot be built "
            f"again: {type(error).__name__} {error}"
        ) from error
    except ValueError as error:
        raise ValueError(_naming(file, error)) from error


def _naming(file, error) -> str:
    """Return the text of an error with the name of the file in front, once."""
    text = str(error)
    return text if text.startswith(file.filename) else f"{file.filename}: {text}"


def _build(file, architecture):
    """Return the model of an architecture with the weights in a file."""
    stored = stored_weights(file, _SUBMODELS)
    _check_head(stored, architecture)
    model = retinanet_on(
        build_features(architecture.layers),
        name=architecture.backbone,
        normalisation=architecture.normalisation,
        num_classes=architecture.num_classes,
        num_anchors=architecture.num_anchors,
        pyramid_levels=list(architecture.pyramid_levels),
    )
    report, matches = pair(model, stored)
    wrong = [*report.missing, *report.mismatched, *report.unexpected]
    if wrong:
        raise ValueError(
            f"the weights do not fit the {architecture.backbone} that the file describes: "
            f"{report.summary()}; {', '.join(wrong[:5])}"
        )
    assign(matches)
    if architecture.detection is None:
        return model
    # What the file says is known, not given against better knowledge.
    set_info(model, replace(model.info, anchors=architecture.anchors))
    return retinanet_bbox(model=model, **architecture.detection)


def read_architecture(config: dict, backbone_name: str | None = None) -> Architecture:
    """Return what a model configuration of Keras 2 says.

    Args:
        config: the dictionary in the attribute `model_config`.
        backbone_name: see `read_old_model`.

    Raises:
        ValueError: if it is no RetinaNet, or its backbone is unknown.
        KeyError, TypeError, ...: if an expected entry is missing or of another type.
    """
    layers = {layer["config"]["name"]: layer for layer in config["config"]["layers"]}
    for name in ("regression_submodel", "classification_submodel", "P3"):
        if name not in layers:
            raise ValueError(
                f"expected a model of keras-retinanet, got a model without a layer {name!r}"
            )
    num_classes, num_anchors = _heads(layers)
    name, normalisation = identify(layers, backbone_name)
    return Architecture(
        layers=layers,
        backbone=name,
        normalisation=normalisation,
        num_classes=num_classes,
        num_anchors=num_anchors,
        pyramid_levels=_levels(layers["regression_submodel"]),
        anchors=_anchors(layers),
        detection=_detection(layers),
    )


def _heads(layers) -> tuple[int, int]:
    """Return the numbers of classes, and of anchors at one place."""
    regression = _inner(layers["regression_submodel"])
    classification = _inner(layers["classification_submodel"])
    values = regression["pyramid_regression_reshape"]["target_shape"][-1]
    num_classes = classification["pyramid_classification_reshape"]["target_shape"][-1]
    num_anchors = regression["pyramid_regression"]["filters"] // 4
    if values != 4 or classification["pyramid_classification"]["filters"] != (
        num_classes * num_anchors
    ):
        raise ValueError(
            f"the heads do not fit each other: {values} values a box, {num_classes} classes, "
            f"{num_anchors} anchors"
        )
    return num_classes, num_anchors


def _inner(submodel) -> dict:
    """Return the configurations of the layers of a submodel by name."""
    return {layer["config"]["name"]: layer["config"] for layer in submodel["config"]["layers"]}


def _levels(submodel) -> tuple[int, ...]:
    """Return the levels on which a head runs, in order."""
    sources = [node[0][0] for node in submodel["inbound_nodes"]]
    if not all(re.fullmatch(r"P\d", source) for source in sources):
        raise ValueError(f"expected heads on pyramid levels such as P3, got them on {sources}")
    return tuple(int(source[1:]) for source in sources)


def _anchors(layers) -> AnchorParameters | None:
    """Return the anchors of an inference model."""
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


def _detection(layers) -> dict | None:
    """Return the settings of the filter of an inference model."""
    filters = [layer for layer in layers.values() if layer["class_name"] == "FilterDetections"]
    if not filters:
        return None
    decoding = layers["boxes"]["config"]
    if list(decoding["mean"]) != [0] * 4 or list(decoding["std"]) != [0.2] * 4:
        raise ValueError(
            "expected boxes coded with mean 0 and standard deviation 0.2, got "
            f"{decoding['mean']} and {decoding['std']}"
        )
    settings = filters[0]["config"]
    return {name: settings[name] for name in _FILTER_SETTINGS if name in settings}


def _check_head(stored, architecture):
    """Raise ValueError if the file does not hold the head it describes.

    Else a short file could ask for a model of any size.
    """
    shapes = [tuple(data.shape) for _, data in stored.get("pyramid_classification", [])]
    expected = (architecture.num_classes * architecture.num_anchors,)
    if expected not in shapes:
        raise ValueError(
            f"expected {expected[0]} biases in the last layer of the classification head "
            f"({architecture.num_classes} classes, {architecture.num_anchors} anchors), "
            f"got weights of shapes {shapes}"
        )
