"""RetinaNet on top of a backbone: pyramid, heads, and the detections (arXiv 1708.02002)."""

import warnings
from dataclasses import replace

import keras

from keras_retinanet import layers
from keras_retinanet.geometry.anchors import DEFAULT_LEVELS, AnchorParameters
from keras_retinanet.models.classes import (
    RetinaNet,
    RetinaNetBBox,
    assert_training_model,
    set_info,
)
from keras_retinanet.models.heads import (
    FEATURE_SIZE,
    default_classification_model,
    default_regression_model,
    default_submodels,
)

__all__ = [
    "create_pyramid_features",
    "default_classification_model",
    "default_regression_model",
    "default_submodels",
    "retinanet",
    "retinanet_bbox",
]


def create_pyramid_features(backbone_layers, pyramid_levels, feature_size=256):
    """Return the feature pyramid (arXiv 1612.03144) on top of a backbone.

    Args:
        backbone_layers: dictionary of the tensors "C3", "C4", "C5" and, for level 2, "C2".
        pyramid_levels: levels in use; 3, 4 and 5 are always made.
        feature_size: channels of every level.

    Returns:
        Dictionary of "P3", "P4", "P5" and, where asked for, "P2", "P6", "P7".

    Raises:
        ValueError: if level 7 is asked for without level 6, of which it is made.
    """
    if 7 in pyramid_levels and 6 not in pyramid_levels:
        raise ValueError("P6 is required to use P7")
    convolution = keras.layers.Conv2D
    # The old names, from coarse to fine: every level adds the one above, enlarged.
    levels = [5, 4, 3, 2] if "C2" in backbone_layers and 2 in pyramid_levels else [5, 4, 3]
    features, above = {}, None
    for level in levels:
        here = backbone_layers[f"C{level}"]
        merged = convolution(feature_size, 1, padding="same", name=f"C{level}_reduced")(here)
        if above is not None:
            enlarged = layers.UpsampleLike(name=f"P{level + 1}_upsampled")([above, here])
            merged = keras.layers.Add(name=f"P{level}_merged")([enlarged, merged])
        above = merged
        features[f"P{level}"] = convolution(feature_size, 3, padding="same", name=f"P{level}")(
            merged
        )
    # Section 4 of the RetinaNet paper: P6 comes from C5, P7 from P6 after a ReLU.
    options = {"kernel_size": 3, "strides": 2, "padding": "same"}
    if 6 in pyramid_levels:
        features["P6"] = convolution(feature_size, name="P6", **options)(backbone_layers["C5"])
    if 7 in pyramid_levels:
        rectified = keras.layers.Activation("relu", name="C6_relu")(features["P6"])
        features["P7"] = convolution(feature_size, name="P7", **options)(rectified)
    return features


def retinanet(
    inputs,
    backbone_layers,
    num_classes,
    num_anchors=None,
    create_pyramid_features=create_pyramid_features,
    pyramid_levels=None,
    submodels=None,
    name="retinanet",
    *,
    feature_size=FEATURE_SIZE,
):
    """Return the training model on top of a backbone.

    Args:
        inputs: a `keras.Input` of images, or a list of inputs.
        backbone_layers: dictionary of the tensors "C3", "C4", "C5" and perhaps "C2".
        num_classes: number of classes.
        num_anchors: number of anchors at one place; None means 9.
        create_pyramid_features: function like the one of that name here.
        pyramid_levels: levels in use; None means 3 to 7.
        submodels: list of (output name, model) run on every level; None means
            `default_submodels`.
        name: name of the model.
        feature_size: channels of the pyramid and the heads.

    Returns:
        A `RetinaNet` with one float32 output for each submodel: its outputs on all levels, joined.

    Raises:
        ValueError: if level 3, 4 or 5 is missing, or the backbone has no C2 for level 2.
    """
    levels = list(DEFAULT_LEVELS if pyramid_levels is None else pyramid_levels)
    if num_anchors is None:
        num_anchors = AnchorParameters.default.num_anchors()
    if not {3, 4, 5} <= set(levels):
        raise ValueError(f"expected the pyramid levels 3, 4 and 5 among others, got {levels}")
    if 2 in levels and "C2" not in backbone_layers:
        raise ValueError("C2 not provided by backbone model. Cannot create P2 layers.")
    submodels = submodels or default_submodels(num_classes, num_anchors, feature_size=feature_size)
    # A function of the caller's may know nothing of sizes.
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
    model=None,
    nms=True,
    class_specific_filter=True,
    name="retinanet-bbox",
    anchor_params=None,
    pyramid_levels=None,
    nms_threshold=0.5,
    score_threshold=0.05,
    max_detections=300,
    parallel_iterations=32,
    *,
    pre_nms_top_k=None,
    **kwargs,
):
    """Return the inference model: a training model, then anchors, decoding, clipping, filtering.

    Args:
        model: a training model, which shares its weights; None means to make one by `retinanet`.
        nms: whether to leave out boxes that overlap better ones.
        class_specific_filter: whether to filter each class by itself, or only the best of a box.
        name: name of the model.
        anchor_params: an `AnchorParameters`; None means those the model knows, or the paper's.
        pyramid_levels: levels in use; None means those the model knows, or 3 to 7.
        nms_threshold: intersection over union above which the lesser box is left out.
        score_threshold: scores must be greater than this.
        max_detections: number of boxes kept at most.
        parallel_iterations: number of images filtered at the same time.
        pre_nms_top_k: number of scores looked at in each pyramid level, the best ones above the
            threshold (1,000 in the paper, section 4.1); None means all, as keras-retinanet 1.0.0.
        **kwargs: for `retinanet`, where there is no model.

    Returns:
        A `RetinaNetBBox` with the outputs boxes `(B, max_detections, 4)`, scores and labels
        `(B, max_detections)`, padded with -1, then what further submodels made.

    Raises:
        ValueError: if the model is no training model, or the anchors do not fit it.
    """
    if model is None:
        count = (anchor_params or AnchorParameters.default).num_anchors()
        model = retinanet(num_anchors=count, pyramid_levels=pyramid_levels, **kwargs)
    assert_training_model(model)
    anchor_params, levels = _resolve_anchors(model, anchor_params, pyramid_levels)
    regression, classification, *other = model.outputs
    anchors = _build_anchors(model, anchor_params, levels)
    joined = keras.layers.Concatenate(axis=1, name="anchors", dtype="float32")(anchors)
    boxes = layers.RegressBoxes(name="boxes", dtype="float32")([joined, regression])
    boxes = layers.ClipBoxes(name="clipped_boxes", dtype="float32")([model.inputs[0], boxes])
    detections = layers.FilterDetections(
        nms=nms,
        class_specific_filter=class_specific_filter,
        nms_threshold=nms_threshold,
        score_threshold=score_threshold,
        max_detections=max_detections,
        parallel_iterations=parallel_iterations,
        pre_nms_top_k=pre_nms_top_k,
        dtype="float32",
        name="filtered_detections",
    )([boxes, classification, *other], **({"levels": anchors} if pre_nms_top_k else {}))
    inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    inference = RetinaNetBBox(inputs=inputs, outputs=detections, name=name)
    details = getattr(model, "info", None)
    if details:
        set_info(inference, replace(details, anchors=anchor_params, pyramid_levels=levels))
    return inference


