"""SE-ResNet, SE-ResNeXt and SENet-154 (arXiv 1709.01507), with the weights of image-classifiers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_retinanet.models import blocks
from keras_retinanet.models.backbones import Backbone, build_retinanet, builder, validate_name
from keras_retinanet.models.classes import RetinaNet
from keras_retinanet.models.hdf5 import StoredWeights
from keras_retinanet.models.normalization import batch_norm


@dataclass(frozen=True)
class _Design:
    """What differs between the networks.

    Attributes:
        counts: number of blocks of each stage.
        groups: groups of the middle convolution of a block.
        widths: channels of the first and the middle convolution in the first stage.
        stride_first: whether the first convolution of a block has the stride, not the middle one.
        stem: kernel size and channels of each of the first convolutions.
        shortcut: kernel size of the shortcuts with a stride.
    """

    counts: tuple[int, ...]
    groups: int = 1
    widths: tuple[int, int] = (64, 64)
    stride_first: bool = False
    stem: tuple[tuple[int, int], ...] = ((7, 64),)
    shortcut: int = 1


_DESIGNS = {
    "seresnet50": _Design((3, 4, 6, 3), stride_first=True),
    "seresnet101": _Design((3, 4, 23, 3), stride_first=True),
    "seresnet152": _Design((3, 8, 36, 3), stride_first=True),
    "seresnext50": _Design((3, 4, 6, 3), groups=32, widths=(128, 128)),
    "seresnext101": _Design((3, 4, 23, 3), groups=32, widths=(128, 128)),
    "senet154": _Design(
        (3, 8, 36, 3), 64, (128, 256), stem=((3, 64), (3, 64), (3, 128)), shortcut=3
    ),
}


class SeBackbone(Backbone):
    """A network with squeeze and excitation."""

    names = ("seresnet18", "seresnet34", *_DESIGNS)


def senet_retinanet(
    num_classes: int,
    backbone: str = "seresnext50",
    inputs: keras.KerasTensor | None = None,
    modifier: Callable[[keras.Model], keras.Model] | None = None,
    **kwargs: Any,
) -> RetinaNet:
    """Return a training model on one of them; see `models.backbones.build_retinanet`."""
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


def features(name: str, inputs: keras.KerasTensor, *, freeze_bn: bool = True) -> keras.Model:
    """Return the network of a name without its classifier; see `applications.features`.

    Returns:
        Model with the outputs C2 (stride 4) to C5 (stride 32), each the last tensor of its stride.
    """
    design = _DESIGNS[name]

    def unit(
        x: keras.KerasTensor,
        filters: int,
        size: int,
        name: str,
        relu: bool = True,
        **options: Any,
    ) -> keras.KerasTensor:
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
    model = keras.Model(inputs, x)
    outputs = [model.get_layer(stage).output for stage in _stages(design)]
    return keras.Model(inputs, outputs, name=name)


def _stages(design: _Design) -> list[str]:
    """Return the names of the layers whose outputs are C2 to C5."""
    ends = [f"stage{i}_unit{count}_relu" for i, count in enumerate(design.counts, 1)]
    if design.stride_first:
        return ends
    # The next block convolves once more before its stride.
    return [*(f"stage{i}_unit1_1_relu" for i in (2, 3, 4)), ends[-1]]


def _block(
    x: keras.KerasTensor,
    design: _Design,
    stage: int,
    prefix: str,
    strides: int,
    unit: Callable[..., keras.KerasTensor],
) -> keras.KerasTensor:
    """Return the output of a block: 1x1, 3x3 and 1x1 convolutions, weighted, plus a shortcut.

    Args:
        x: input of the block.
        design: of the network.
        stage: index of the stage, from 0.
        prefix: of the layer names, such as "stage1_unit1".
        strides: stride of the block.
        unit: function that adds a convolution, its normalisation and a ReLU.
    """
    first, middle = (width * 2**stage for width in design.widths)
    first_stride, middle_stride = (strides, 1) if design.stride_first else (1, strides)
    y = unit(x, first, 1, f"{prefix}_1", strides=first_stride)
    y = unit(y, middle, 3, f"{prefix}_2", strides=middle_stride, groups=design.groups)
    y = unit(y, 256 * 2**stage, 1, f"{prefix}_3", relu=False)
    if prefix.endswith("unit1"):
        size = design.shortcut if stage else 1
        x = unit(x, 256 * 2**stage, size, f"{prefix}_0", relu=False, strides=strides)
    y = blocks.squeeze_excite(y, f"{prefix}_se")
    return blocks.relu(keras.layers.Add(name=f"{prefix}_add")([y, x]), f"{prefix}_relu")


def translate(stored: StoredWeights, model: keras.Model) -> StoredWeights:
    """Return weights of image-classifiers under our names.

    That package has one convolution per group; their kernels are concatenated.

    Args:
        stored: what `hdf5.stored_weights` returned.
        model: a model on a network of this module.
    """
    design = _DESIGNS[model.info.backbone]
    order = {
        "conv2d": list(_convolutions(design)),
        "batch_normalization": list(_norms(design)),
    }
    renamed = blocks.rename_numbered_layers(stored, order)
    for name in order["conv2d"]:
        layer, _, group = name.partition("#")
        if group == "0" and name in renamed:
            parts = [renamed.pop(f"{layer}#{i}")[0][1][()] for i in range(design.groups)]
            renamed[layer] = [("kernel", np.concatenate(parts, axis=-1))]
    return renamed


def _convolutions(design: _Design) -> Iterator[str]:
    """Yield our names of the convolutions in image-classifiers' order, "name#i" for group i."""
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


def _norms(design: _Design) -> Iterator[str]:
    """Yield our names of the normalisations in image-classifiers' order."""
    yield from (f"stem{i + 1}_bn" for i in range(len(design.stem)))
    for prefix in _prefixes(design):
        yield from (f"{prefix}_{i}_bn" for i in (1, 2, 3))
        if prefix.endswith("unit1"):
            yield f"{prefix}_0_bn"


def _prefixes(design: _Design) -> Iterator[str]:
    for stage, count in enumerate(design.counts):
        yield from (f"stage{stage + 1}_unit{i + 1}" for i in range(count))
