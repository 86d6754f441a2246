"""RetinaNets that other libraries trained, as networks that compute the same.

What a network computes follows from the library that trained it, not from the shapes of its
tensors: those with the stride in the first or in the second convolution of a block have equal
shapes.
"""

import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath
from typing import Any

import keras
import numpy as np

from keras_retinanet.geometry.anchors import AnchorLayout, AnchorParameters, generate_anchors
from keras_retinanet.geometry.coders import CentreCoder
from keras_retinanet.images import DETECTRON_MEAN
from keras_retinanet.layers import FilterSettings, PadToMultiple
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.models.backbones import image_input
from keras_retinanet.models.building import limited_weights
from keras_retinanet.models.classes import RetinaNet, set_info
from keras_retinanet.models.heads import default_submodels
from keras_retinanet.models.published_resnet import ResNetDesign, published_resnet
from keras_retinanet.models.retinanet import create_pyramid_features, retinanet
from keras_retinanet.models.weights import leaf_layers
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath
from keras_retinanet.zoo.checkpoints import Checkpoint, read_checkpoint
from keras_retinanet.zoo.class_names import COCO, COCO_91, canonical
from keras_retinanet.zoo.layouts import Place, Translated, translate

NUM_ANCHORS = 9
PAD_MULTIPLE = 32


@dataclass(frozen=True)
class Source:
    """How a library builds, feeds and trains its RetinaNet.

    Attributes:
        class_names: names of the outputs, None for one without a name.
        info: what a model of it knows besides its weights; backbone and classes are filled in.
        p6_from: see `create_pyramid_features`.
        rectify_p6: see `create_pyramid_features`.
        stride_in_1x1: see `ResNetDesign`.
        epsilon: of the backbone's batch normalisation.
        group_norm: whether the heads have group normalisation.
    """

    class_names: tuple[str | None, ...]
    info: ModelInfo
    p6_from: str = "C5"
    rectify_p6: bool = True
    stride_in_1x1: bool = False
    epsilon: float = 1e-5
    group_norm: bool = False


def _anchors(**layout: Any) -> AnchorParameters:
    return AnchorParameters.default.with_layout(AnchorLayout(offset=0, **layout))


_COMMON = ModelInfo(
    backbone="",
    num_classes=0,
    anchors=_anchors(),
    pad_multiple=PAD_MULTIPLE,
    coder=CentreCoder(),
    box_loss="l1",
    match_every_box=True,
    filter_settings=FilterSettings(max_detections=100, pre_nms_top_k=1000),
)
_TORCHVISION = replace(
    _COMMON,
    normalisation="torch_rgb",
    resize_rule="torchvision",
    anchors=_anchors(whole_pixels=True, fitted_strides=True),
    filter_settings=replace(_COMMON.filter_settings, clip="edges", max_detections=300),
)
_MMDETECTION = replace(
    _COMMON,
    normalisation="torch_rgb",
    resize_rule="mmdet",
    coder=CentreCoder(clamp_below=True),
    filter_settings=replace(_COMMON.filter_settings, clip="edges", drop_empty=True),
)
_DETECTRON2 = replace(
    _COMMON,
    normalisation="detectron",
    resize_rule="detectron2",
    anchors=_anchors(scales_first=True),
    filter_settings=replace(_COMMON.filter_settings, clip="last"),
)
SOURCES = {
    # torchvision sets the epsilon of its first published weights to 0.
    "torchvision v1": Source(COCO_91, _TORCHVISION, p6_from="P5", epsilon=0.0),
    # The same network with batch normalisation that was trained, as torchvision builds it anew.
    "torchvision v1, trained anew": Source(COCO_91, _TORCHVISION, p6_from="P5"),
    "torchvision v2": Source(COCO_91, replace(_TORCHVISION, box_loss="giou"), group_norm=True),
    "detectron2": Source(COCO, _DETECTRON2, stride_in_1x1=True),
    "MMDetection, PyTorch style": Source(COCO, _MMDETECTION, rectify_p6=False),
    "MMDetection, Caffe style": Source(
        COCO,
        replace(_MMDETECTION, normalisation="detectron"),
        rectify_p6=False,
        stride_in_1x1=True,
    ),
}


