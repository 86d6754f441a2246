"""Box coders: what a network predicts for an anchor, and the box that a prediction stands for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_retinanet.geometry.boxes import array_module
from keras_retinanet.system.messages import shorten


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


def coder_from_dict(values: dict) -> CornerCoder:
    """Return the coder that `to_dict` described.

    Raises:
        ValueError: if the kind is unknown, or a value is malformed.
    """
    kind = values.get("kind") if isinstance(values, dict) else values
    if not isinstance(values, dict) or kind != "corner":
        raise ValueError(f"expected a box coder of the kind 'corner', got {shorten(repr(kind))}")
    return corner_coder(values.get("mean"), values.get("std"))


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
