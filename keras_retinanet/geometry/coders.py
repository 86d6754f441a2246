"""Box coders: what a network predicts for an anchor, and the box that a prediction stands for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_retinanet.geometry.boxes import array_module
from keras_retinanet.system.messages import shorten

# Sides may differ from those of an anchor by a factor of e to this power: 5e8.
_HIGHEST_LOG = 20.0


@dataclass(frozen=True)
class CornerCoder:
    """Code a box by the distances of its corners from those of an anchor.

    Each of the four values is such a distance in anchor widths (x) or heights (y), less `mean`,
    divided by `std`, so that it varies about as much as a unit Gaussian. This is the coding of
    keras-retinanet 1.0.0 and of every snapshot it wrote.

    Attributes:
        mean: four numbers, for x1, y1, x2, y2.
        std: four numbers, not 0.
    """

    mean: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    std: tuple[float, ...] = (0.2, 0.2, 0.2, 0.2)

    def __post_init__(self) -> None:
        """Turn both into tuples of floats.

        Raises:
            ValueError: if one of them is not a sequence of four numbers.
        """
        for name in ("mean", "std"):
            object.__setattr__(self, name, _four_numbers(name, getattr(self, name)))

    def encode(self, anchors: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Return what the network should predict for each anchor.

        Args:
            anchors: array or tensor `(..., 4)` with widths and heights above 0.
            boxes: array or tensor `(..., 4)`, one for each anchor.

        Returns:
            Offsets `(..., 4)` of x1, y1, x2, y2.
        """
        sides = _sides(anchors)
        offsets = [
            ((boxes[..., i] - anchors[..., i]) / sides[i % 2] - self.mean[i]) / self.std[i]
            for i in range(4)
        ]
        return array_module(anchors, boxes).stack(offsets, axis=-1)

    def decode(self, anchors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the boxes `(..., 4)` that offsets stand for; the inverse of `encode`.

        Args:
            anchors: array or tensor `(..., 4)`.
            offsets: array or tensor `(..., 4)`, as `encode` returns them.
        """
        sides = _sides(anchors)
        corners = [
            anchors[..., i] + (offsets[..., i] * self.std[i] + self.mean[i]) * sides[i % 2]
            for i in range(4)
        ]
        return array_module(anchors, offsets).stack(corners, axis=-1)

    def to_dict(self) -> dict:
        """Return the coder as plain values, for JSON."""
        return {"kind": "corner", "mean": list(self.mean), "std": list(self.std)}


@dataclass(frozen=True)
class CentreCoder:
    """Code a box by the distance of its centre from that of an anchor, and by its sides.

    The four values are the distance in x and y, in anchor widths and heights, and the logarithms of
    width and height, each divided by that of the anchor: the coding of Faster R-CNN (Girshick 2014,
    https://arxiv.org/abs/1311.2524, appendix C), which torchvision, detectron2 and MMDetection use.

    Attributes:
        max_log: upper bound on the logarithms in `decode`, which keeps boxes finite.
        clamp_below: whether `-max_log` is their lower bound.
    """

    max_log: float = math.log(1000 / 16)
    clamp_below: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError if the bound is not a number above 0, or the other value no bool."""
        number = isinstance(self.max_log, (int, float)) and not isinstance(self.max_log, bool)
        if not number or not 0 < self.max_log <= _HIGHEST_LOG:
            raise ValueError(
                f"expected max_log above 0, at most {_HIGHEST_LOG}, got {shorten(self.max_log)}"
            )
        if not isinstance(self.clamp_below, bool):
            raise ValueError(f"expected clamp_below true or false, got {shorten(self.clamp_below)}")

    def encode(self, anchors: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Return what the network should predict for each anchor.

        Args:
            anchors: array or tensor `(..., 4)` with widths and heights above 0.
            boxes: array or tensor `(..., 4)` with widths and heights above 0, one for each anchor.

        Returns:
            Offsets `(..., 4)`: x and y of the centre, logarithms of width and height.
        """
        ops = array_module(anchors, boxes)
        sides, wanted = _sides(anchors), _sides(boxes)
        moves = [
            ((boxes[..., i] + boxes[..., i + 2]) - (anchors[..., i] + anchors[..., i + 2]))
            / (2 * sides[i])
            for i in range(2)
        ]
        return ops.stack([*moves, *(ops.log(wanted[i] / sides[i]) for i in range(2))], axis=-1)

    def decode(self, anchors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the boxes `(..., 4)` that offsets stand for; the inverse of `encode`.

        Args:
            anchors: array or tensor `(..., 4)`.
            offsets: array or tensor `(..., 4)`, as `encode` returns them.
        """
        ops = array_module(anchors, offsets)
        sides = _sides(anchors)
        low, high = [], []
        for i in range(2):
            log = ops.minimum(offsets[..., i + 2], self.max_log)
            if self.clamp_below:
                log = ops.maximum(log, -self.max_log)
            centre = anchors[..., i] + (0.5 + offsets[..., i]) * sides[i]
            half = 0.5 * sides[i] * ops.exp(log)
            low.append(centre - half)
            high.append(centre + half)
        return ops.stack([*low, *high], axis=-1)

    def to_dict(self) -> dict[str, Any]:
        """Return the coder as plain values, for JSON."""
        return {"kind": "centre", "max_log": self.max_log, "clamp_below": self.clamp_below}


BoxCoder = CornerCoder | CentreCoder


def coder_from_dict(values: dict[str, Any]) -> BoxCoder:
    """Return the coder that `to_dict` described.

    Raises:
        ValueError: if the kind is unknown, or a value is malformed.
    """
    kind = values.get("kind") if isinstance(values, dict) else values
    if isinstance(values, dict) and kind == "corner":
        return corner_coder(values.get("mean"), values.get("std"))
    if isinstance(values, dict) and kind == "centre":
        default = CentreCoder()
        return CentreCoder(
            values.get("max_log", default.max_log), values.get("clamp_below", default.clamp_below)
        )
    raise ValueError(
        f"expected a box coder of the kind 'corner' or 'centre', got {shorten(repr(kind))}"
    )


def bbox_transform(
    anchors: np.ndarray,
    gt_boxes: np.ndarray,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> np.ndarray:
    """Return `CornerCoder(mean, std).encode(anchors, gt_boxes)`, as keras-retinanet 1.0.0 named it.

    Args:
        anchors: array `(..., 4)`.
        gt_boxes: array `(..., 4)`, one for each anchor.
        mean: four numbers; None means 0.
        std: four numbers; None means 0.2.

    Raises:
        ValueError: if `mean` or `std` is not a sequence of four numbers.
    """
    return corner_coder(mean, std).encode(anchors, gt_boxes)


def corner_coder(mean: Sequence[float] | None, std: Sequence[float] | None) -> CornerCoder:
    """Return a `CornerCoder`; None for an argument means its default."""
    default = CornerCoder()
    return CornerCoder(
        default.mean if mean is None else _four_numbers("mean", mean),
        default.std if std is None else _four_numbers("std", std),
    )


def _sides(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]


def _four_numbers(name: str, values: Sequence[float]) -> tuple[float, ...]:
    if not isinstance(values, (list, tuple, np.ndarray)):
        raise ValueError(
            f"Expected {name} to be a np.ndarray, list or tuple. Received: {type(values)}"
        )
    if len(values) != 4:
        raise ValueError(f"Expected {name} to hold 4 numbers. Received: {shorten(values)}")
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"Expected {name} to hold 4 numbers. Received: {shorten(values)}"
        ) from None