def load_published(path: StrPath) -> RetinaNet:
    """Return the training model in a checkpoint of torchvision, detectron2 or MMDetection.

    Args:
        path: a `.pth`, `.pkl` or `.safetensors` file as these libraries publish them.

    Raises:
        OSError: if there is no such file.
        ValueError: naming the file, if it is damaged, holds another network, or does not tell how
            its network computes.
    """
    checkpoint = read_checkpoint(path)
    try:
        return build_published(checkpoint, PurePath(path).name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def build_published(checkpoint: Checkpoint, file_name: str) -> RetinaNet:
    """Return the training model of a checkpoint.

    Args:
        checkpoint: its tensors.
        file_name: of its file, which may tell how an MMDetection network computes.

    Raises:
        ValueError: if it holds another network, or does not tell how its network computes.
    """
    translated = translate(checkpoint.tensors)
    name = _source_name(translated, checkpoint, file_name)
    source = SOURCES[name]
    _check_constants(checkpoint.tensors, source.info)
    outputs = np.size(translated.weights.get(_CLASSES, ()))
    if outputs != NUM_ANCHORS * len(source.class_names):
        raise ValueError(
            f"expected a RetinaNet as it is published, with {len(source.class_names)} classes and "
            f"{NUM_ANCHORS} anchors for each location ({name}), got {outputs} outputs instead of "
            f"{NUM_ANCHORS * len(source.class_names)}; to train on other classes, start from a "
            "published one (--weights coco)"
        )
    design = _design(translated.weights, source)
    with limited_weights(sum(values.size for values in translated.weights.values())):
        model = _build(source, design)
    _assign(model, translated.weights)
    names = _class_names(source, checkpoint.meta)
    set_info(
        model,
        replace(
            source.info, backbone=design.name(), num_classes=len(names), class_names=tuple(names)
        ),
    )
    return model


_CLASSES = ("pyramid_classification", "bias")
# The beginning of a file's name as MMDetection publishes it; a browser may add " (1)".
_PUBLISHED = re.compile(r"retinanet_[rx]\d+_\w+-[0-9a-f]{8}\b")
# Twice as many as ResNet-152 has. Keras cannot build a network that is much deeper.
_MAX_BLOCKS = 100
# Whole part of the first number of the mean pixel in MMDetection's configuration -> style.
_STYLES_BY_MEAN = {"123": "pytorch", "103": "caffe"}


def _source_name(translated: Translated, checkpoint: Checkpoint, file_name: str) -> str:
    """Return the key of `SOURCES` for a checkpoint.

    Raises:
        ValueError: if an MMDetection file does not tell its style.
    """
    if translated.library == "detectron2":
        return "detectron2"
    if translated.library == "MMDetection":
        return _mmdetection_style(checkpoint.meta, file_name)
    if ("pyramid_classification_0_norm", "gamma") in translated.weights:
        return "torchvision v2"
    if any(name.endswith("num_batches_tracked") for name in translated.ignored):
        return "torchvision v1, trained anew"
    if "head.classification_head.conv.0.0.weight" in checkpoint.tensors:
        warnings.warn(
            f"{file_name}: the published weights of torchvision have older names of tensors; their "
            "epsilon of batch normalisation, 0, is used, but a network that was trained anew has "
            "1e-5",
            stacklevel=2,
        )
    return "torchvision v1"


def _mmdetection_style(meta: Mapping[str, Any], file_name: str) -> str:
    """Return the key of `SOURCES` for a checkpoint of MMDetection.

    Raises:
        ValueError: if it does not tell its style.
    """
    config = meta.get("config", meta.get("cfg"))  # the second since MMDetection 3
    text = config if isinstance(config, str) else ""
    found = set(re.findall(r"\bstyle\s*=\s*['\"](\w+)['\"]", text))
    if not found:  # Caffe's mean pixel begins with blue
        first = re.findall(r"\bmean\s*=\s*[\[(]\s*(\d+)", text)
        found = {_STYLES_BY_MEAN.get(number, number) for number in first}
    if not found and _PUBLISHED.match(file_name):
        found = {"caffe" if "_caffe_" in file_name else "pytorch"}
    if found == {"pytorch"}:
        return "MMDetection, PyTorch style"
    if found == {"caffe"}:
        return "MMDetection, Caffe style"
    raise ValueError(
        "expected MMDetection's configuration (meta['config'] with style='pytorch' or 'caffe') or "
        "a file named as published (retinanet_r50_fpn_1x_coco_20200130-c2398f9e.pth): without "
        f"them it cannot be told where the network has its strides, got {shorten(file_name, 60)}"
    )


def _check_constants(tensors: Mapping[str, np.ndarray], info: ModelInfo) -> None:
    """Check the mean pixel and the anchors that older files of detectron2 hold.

    Raises:
        ValueError: if they are not those with which a published network was trained.
    """
    anchors = info.anchors
    assert anchors is not None
    expected = {"pixel_mean": DETECTRON_MEAN, "pixel_std": np.ones(3)}
    for i, size in enumerate(anchors.sizes):
        shapes = generate_anchors(size, anchors.ratios, anchors.scales, layout=anchors.layout)
        expected[f"anchor_generator.cell_anchors.{i}"] = shapes
    for name, values in expected.items():
        found = np.ravel(tensors.get(name, values))
        if found.shape != values.ravel().shape or not np.allclose(found, values.ravel(), atol=1e-3):
            raise ValueError(
                f"{name}: expected {shorten(values.ravel().tolist(), 60)}, as in a published "
                f"RetinaNet, got {shorten(found.tolist(), 60)}"
            )


def _design(weights: Mapping[Place, np.ndarray], source: Source) -> ResNetDesign:
    """Return what the ResNet of some weights is built of.

    Raises:
        ValueError: if they are no ResNet of four stages.
    """
    blocks = {match.groups() for layer, _ in weights if (match := _BLOCK.fullmatch(layer))}
    counts = Counter(stage for stage, _ in blocks)
    kernel = weights.get(("stage1_0_2_conv", "kernel"))
    width, in_group = (0, 0) if kernel is None or kernel.ndim != 4 else kernel.shape[:1:-1]
    if len(blocks) > _MAX_BLOCKS:
        raise ValueError(
            f"expected a ResNet of at most {_MAX_BLOCKS} blocks, got one of {len(blocks)}"
        )
    if len(counts) != 4 or not in_group or width % in_group:
        raise ValueError(
            f"expected a ResNet or ResNeXt of four stages, got {len(blocks)} blocks in "
            f"{len(counts)} stages"
        )
    return ResNetDesign(
        counts=tuple(counts[str(stage + 1)] for stage in range(4)),
        basic=("stage1_0_3_conv", "kernel") not in weights,
        groups=width // in_group,
        width=width,
        stride_in_1x1=source.stride_in_1x1,
        epsilon=source.epsilon,
    )


_BLOCK = re.compile(r"stage([1-4])_(\d+)_\d_conv")


def _build(source: Source, design: ResNetDesign) -> RetinaNet:
    """Return a training model of a source with new weights."""
    inputs = image_input()
    padded = PadToMultiple(source.info.pad_multiple, name="padded")(inputs)
    return retinanet(
        inputs=inputs,
        backbone_layers=published_resnet(padded, design),
        num_classes=len(source.class_names),
        num_anchors=NUM_ANCHORS,
        create_pyramid_features=partial(
            create_pyramid_features,
            p6_from=source.p6_from,
            rectify_p6=source.rectify_p6,
            symmetric=True,
        ),
        submodels=default_submodels(
            len(source.class_names), NUM_ANCHORS, group_norm=source.group_norm
        ),
    )


def _assign(model: keras.Model, weights: Mapping[Place, np.ndarray]) -> None:
    """Give a model its weights.

    Raises:
        ValueError: if one is missing, is left over, is of another shape, or is not a float.
    """
    variables = {
        (layer.name, variable.name): variable
        for layer in leaf_layers(model)
        for variable in layer.weights
    }
    missing = [place for place in variables if place not in weights]
    surplus = [place for place in weights if place not in variables]
    wrong = [
        place
        for place, variable in variables.items()
        if place in weights
        and (weights[place].shape != tuple(variable.shape) or weights[place].dtype.kind != "f")
    ]
    if missing or surplus or wrong:
        places = shorten(", ".join("/".join(place) for place in (*wrong, *missing, *surplus)), 120)
        raise ValueError(
            f"expected the tensors of a RetinaNet on {model.name}, got {len(missing)} missing, "
            f"{len(surplus)} left over, {len(wrong)} of another shape or type: {places}"
        )
    for place, variable in variables.items():
        variable.assign(weights[place])


def _class_names(source: Source, meta: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Return the names of the outputs: the usual ones unless the file has others."""
    described = meta.get("dataset_meta")
    given = meta.get("CLASSES") or (
        described.get("classes") if isinstance(described, Mapping) else None
    )
    if not isinstance(given, (list, tuple)) or len(given) != len(source.class_names):
        return source.class_names
    if not all(isinstance(name, str) for name in given):
        return source.class_names
    usual = [canonical(name or "") for name in source.class_names]
    if [canonical(name) for name in given] == usual:  # with underscores, in old files
        return source.class_names
    return tuple(given)
