"""Random crops, and moving an image and its annotations together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_retinanet.augmentation.transforms import (
    TransformParameters,
    apply_transform,
    transform_boxes,
    translation,
)
from keras_retinanet.geometry.boxes import area
from keras_retinanet.system.types import Annotations

Window = tuple[int, int, int, int]

# A box with a smaller share of its area left in the image shows too little of its object.
MIN_SHARE_LEFT = 0.25


@dataclass(frozen=True)
class RandomCrop:
    """Random windows to crop images to.

    A window has the aspect ratio of its image: images are grouped into batches by it, so a batch
    needs no more padding than without crops.

    Attributes:
        chance: probability of a crop, 0 to 1; else the window is the full image.
        min_share: minimum share of the image's sides that a window spans, above 0 to 1.
    """

    chance: float
    min_share: float = 0.5

    def sample(self, rng: np.random.Generator, shape: Sequence[int]) -> Window:
        """Return a random window `x1, y1, x2, y2` in integer pixels of an image `(h, w, ...)`."""
        height, width = shape[:2]
        if rng.uniform() >= self.chance:
            return 0, 0, width, height
        share = rng.uniform(self.min_share, 1)
        sides = [max(1, round(share * side)) for side in (width, height)]
        x, y = (
            int(rng.integers(full - side + 1))
            for full, side in zip((width, height), sides, strict=True)
        )
        return x, y, x + sides[0], y + sides[1]


def keep_boxes(annotations: Annotations, mask: np.ndarray) -> Annotations:
    """Return the annotations of the boxes for which a mask `(n,)` is true."""
    return {key: np.asarray(values)[mask] for key, values in annotations.items()}


def warp_and_crop(
    image: np.ndarray,
    annotations: Annotations,
    transform: np.ndarray,
    parameters: TransformParameters,
    window: Window | None = None,
) -> tuple[np.ndarray, Annotations]:
    """Return an image and its boxes moved by a matrix and cropped to a window.

    Boxes are clipped to the window, and dropped if at most a quarter of their area is inside.

    Args:
        image: array `(h, w, channels)`.
        annotations: of the image.
        transform: matrix `(3, 3)`: where each point goes.
        parameters: how pixels are computed.
        window: `x1, y1, x2, y2` in integer pixels, after the transform; None for the full image.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = window or (0, 0, width, height)
    size = x2 - x1, y2 - y1
    only_crop = np.array_equal(transform, np.eye(3))
    if only_crop and size == (width, height):
        return image, annotations
    transform = translation((-x1, -y1)) @ transform
    if only_crop:
        image = image[y1:y2, x1:x2]
    else:
        image = apply_transform(transform, image, parameters, size=size)
    boxes = transform_boxes(transform, annotations["bboxes"])
    clipped = np.clip(boxes, 0, [*size, *size])
    kept = area(clipped) > MIN_SHARE_LEFT * area(boxes)
    return image, keep_boxes({**annotations, "bboxes": clipped}, kept)
