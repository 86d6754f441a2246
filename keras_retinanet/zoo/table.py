"""The published checkpoints that have a name here: where they are and what they detect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_TORCHVISION = "https://download.pytorch.org/models"
_DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/COCO-Detection"
_MMDETECTION = "https://download.openmmlab.com/mmdetection/v2.0/retinanet"
_KERAS_RETINANET = "https://github.com/fizyr/keras-retinanet/releases/download/0.5.1"


@dataclass(frozen=True)
class Entry:
    """A published checkpoint.

    Attributes:
        name: what a user types.
        source: the library that trained it.
        backbone: the network below the pyramid.
        classes: the data set whose classes the outputs are, and how many outputs there are.
        parameters: number of weights; in memory each takes four bytes.
        url: the address of the file.
        licence: of the weights.
        average_precision: AP on COCO's val2017 in percent, as published; None if none is.
        size: of the file in bytes; None if not known.
        sha256: the first digits of the file's SHA-256 in hexadecimal, or all of them; None if not
            known.
        image_sides: minimum and maximum side to which its images were resized, where the file does
            not say so and they are not the usual 800 and 1333.
    """

    name: str
    source: str
    backbone: str
    classes: str
    parameters: int
    url: str
    licence: str
    average_precision: float | None = None
    size: int | None = None
    sha256: str | None = None
    image_sides: tuple[int, int] | None = None

    @property
    def file_name(self) -> str:
        """The name of the file at the address."""
        return self.url.rpartition("/")[2]


def _mmdetection(
    name: str, backbone: str, parameters: int, average_precision: float, path: str
) -> Entry:
    """Return a checkpoint of MMDetection, whose name ends in eight digits of the file's SHA-256."""
    return Entry(
        name,
        "MMDetection",
        backbone,
        "COCO, 80",
        parameters,
        f"{_MMDETECTION}/{path}",
        "Apache-2.0",
        average_precision,
        sha256=path.rpartition("-")[2].removesuffix(".pth"),
    )


def _detectron2(
    name: str, backbone: str, parameters: int, average_precision: float, path: str
) -> Entry:
    """Return a checkpoint of detectron2; the digits in its name are no checksum."""
    return Entry(
        name,
        "detectron2",
        backbone,
        "COCO, 80",
        parameters,
        f"{_DETECTRON2}/{path}",
        "CC BY-SA 3.0",
        average_precision,
    )


_ALL = (
    Entry(
        "torchvision_resnet50_v2",
        "torchvision",
        "ResNet-50-FPN",
        "COCO, 91",
        38_198_935,
        f"{_TORCHVISION}/retinanet_resnet50_fpn_v2_coco-5905b1c5.pth",
        "BSD-3-Clause",
        41.5,
        153_130_989,
        "5905b1c544219215e544dbe319720397bc4e68de61a733a59350d7976645b769",
    ),
    Entry(
        "torchvision_resnet50",
        "torchvision",
        "ResNet-50-FPN",
        "COCO, 91",
        34_014_999,
        f"{_TORCHVISION}/retinanet_resnet50_fpn_coco-eeacb38b.pth",
        "BSD-3-Clause",
        36.4,
        136_595_076,
        "eeacb38b7cec8cf93c57867e05eaab621047f19b0d2ec5accaa405f690da15b7",
    ),
    _detectron2(
        "detectron2_resnet50",
        "ResNet-50-FPN",
        37_968_692,
        38.7,
        "retinanet_R_50_FPN_3x/190397829/model_final_5bd44e.pkl",
    ),
    _detectron2(
        "detectron2_resnet101",
        "ResNet-101-FPN",
        56_960_820,
        40.4,
        "retinanet_R_101_FPN_3x/190397697/model_final_971ab9.pkl",
    ),
    _mmdetection(
        "mmdet_resnet18",
        "ResNet-18-FPN",
        21_410_100,
        31.7,
        "retinanet_r18_fpn_1x_coco/retinanet_r18_fpn_1x_coco_20220407_171055-614fd399.pth",
    ),
    _mmdetection(
        "mmdet_resnet50",
        "ResNet-50-FPN",
        37_968_692,
        39.5,
        "retinanet_r50_fpn_mstrain_3x_coco/"
        "retinanet_r50_fpn_mstrain_3x_coco_20210718_220633-88476508.pth",
    ),
    _mmdetection(
        "mmdet_resnet101",
        "ResNet-101-FPN",
        56_960_820,
        41.0,
        "retinanet_r101_fpn_mstrain_3x_coco/"
        "retinanet_r101_fpn_mstrain_3x_coco_20210720_214650-7ee888e0.pth",
    ),
    _mmdetection(
        "mmdet_resnext101_64x4d",
        "ResNeXt-101-64x4d-FPN",
        95_866_932,
        41.6,
        "retinanet_x101_64x4d_fpn_mstrain_3x_coco/"
        "retinanet_x101_64x4d_fpn_mstrain_3x_coco_20210719_051838-022c2187.pth",
    ),
    Entry(
        "fizyr_resnet50",
        "keras-retinanet",
        "ResNet-50-FPN",
        "COCO, 80",
        37_968_692,
        f"{_KERAS_RETINANET}/resnet50_coco_best_v2.1.0.h5",
        "Apache-2.0",
        35.0,
    ),
    Entry(
        "fizyr_resnet101_oid",
        "keras-retinanet",
        "ResNet-101-FPN",
        "Open Images, 500",
        65_673_720,
        f"{_KERAS_RETINANET}/resnet101_oid_v1.0.0.h5",
        "Apache-2.0",
        image_sides=(768, 1024),
    ),
    Entry(
        "fizyr_resnet152_oid",
        "keras-retinanet",
        "ResNet-152-FPN",
        "Open Images, 500",
        81_317_368,
        f"{_KERAS_RETINANET}/resnet152_oid_v1.0.0.h5",
        "Apache-2.0",
        image_sides=(600, 800),
    ),
)

ENTRIES: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in _ALL})
# Other names of entries: `coco` is the best one that fits a small GPU.
ALIASES: Mapping[str, str] = MappingProxyType({"coco": "torchvision_resnet50_v2"})
# All that a user may type.
NAMES = (*ALIASES, *ENTRIES)


def is_name(text: str) -> bool:
    """Return whether a text is the name of a published checkpoint."""
    return text in NAMES


def find(name: str) -> Entry:
    """Return the checkpoint of a name.

    Raises:
        KeyError: if there is none.
    """
    return ENTRIES[ALIASES.get(name, name)]
