"""Where the tensors of other libraries' RetinaNets belong in the networks of `models.published`.

Each library names them in its own way. A tensor without a place is an error unless it is in a list
of those that no network needs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from keras_retinanet.system.messages import shorten

# The place of a tensor: name of a layer, name of its weight.
Place = tuple[str, str]
# What a matched name stands for: a template for `re.Match.expand`, or a function of the match.
Target = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True)
class Layout:
    """How a library names the tensors of a RetinaNet.

    Attributes:
        library: its name.
        marker: a tensor that each of its RetinaNets has, and other detectors lack.
        modules: pattern of a module's name -> name of our layer.
    """

    library: str
    marker: str
    modules: Mapping[str, Target]


@dataclass(frozen=True)
class Translated:
    """The tensors of a checkpoint under the names of our layers.

    Attributes:
        library: which library wrote them.
        weights: values by place, kernels `(height, width, in, out)`.
        ignored: name of each tensor that no network needs -> why.
    """

    library: str
    weights: dict[Place, np.ndarray]
    ignored: dict[str, str]


def _level(first: int, template: str) -> Callable[[re.Match[str]], str]:
    """Return a function that names the pyramid level of a number: with 3, 0 stands for level 3."""
    return lambda match: template.format(first + int(match[1]))


def _every_second(template: str) -> Callable[[re.Match[str]], str]:
    """Return a function for towers that count convolutions and activations: 0, 2, 4, 6."""
    # An odd number would be an activation, which has no tensors: its name stays without a layer.
    return lambda match: template.format(int(match[1]) // 2) if int(match[1]) % 2 == 0 else ""


_RESNET: dict[str, Target] = {
    r"conv1": "stem_conv",
    r"bn1": "stem_norm",
    r"layer(\d)\.(\d+)\.conv(\d)": r"stage\1_\2_\3_conv",
    r"layer(\d)\.(\d+)\.bn(\d)": r"stage\1_\2_\3_norm",
    r"layer(\d)\.(\d+)\.downsample\.0": r"stage\1_\2_shortcut_conv",
    r"layer(\d)\.(\d+)\.downsample\.1": r"stage\1_\2_shortcut_norm",
}


def _stage(template: str) -> Callable[[re.Match[str]], str]:
    """Return a function that names a layer by stage, where the library counts them from 2."""
    return lambda match: template.format(int(match[1]) - 1, *match.groups()[1:])


# torchvision wrapped the convolutions of pyramid and heads in 0.13: then a ".0" follows.
_TORCHVISION = Layout(
    "torchvision",
    "head.classification_head.cls_logits.weight",
    {
        **{rf"backbone\.body\.{pattern}": target for pattern, target in _RESNET.items()},
        r"backbone\.fpn\.inner_blocks\.([0-2])(?:\.0)?": _level(3, "C{}_reduced"),
        r"backbone\.fpn\.layer_blocks\.([0-2])(?:\.0)?": _level(3, "P{}"),
        r"backbone\.fpn\.extra_blocks\.p([67])": r"P\1",
        r"head\.(classification|regression)_head\.conv\.([0-3])\.0": r"pyramid_\1_\2",
        r"head\.(classification|regression)_head\.conv\.([0-3])\.1": r"pyramid_\1_\2_norm",
        r"head\.classification_head\.conv\.([0-6])": _every_second("pyramid_classification_{}"),
        r"head\.regression_head\.conv\.([0-6])": _every_second("pyramid_regression_{}"),
        r"head\.classification_head\.cls_logits": "pyramid_classification",
        r"head\.regression_head\.bbox_reg": "pyramid_regression",
    },
)
_DETECTRON2 = Layout(
    "detectron2",
    "head.cls_score.weight",
    {
        r"backbone\.bottom_up\.stem\.conv1": "stem_conv",
        r"backbone\.bottom_up\.stem\.conv1\.norm": "stem_norm",
        r"backbone\.bottom_up\.res([2-5])\.(\d+)\.conv(\d)": _stage("stage{}_{}_{}_conv"),
        r"backbone\.bottom_up\.res([2-5])\.(\d+)\.conv(\d)\.norm": _stage("stage{}_{}_{}_norm"),
        r"backbone\.bottom_up\.res([2-5])\.(\d+)\.shortcut": _stage("stage{}_{}_shortcut_conv"),
        r"backbone\.bottom_up\.res([2-5])\.(\d+)\.shortcut\.norm": _stage(
            "stage{}_{}_shortcut_norm"
        ),
        r"backbone\.fpn_lateral([3-5])": r"C\1_reduced",
        r"backbone\.fpn_output([3-5])": r"P\1",
        r"backbone\.top_block\.p([67])": r"P\1",
        r"head\.cls_subnet\.([0-6])": _every_second("pyramid_classification_{}"),
        r"head\.bbox_subnet\.([0-6])": _every_second("pyramid_regression_{}"),
        r"head\.cls_score": "pyramid_classification",
        r"head\.bbox_pred": "pyramid_regression",
    },
)
_MMDETECTION = Layout(
    "MMDetection",
    "bbox_head.retina_cls.weight",
    {
        **{rf"backbone\.{pattern}": target for pattern, target in _RESNET.items()},
        r"neck\.lateral_convs\.([0-2])\.conv": _level(3, "C{}_reduced"),
        r"neck\.fpn_convs\.([0-4])\.conv": _level(3, "P{}"),
        r"bbox_head\.cls_convs\.([0-3])\.conv": r"pyramid_classification_\1",
        r"bbox_head\.reg_convs\.([0-3])\.conv": r"pyramid_regression_\1",
        r"bbox_head\.retina_cls": "pyramid_classification",
        r"bbox_head\.retina_reg": "pyramid_regression",
    },
)
LAYOUTS = (_TORCHVISION, _DETECTRON2, _MMDETECTION)

# Tensors that no network needs.
_IGNORED = {
    r".*\.num_batches_tracked": "how many batches the statistics of a normalisation come from",
    r"pixel_(mean|std)": "the normalisation of images, the same in all files",
    r"anchor_generator\.cell_anchors\.\d+": "the anchors, the same in all files",
}
# Name of a tensor -> the network that has it, for messages.
_OTHERS = {
    r"roi_heads?\..*": "Faster R-CNN or Mask R-CNN",
    r"rpn(_head)?\..*": "a two-stage detector",
    r"head\.classification_head\.(conv|module_list)\..*": "SSD or FCOS",
    r"bbox_head\..*": "another detector of MMDetection",
    r"(fc|classifier|head\.fc)\..*": "a classifier",
    r"model\.\d+\..*": "YOLO",
    r"transformer\..*": "DETR",
}


def translate(tensors: Mapping[str, np.ndarray]) -> Translated:
    """Return the tensors of a RetinaNet of torchvision, detectron2 or MMDetection by place.

    Args:
        tensors: those of a checkpoint, by name.

    Raises:
        ValueError: if it is another network, or holds tensors that a RetinaNet has no place for.
    """
    layout = next((one for one in LAYOUTS if one.marker in tensors), None)
    if layout is None:
        raise ValueError(
            "expected a RetinaNet of torchvision, detectron2 or MMDetection, got "
            f"{_describe_other(tensors)}"
        )
    weights: dict[Place, np.ndarray] = {}
    ignored: dict[str, str] = {}
    unknown = []
    for name, values in tensors.items():
        place = _place(layout, name, values)
        reason = next((why for pattern, why in _IGNORED.items() if re.fullmatch(pattern, name)), "")
        if place is not None and place not in weights:
            weights[place] = values.transpose(2, 3, 1, 0) if values.ndim == 4 else values
        elif reason:
            ignored[name] = reason
        else:
            unknown.append(name)
    if unknown:
        raise ValueError(
            f"expected a RetinaNet as {layout.library} publishes it, got one with "
            f"{len(unknown)} other tensors: {shorten(', '.join(unknown), 120)}"
        )
    return Translated(layout.library, weights, ignored)


def _place(layout: Layout, name: str, values: np.ndarray) -> Place | None:
    """Return the place of a tensor; None if there is none."""
    module, _, kind = name.rpartition(".")
    for pattern, target in layout.modules.items():
        match = re.fullmatch(pattern, module)
        if match is None:
            continue
        layer = match.expand(target) if isinstance(target, str) else target(match)
        weight = _weight_name(kind, layer.endswith("_norm"))
        return (layer, weight) if layer and weight else None
    return None


def _weight_name(kind: str, is_norm: bool) -> str | None:
    """Return Keras's name of a weight of a convolution or normalisation; None if it has none."""
    if is_norm:
        names = {
            "weight": "gamma",
            "bias": "beta",
            "running_mean": "moving_mean",
            "running_var": "moving_variance",
        }
    else:
        names = {"weight": "kernel", "bias": "bias"}
    return names.get(kind)


def _describe_other(tensors: Mapping[str, np.ndarray]) -> str:
    """Return in words what network the tensors of a checkpoint belong to."""
    for pattern, network in _OTHERS.items():
        for name in tensors:
            if re.fullmatch(pattern, name):
                return f"{network} (it has a tensor {shorten(name, 60)})"
    return f"one of {len(tensors)} tensors: {shorten(', '.join(tensors), 120)}"
