"""Changes of a sample: an image and its annotations together.

Annotations are `{"labels": (n,), "bboxes": (n, 4)}` and whatever else has one entry for each box.
"""

from dataclasses import dataclass

import numpy as np

from keras_retinanet.augmentation.transforms import apply_transform, transform_boxes, translation
from keras_retinanet.geometry.boxes import area

# A box of which less than this is left in the image shows too little of its object.
MIN_SHARE_LEFT = 0.25


@dataclass(frozen=True)
class RandomCrop:
    """Draws windows to crop images to.

    A window has the proportions of the image, so that the images of a batch, which are grouped by
    them, need no more padding than before.

    Attributes:
        chance: 0 to 1; else the window is the whole image.
        min_share: least share of the image's sides that a window spans, above 0 to 1.
    """

    chance: float
    min_share: float = 0.5

    def sample(self, rng, shape) -> tuple[int, int, int, int]:
        """Return a window `x1, y1, x2, y2` in whole pixels of an image `(h, w, ...)`."""
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


def keep_boxes(annotations, mask) -> dict:
    """Return the annotations of the boxes for which a mask `(n,)` is true."""
    return {key: np.asarray(values)[mask] for key, values in annotations.items()}


def warp_and_crop(image, annotations, transform, parameters, window=None):
    """Return an image and its boxes moved by a matrix and cropped to a window.

    Boxes are clipped to what is left of the image, and dropped when less than a quarter of them is.

    Args:
        image: array `(h, w, channels)`.
        annotations: of the image.
        transform: matrix `(3, 3)`: where each point goes.
        parameters: a `TransformParameters`.
        window: `x1, y1, x2, y2` in whole pixels, after the transform; None for the whole image.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = window or (0, 0, width, height)
    size = x2 - x1, y2 - y1
    stays = np.array_equal(transform, np.eye(3))
    if stays and size == (width, height):
        return image, annotations
    transform = translation((-x1, -y1)) @ transform
    moved = (
        image[y1:y2, x1:x2] if stays else apply_transform(transform, image, parameters, size=size)
    )
    boxes = transform_boxes(transform, annotations["bboxes"])
    clipped = np.clip(boxes, 0, [*size, *size])
    kept = area(clipped) > MIN_SHARE_LEFT * area(boxes)
    return moved, keep_boxes({**annotations, "bboxes": clipped}, kept)
