"""The shape that the images of a batch are padded to: the largest, or one of a few."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from keras_retinanet.images import BGR_MEAN
from keras_retinanet.system import arrays

STEP = 32  # the sides of buckets are multiples of it: the stride of C5
COARSE_STEP = 128  # the same for images that are not resized, of any size: the stride of P7
MEAN_PIXEL = np.round(BGR_MEAN).astype("uint8")
PHOTO_RATIO = 4 / 3  # longer side divided by shorter side of most photos


def largest_shape(images: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Return the maximum height, width and number of channels of images `(h, w, c)`."""
    return tuple(map(max, zip(*(image.shape for image in images), strict=True)))


@functools.lru_cache
def bucket_shapes(
    min_side: float, max_side: float, scale_range: tuple[float, float] = (1.0, 1.0)
) -> tuple[tuple[int, int], ...]:
    """Return a fixed set of shapes for batches of resized images, the smallest first.

    These are the shapes of square images, of photos (4:3), and of the longest images that reach
    `min_side`: in landscape and portrait format, and the square that holds both. Every resized
    image fits into one of them.

    Args:
        min_side: pixels of the shorter side after resizing.
        max_side: maximum pixels of the longer side; it takes precedence over `min_side`.
        scale_range: minimum and maximum factor on both sides. There are shapes for the middle of
            the range and for its end, since small images in a large shape are mostly padding.

    Returns:
        Pairs of height and width, multiples of 32.
    """
    shapes = set()
    low, high = scale_range
    for factor in ((low + high) / 2, high):
        for ratio in (1, PHOTO_RATIO, max(1, max_side / min_side)):
            shorter = min(min_side, max_side / ratio)
            short, long = (_round_up(factor * side, STEP) for side in (shorter, shorter * ratio))
            shapes |= {(short, long), (long, short), (long, long)}
    return tuple(sorted(shapes, key=lambda shape: (math.prod(shape), shape)))


def smallest_bucket(height: int, width: int, shapes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the smallest shape into which a batch fits.

    Args:
        height: pixels of the highest image.
        width: pixels of the widest image.
        shapes: pairs of height and width, the smallest first.

    Returns:
        Height and width; where the batch fits into none, its own, rounded up to multiples of 128.
    """
    for shape in shapes:
        if shape[0] >= height and shape[1] >= width:
            return shape
    return multiples_of(COARSE_STEP, height, width)


def multiples_of(step: int, height: float, width: float) -> tuple[int, int]:
    """Return height and width rounded up to multiples of some pixels."""
    return _round_up(height, step), _round_up(width, step)


def _round_up(side: float, step: int) -> int:
    return step * math.ceil(side / step - 1e-9)  # a side that floats made a bit too long stays


def pad(images: Sequence[np.ndarray], shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Return images as one array, padded at the right and bottom.

    The padding is 0; in uint8 images, which the network will normalise, it is ImageNet's mean
    pixel, which normalising turns into about 0.

    A single image that needs no change is not copied.

    Args:
        images: list of B arrays `(h, w, c)`.
        shape: height, width and channels of the result.
        dtype: "float32" or "uint8".

    Returns:
        Array `(B, *shape)`.
    """
    first = images[0]
    fits = len(images) == 1 and first.shape == shape
    if fits and first.dtype == dtype and arrays.is_aligned(first):
        return first[None]
    padding = MEAN_PIXEL if dtype == "uint8" else 0
    inputs = arrays.empty((len(images), *shape), dtype)
    for padded, image in zip(inputs, images, strict=True):
        height, width = image.shape[:2]
        padded[:height, :width] = image
        padded[:height, width:] = padding
        padded[height:] = padding
    return inputs