def extract_training_model(model):
    """Return the training model inside an inference model; the two share their weights."""
    outputs = [model.get_layer(name).output for name in ("regression", "classification")]
    training = RetinaNet(inputs=model.inputs[0], outputs=outputs, name="retinanet")
    if model.info:
        set_info(training, model.info)
    return training


def _build_anchors(model, anchor_params, levels):
    """Return the anchors `(B, n, 4)` of each pyramid level of a training model."""
    return [
        layers.Anchors(
            size=size,
            stride=stride,
            ratios=anchor_params.ratios,
            scales=anchor_params.scales,
            dtype="float32",
            name=f"anchors_{i}",
        )(model.get_layer(f"P{level}").output)
        for i, (level, size, stride) in enumerate(
            zip(levels, anchor_params.sizes, anchor_params.strides, strict=True)
        )
    ]


def _resolve_anchors(model, anchor_params, levels):
    """Return the anchors and levels to use; what is given wins over what the model knows."""
    details = getattr(model, "info", None)
    known_levels = details.pyramid_levels if details else DEFAULT_LEVELS
    known_anchors = details.anchors if details else AnchorParameters.default
    levels = tuple(known_levels if levels is None else levels)
    anchors = known_anchors if anchor_params is None else anchor_params
    if details:
        _warn_if_other("pyramid levels", levels, known_levels)
        _warn_if_other("anchors", anchors, known_anchors)
    if anchors is None:
        raise ValueError(
            "the model does not know its anchors: give anchor_params (--config), with "
            f"{_anchors_at_a_place(model)} anchors at one place and one size and stride for each "
            f"of the pyramid levels {list(levels)}"
        )
    missing = [p for p in levels if f"P{p}" not in {layer.name for layer in model.layers}]
    if missing:
        raise ValueError(f"pyramid levels {list(levels)}: the model has no level {missing}")
    if not len(levels) == len(anchors.sizes) == len(anchors.strides):
        raise ValueError(
            f"number of pyramid levels {list(levels)} should match number of anchor parameter "
            f"sizes {anchors.sizes} and strides {anchors.strides}"
        )
    count = _anchors_at_a_place(model)
    if count not in (None, anchors.num_anchors()):
        raise ValueError(
            f"the model predicts {count} anchors at one place, the anchor parameters have "
            f"{anchors.num_anchors()} (ratios times scales)"
        )
    return anchors, levels


def _warn_if_other(what, given, known):
    if known is not None and given != known:
        warnings.warn(f"using the {what} {given}; the model was trained with {known}", stacklevel=4)


def _anchors_at_a_place(model) -> int | None:
    """Return how many anchors the default heads of a model predict for; None for other heads."""
    try:
        return model.get_layer("regression_submodel").get_layer("pyramid_regression").filters // 4
    except (ValueError, AttributeError):
        return None
