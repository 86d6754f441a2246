"""The shape that the images of a batch are padded to: the largest, or one of a few."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from keras_retinanet.images import BGR_MEAN
from keras_retinanet.system import arrays

STEP = 32  # what the sides in the fixed set are multiples of: the stride of C5
COARSE_STEP = 128  # the same for images that are not resized, of any size: the stride of P7
MEAN_PIXEL = np.round(BGR_MEAN).astype("uint8")
PHOTO_RATIO = 4 / 3  # of the longest side of most photos to the shortest


def largest(images) -> tuple[int, ...]:
    """Return the greatest height, width and number of channels of images `(h, w, c)`."""
    return tuple(map(max, zip(*(image.shape for image in images), strict=True)))


@functools.lru_cache
def bucket_shapes(
    min_side: float, max_side: float, factors: Sequence[float] = (1.0,)
) -> tuple[tuple[int, int], ...]:
    """Return a fixed set of shapes for batches of resized images, the smallest first.

    They are those of square images, of photos (4:3), and of the most elongated ones that reach
    `min_side`: lying, standing, and the square that holds both. Every resized image fits into one.

    Args:
        min_side: pixels of the shortest side after resizing.
        max_side: most pixels of the longest side; it wins.
        factors: what both sides are multiplied by: a set for each, since small images in a large
            shape are mostly padding.

    Returns:
        Pairs of height and width, multiples of 32.
    """
    shapes = set()
    for factor in factors:
        for ratio in (1, PHOTO_RATIO, max(1, max_side / min_side)):
            short = min(min_side, max_side / ratio)
            short, long = (_round_up(factor * side, STEP) for side in (short, short * ratio))
            shapes |= {(short, long), (long, short), (long, long)}
    return tuple(sorted(shapes, key=lambda shape: (math.prod(shape), shape)))


def bucket_of(height, width, shapes) -> tuple[int, int]:
    """Return the first of some shapes into which a batch fits.

    Args:
        height: pixels of the highest image.
        width: pixels of the widest image.
        shapes: pairs of height and width.

    Returns:
        Height and width; where the batch fits into none, its own, rounded up to multiples of 128.
    """
    for shape in shapes:
        if shape[0] >= height and shape[1] >= width:
            return shape
    return _round_up(height, COARSE_STEP), _round_up(width, COARSE_STEP)


def _round_up(side, step) -> int:
    return step * math.ceil(side / step - 1e-9)  # less what floats add


def pad(images, shape, dtype="float32") -> np.ndarray:
    """Return images as one array, padded at the right and bottom.

    The padding is 0; in images of bytes, which a network will normalise, it is ImageNet's mean
    pixel, of which that makes 0 or nearly so.

    A single image that needs nothing of the sort is not copied.

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
    for whole, image in zip(inputs, images, strict=True):
        height, width = image.shape[:2]
        whole[:height, :width] = image
        whole[:height, width:] = padding
        whole[height:] = padding
    return inputs
