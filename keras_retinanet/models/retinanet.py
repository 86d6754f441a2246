"""RetinaNet on top of a backbone: pyramid, heads, and the detections (arXiv 1708.02002)."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import keras

from keras_retinanet import initializers, layers
from keras_retinanet.geometry.anchors import DEFAULT_LAYOUT, DEFAULT_LEVELS, AnchorParameters
from keras_retinanet.geometry.coders import CornerCoder
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.models.classes import (
    RetinaNet,
    RetinaNetBBox,
    assert_training_model,
    set_info,
)
from keras_retinanet.models.heads import (
    FEATURE_SIZE,
    HIDDEN_INITIALIZER,
    default_classification_model,
    default_regression_model,
    default_submodels,
)

# What `from keras_retinanet.models.retinanet import *` gives includes what it gave in 1.0.0.
__all__ = [
    "AnchorParameters",
    "assert_training_model",
    "create_pyramid_features",
    "default_classification_model",
    "default_regression_model",
    "default_submodels",
    "initializers",
    "keras",
    "layers",
    "retinanet",
    "retinanet_bbox",
]

# Of the pyramid, as in Detectron and torchvision: a layer passes on what it gets at the same size,
# however many channels that has. With Keras's usual one, a C5 of 1280 channels weighs seven times
# as much as a C3 of 32.
PYRAMID_INITIALIZER = "lecun_uniform"


def create_pyramid_features(
    backbone_layers: dict[str, keras.KerasTensor],
    pyramid_levels: Sequence[int],
    feature_size: int = 256,
    *,
    p6_from: str = "C5",
    rectify_p6: bool = True,
    symmetric: bool = False,
) -> dict[str, keras.KerasTensor]:
    """Return the feature pyramid (arXiv 1612.03144) on top of a backbone.

    Args:
        backbone_layers: dictionary of the tensors "C3", "C4", "C5" and, for level 2, "C2".
        pyramid_levels: levels in use; 3, 4 and 5 are always made.
        feature_size: channels of every level.
        p6_from: level from which P6 is made, "C5" as in the paper, or "P5".
        rectify_p6: whether P7 is made from P6 after a ReLU, as in the paper.
        symmetric: whether P6 and P7 pad by a pixel on every side; otherwise "same" pads even sides
            at the end only.

    Returns:
        Dictionary of "P3", "P4", "P5" and, if they are in use, "P2", "P6", "P7".

    Raises:
        ValueError: if level 7 is in use without level 6, from which it is made.
    """
    if 7 in pyramid_levels and 6 not in pyramid_levels:
        raise ValueError("P6 is required to use P7")
    convolution = partial(keras.layers.Conv2D, kernel_initializer=PYRAMID_INITIALIZER)
    # From coarse to fine: every level adds the upsampled one above. Layer names are the old ones.
    levels = [5, 4, 3, 2] if "C2" in backbone_layers and 2 in pyramid_levels else [5, 4, 3]
    features: dict[str, keras.KerasTensor] = {}
    above = None
    for level in levels:
        here = backbone_layers[f"C{level}"]
        merged = convolution(feature_size, 1, padding="same", name=f"C{level}_reduced")(here)
        if above is not None:
            upsampled = layers.UpsampleLike(name=f"P{level + 1}_upsampled")([above, here])
            merged = keras.layers.Add(name=f"P{level}_merged")([upsampled, merged])
        above = merged
        features[f"P{level}"] = convolution(feature_size, 3, padding="same", name=f"P{level}")(
            merged
        )

    def coarser(source: keras.KerasTensor, name: str) -> keras.KerasTensor:
        padding = "same"
        if symmetric:
            source = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(source)
            padding = "valid"
        return convolution(feature_size, 3, strides=2, padding=padding, name=name)(source)

    # Section 4 of the RetinaNet paper: P6 comes from C5, P7 from P6 after a ReLU.
    if 6 in pyramid_levels:
        features["P6"] = coarser({**backbone_layers, **features}[p6_from], "P6")
    if 7 in pyramid_levels:
        above = features["P6"]
        if rectify_p6:
            above = keras.layers.Activation("relu", name="C6_relu")(above)
        features["P7"] = coarser(above, "P7")
    return features


# Its name in keras-retinanet 1.0.0.
__create_pyramid_features = create_pyramid_features


def retinanet(
    inputs: keras.KerasTensor | list[keras.KerasTensor],
    backbone_layers: dict[str, keras.KerasTensor],
    num_classes: int,
    num_anchors: int | None = None,
    create_pyramid_features: Callable[..., dict[str, keras.KerasTensor]] = create_pyramid_features,
    pyramid_levels: Sequence[int] | None = None,
    submodels: Sequence[tuple[str, keras.Model]] | None = None,
    name: str = "retinanet",
    *,
    feature_size: int = FEATURE_SIZE,
    group_norm: bool = False,
    hidden_initializer: str = HIDDEN_INITIALIZER,
) -> RetinaNet:
    """Return the training model on top of a backbone.

    Args:
        inputs: a `keras.Input` of images, or a list of inputs.
        backbone_layers: dictionary of the tensors "C3", "C4", "C5" and perhaps "C2".
        num_classes: number of classes.
        num_anchors: number of anchors per location; None means 9.
        create_pyramid_features: function like the one of that name in this module.
        pyramid_levels: levels in use; None means 3 to 7.
        submodels: list of (output name, model); every model runs on every level. None means
            `default_submodels`.
        name: name of the model.
        feature_size: channels of the pyramid and the heads.
        group_norm: whether the heads' hidden layers have group normalisation instead of a bias; for
            the default submodels.
        hidden_initializer: initialiser of the heads' hidden layers, a name in
            `heads.HIDDEN_INITIALIZERS`; for the default submodels.

    Returns:
        A `RetinaNet` with one float32 output for each submodel: its outputs on all levels,
        concatenated.

    Raises:
        ValueError: if level 3, 4 or 5 is missing, the backbone has no C2 for level 2, or the
            channels cannot be normalised in groups.
    """
    levels = list(DEFAULT_LEVELS if pyramid_levels is None else pyramid_levels)
    if num_anchors is None:
        num_anchors = AnchorParameters.default.num_anchors()
    if not {3, 4, 5} <= set(levels):
        raise ValueError(f"expected the pyramid levels 3, 4 and 5 among others, got {levels}")
    if 2 in levels and "C2" not in backbone_layers:
        raise ValueError("C2 not provided by backbone model. Cannot create P2 layers.")
    submodels = submodels or default_submodels(
        num_classes,
        num_anchors,
        feature_size=feature_size,
        group_norm=group_norm,
        hidden_initializer=hidden_initializer,
    )
    # A caller's own function may not take this argument.
    size = {} if feature_size == FEATURE_SIZE else {"feature_size": feature_size}
    pyramid = create_pyramid_features(backbone_layers, levels, **size)
    outputs = [
        keras.layers.Concatenate(axis=1, dtype="float32", name=output)(
            [model(pyramid[f"P{level}"]) for level in levels]
        )
        for output, model in submodels
    ]
    return RetinaNet(inputs=inputs, outputs=outputs, name=name)


def retinanet_bbox(
    model: keras.Model | None = None,
    nms: bool = True,
    class_specific_filter: bool = True,
    name: str = "retinanet-bbox",
    anchor_params: AnchorParameters | None = None,
    pyramid_levels: Sequence[int] | None = None,
    nms_threshold: float = 0.5,
    score_threshold: float = 0.05,
    max_detections: int = 300,
    parallel_iterations: int = 32,
    *,
    pre_nms_top_k: int | None = None,
    clip: str = "pixels",
    drop_empty: bool = False,
    fixed_shapes: bool = False,
    **kwargs: Any,
) -> RetinaNetBBox:
    """Return the inference model: a training model, then anchors, decoding, clipping, filtering.

    Args:
        model: a training model, which shares its weights; None means to build one by `retinanet`.
        nms: see `FilterSettings`.
        class_specific_filter: see `FilterSettings`.
        name: name of the model.
        anchor_params: the anchors; None means those in the model's info, or the paper's.
        pyramid_levels: levels in use; None means those in the model's info, or 3 to 7.
        nms_threshold: see `FilterSettings`.
        score_threshold: see `FilterSettings`.
        max_detections: see `FilterSettings`.
        parallel_iterations: see `FilterSettings`.
        pre_nms_top_k: see `FilterSettings`.
        clip: see `FilterSettings`.
        drop_empty: see `FilterSettings`.
        fixed_shapes: see `FilterSettings`.
        **kwargs: for `retinanet`, if there is no model.

    Returns:
        A `RetinaNetBBox` with the outputs boxes `(B, max_detections, 4)`, scores and labels
        `(B, max_detections)`, padded with -1, then the outputs of further submodels. Its info is
        the training model's, with the anchors, levels and filter settings used.

    Raises:
        ValueError: if the model is not a training model, the anchors do not fit it, or a setting
            is out of range.
    """
    settings = layers.FilterSettings(
        nms=nms,
        class_specific_filter=class_specific_filter,
        nms_threshold=nms_threshold,
        score_threshold=score_threshold,
        max_detections=max_detections,
        parallel_iterations=parallel_iterations,
        pre_nms_top_k=pre_nms_top_k,
        clip=clip,
        drop_empty=drop_empty,
        fixed_shapes=fixed_shapes,
    )
    if model is None:
        count = (anchor_params or AnchorParameters.default).num_anchors()
        model = retinanet(num_anchors=count, pyramid_levels=pyramid_levels, **kwargs)
    assert_training_model(model)
    info: ModelInfo | None = getattr(model, "info", None)
    anchor_params, levels = _resolve_anchors(model, info, anchor_params, pyramid_levels)
    coder = info.coder if info else CornerCoder()
    regression, classification, *other = model.outputs
    anchors = _build_anchors(model, anchor_params, levels)
    joined = keras.layers.Concatenate(axis=1, name="anchors", dtype="float32")(anchors)
    decode = layers.RegressBoxes(coder=coder, name="boxes", dtype="float32")
    boxes = decode([joined, regression])
    if settings.clip != "last":
        to_edge = settings.clip == "edges"
        clipped = layers.ClipBoxes(to_edge=to_edge, name="clipped_boxes", dtype="float32")
        boxes = clipped([model.inputs[0], boxes])
    keep = layers.FilterDetections(
        **settings.to_dict(), dtype="float32", name="filtered_detections"
    )
    by_level = settings.pre_nms_top_k or settings.fixed_shapes
    level_arguments = {"levels": anchors} if by_level else {}
    detections = keep([boxes, classification, *other], **level_arguments)
    if settings.clip == "last":
        clip_last = layers.ClipDetections(name="clipped_detections", dtype="float32")
        detections = clip_last([model.inputs[0], *detections])
    inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    inference = RetinaNetBBox(inputs=inputs, outputs=detections, name=name)
    if info:
        info = replace(info, anchors=anchor_params, pyramid_levels=levels, filter_settings=settings)
        set_info(inference, info)
    return inference


def extract_training_model(model: RetinaNetBBox) -> RetinaNet:
    """Return the training model inside an inference model; the two share their weights."""
    outputs = [model.get_layer(name).output for name in ("regression", "classification")]
    training = RetinaNet(inputs=model.inputs[0], outputs=outputs, name="retinanet")
    if model.info:
        # The way to filter is the source's; thresholds may be those of one conversion.
        used = model.info.filter_settings
        settings = layers.FilterSettings(
            pre_nms_top_k=used.pre_nms_top_k, clip=used.clip, drop_empty=used.drop_empty
        )
        set_info(training, replace(model.info, filter_settings=settings))
    return training


def _build_anchors(
    model: keras.Model, anchor_params: AnchorParameters, levels: tuple[int, ...]
) -> list[keras.KerasTensor]:
    """Return the anchors `(B, n, 4)` of each pyramid level of a training model."""
    arguments = {}
    if anchor_params.layout.fitted_strides:
        padded = [layer for layer in model.layers if isinstance(layer, layers.PadToMultiple)]
        arguments["image"] = padded[0].output if padded else model.inputs[0]
    return [
        layers.Anchors(
            size=size,
            stride=stride,
            ratios=anchor_params.ratios,
            scales=anchor_params.scales,
            layout=anchor_params.layout,
            dtype="float32",
            name=f"anchors_{i}",
        )(model.get_layer(f"P{level}").output, **arguments)
        for i, (level, size, stride) in enumerate(
            zip(levels, anchor_params.sizes, anchor_params.strides, strict=True)
        )
    ]


def _resolve_anchors(
    model: keras.Model,
    info: ModelInfo | None,
    given_anchors: AnchorParameters | None,
    given_levels: Sequence[int] | None,
) -> tuple[AnchorParameters, tuple[int, ...]]:
    """Return the anchors and levels to use: those given, else those of the info, else the paper's.

    Warns where given ones differ from those of the info.

    Raises:
        ValueError: if they are unknown or do not fit the model.
    """
    known_levels = info.pyramid_levels if info else DEFAULT_LEVELS
    known_anchors = info.anchors if info else AnchorParameters.default
    levels = known_levels if given_levels is None else tuple(given_levels)
    anchors = known_anchors if given_anchors is None else given_anchors
    if given_anchors and known_anchors and given_anchors.layout == DEFAULT_LAYOUT:
        # A config has no layout, and no other one fits a trained network.
        anchors = given_anchors.with_layout(known_anchors.layout)
    if info:
        _warn_if_other("pyramid levels", levels, known_levels)
        _warn_if_other("anchors", anchors, known_anchors)
    predicted = _anchors_per_location(model)
    if anchors is None:
        raise ValueError(
            "the model does not know its anchors: give anchor_params (--config), with "
            f"{predicted} anchors per location and one size and stride for each of the pyramid "
            f"levels {list(levels)}"
        )
    missing = [p for p in levels if f"P{p}" not in {layer.name for layer in model.layers}]
    if missing:
        raise ValueError(f"pyramid levels {list(levels)}: the model has no level {missing}")
    if not len(levels) == len(anchors.sizes) == len(anchors.strides):
        raise ValueError(
            f"number of pyramid levels {list(levels)} should match number of anchor parameter "
            f"sizes {anchors.sizes} and strides {anchors.strides}"
        )
    if predicted not in (None, anchors.num_anchors()):
        raise ValueError(
            f"the model predicts {predicted} anchors per location, the anchor parameters have "
            f"{anchors.num_anchors()} (ratios times scales)"
        )
    return anchors, levels


def _warn_if_other(what: str, used: Any, known: Any) -> None:
    if known is not None and used != known:
        warnings.warn(f"using the {what} {used}; the model was trained with {known}", stacklevel=4)


def _anchors_per_location(model: keras.Model) -> int | None:
    """Return how many anchors the default heads of a model predict for; None for other heads."""
    try:
        return model.get_layer("regression_submodel").get_layer("pyramid_regression").filters // 4
    except (ValueError, AttributeError):
        return None
