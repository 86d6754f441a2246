"""SE-ResNet, SE-ResNeXt and SENet-154 (arXiv 1709.01507), with the weights of image-classifiers."""

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from keras_retinanet.models import blocks
from keras_retinanet.models.backbones import Backbone, build_retinanet, builder, validate_name
from keras_retinanet.models.normalization import batch_norm


@dataclass(frozen=True)
class _Design:
    """What tells the networks apart.

    Attributes:
        counts: number of blocks of each stage.
        groups: groups of the middle convolution of a block.
        widths: channels of the first and the middle convolution in the first stage.
        early: whether the first convolution of a block has the stride, not the middle one.
        stem: sizes and channels of the first convolutions.
        shortcut: size of the kernel of the shortcuts with a stride.
    """

    counts: tuple[int, ...]
    groups: int = 1
    widths: tuple[int, int] = (64, 64)
    early: bool = False
    stem: tuple[tuple[int, int], ...] = ((7, 64),)
    shortcut: int = 1


_DESIGNS = {
    "seresnet50": _Design((3, 4, 6, 3), early=True),
    "seresnet101": _Design((3, 4, 23, 3), early=True),
    "seresnet152": _Design((3, 8, 36, 3), early=True),
    "seresnext50": _Design((3, 4, 6, 3), groups=32, widths=(128, 128)),
    "seresnext101": _Design((3, 4, 23, 3), groups=32, widths=(128, 128)),
    "senet154": _Design(
        (3, 8, 36, 3), 64, (128, 256), stem=((3, 64), (3, 64), (3, 128)), shortcut=3
    ),
}


class SeBackbone(Backbone):
    """A network with squeeze and excitation."""

    names = ("seresnet18", "seresnet34", *_DESIGNS)


def senet_retinanet(num_classes, backbone="seresnext50", inputs=None, modifier=None, **kwargs):
    """Return a training model on such a network; see `models.backbones.build_retinanet`."""
    validate_name(backbone, SeBackbone.names)
    return build_retinanet(backbone, num_classes, inputs, modifier, **kwargs)


seresnet18_retinanet = builder("seresnet18", __name__)
seresnet34_retinanet = builder("seresnet34", __name__)
seresnet50_retinanet = builder("seresnet50", __name__)
seresnet101_retinanet = builder("seresnet101", __name__)
seresnet152_retinanet = builder("seresnet152", __name__)
seresnext50_retinanet = builder("seresnext50", __name__)
seresnext101_retinanet = builder("seresnext101", __name__)
senet154_retinanet = builder("senet154", __name__)


def features(name, inputs, *, freeze_bn=True):
    """Return the network of a name without its classifier; see `applications.features`.

    Returns:
        Model with the outputs C2 (stride 4) to C5 (stride 32), each the last tensor of its stride.
    """
    design = _DESIGNS[name]

    def unit(x, filters, size, name, relu=True, **options):
        x = blocks.convolution(x, filters, size, f"{name}_conv", **options)
        x = batch_norm(f"{name}_bn", epsilon=1e-5, frozen=freeze_bn)(x)
        return blocks.relu(x, f"{name}_relu") if relu else x

    x = inputs
    for i, (size, filters) in enumerate(design.stem):
        x = unit(x, filters, size, f"stem{i + 1}", strides=1 if i else 2)
    x = blocks.pool(x, "pool0")
    for stage, count in enumerate(design.counts):
        for i in range(count):
            strides = 2 if stage and not i else 1
            x = _block(x, design, stage, f"stage{stage + 1}_unit{i + 1}", strides, unit)
    whole = keras.Model(inputs, x)
    return keras.Model(
        inputs, [whole.get_layer(stage).output for stage in _stages(design)], name=name
    )


def _stages(design) -> list[str]:
    """Return the names of the layers whose outputs are C2 to C5."""
    ends = [f"stage{i}_unit{count}_relu" for i, count in enumerate(design.counts, 1)]
    if design.early:
        return ends
    # The next block still convolves once before its stride.
    return [*(f"stage{i}_unit1_1_relu" for i in (2, 3, 4)), ends[-1]]


def _block(x, design, stage, prefix, strides, unit):
    """Return the output of a block: 1x1, 3x3 and 1x1 convolutions, weighted, beside a shortcut."""
    first, middle = (width * 2**stage for width in design.widths)
    early, late = (strides, 1) if design.early else (1, strides)
    y = unit(x, first, 1, f"{prefix}_1", strides=early)
    y = unit(y, middle, 3, f"{prefix}_2", strides=late, groups=design.groups)
    y = unit(y, 256 * 2**stage, 1, f"{prefix}_3", relu=False)
    if prefix.endswith("unit1"):
        size = design.shortcut if stage else 1
        x = unit(x, 256 * 2**stage, size, f"{prefix}_0", relu=False, strides=strides)
    y = blocks.squeeze_excite(y, f"{prefix}_se")
    return blocks.relu(keras.layers.Add(name=f"{prefix}_add")([y, x]), f"{prefix}_relu")


def translate(stored, model) -> dict:
    """Return weights of image-classifiers under our names, with the groups of layers joined.

    Args:
        stored: what `hdf5.stored_weights` returned.
        model: a model on a network of this module.
    """
    design = _DESIGNS[model.info.backbone]
    order = {
        "conv2d": list(_convolutions(design)),
        "batch_normalization": list(_norms(design)),
    }
    renamed = blocks.in_order(stored, order)
    for name in order["conv2d"]:
        layer, _, group = name.partition("#")
        if group == "0" and name in renamed:
            parts = [renamed.pop(f"{layer}#{i}")[0][1][()] for i in range(design.groups)]
            renamed[layer] = [("kernel", np.concatenate(parts, axis=-1))]
    return renamed


def _convolutions(design) -> Iterator[str]:
    """Yield the names of the convolutions as image-classifiers makes them, one for each group."""
    yield from (f"stem{i + 1}_conv" for i in range(len(design.stem)))
    for prefix in _prefixes(design):
        yield f"{prefix}_1_conv"
        if design.groups == 1:
            yield f"{prefix}_2_conv"
        else:
            yield from (f"{prefix}_2_conv#{group}" for group in range(design.groups))
        yield f"{prefix}_3_conv"
        if prefix.endswith("unit1"):
            yield f"{prefix}_0_conv"
        yield from (f"{prefix}_se_reduce", f"{prefix}_se_expand")


def _norms(design) -> Iterator[str]:
    """Yield the names of the normalisations as image-classifiers makes them."""
    yield from (f"stem{i + 1}_bn" for i in range(len(design.stem)))
    for prefix in _prefixes(design):
        yield from (f"{prefix}_{i}_bn" for i in (1, 2, 3))
        if prefix.endswith("unit1"):
            yield f"{prefix}_0_bn"


def _prefixes(design) -> Iterator[str]:
    for stage, count in enumerate(design.counts):
        yield from (f"stage{stage + 1}_unit{i + 1}" for i in range(count))
