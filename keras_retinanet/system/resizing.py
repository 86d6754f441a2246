"""Rules by which libraries resize images: the size that they choose, and how they resample.

A model that was trained by another library sees images like those that it was trained on only if
they are resized by that library's rule. All are bilinear.

| rule | scale | sides of the result | resampling |
| --- | --- | --- | --- |
| keras_retinanet | the smaller of two | rounded | OpenCV's, without antialiasing |
| torchvision | the smaller of two | rounded down | of float32, without antialiasing |
| detectron2 | of the shorter side, then of the longer | rounded | Pillow's, with antialiasing |
| mmdet | the smaller of two | rounded | OpenCV's, without antialiasing |

Sides are whole pixels, so the factors on width and height differ a little: torchvision makes
1083 x 800 pixels of 275 x 203, 3.938 and 3.941 times as many. Its boxes, and those of the two below
it, are scaled by both. The rule of keras-retinanet scales boxes by one factor, and samples by it.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
from PIL import Image

from keras_retinanet.system import arrays
from keras_retinanet.system.limits import MAX_PIXELS

# Resized pixels per original pixel: one number, or an array `(4,)` of factors on x, y, x, y. Boxes
# `(n, 4)` can be multiplied by either, or divided.
Scale = float | np.ndarray
# Height, width, minimum and maximum side -> height and width of the resized image.
SizeRule = Callable[[int, int, float, float], tuple[int, int]]
# Image, height, width -> image of that height and width.
Resample = Callable[[np.ndarray, int, int], np.ndarray]


def compute_resize_scale(
    image_shape: Sequence[int], min_side: float = 800, max_side: float = 1333
) -> float:
    """Return the factor that makes the shorter side `min_side`, the longer at most `max_side`.

    Args:
        image_shape: `(height, width, ...)`.
        min_side: pixels of the shorter side.
        max_side: maximum pixels of the longer side; takes precedence over `min_side`.
    """
    sides = image_shape[:2]
    return min(min_side / min(sides), max_side / max(sides))


def _resize_by_one_factor(
    image: np.ndarray, min_side: float, max_side: float
) -> tuple[np.ndarray, float]:
    """Return an image resized as in keras-retinanet 1.0.0, and the factor."""
    scale = compute_resize_scale(image.shape, min_side=min_side, max_side=max_side)
    if scale == 1:
        return image, scale
    height, width = image.shape[:2]
    _check_pixels(height, width, height * width * scale**2, min_side, max_side)
    if min(height, width) * scale < 1:
        # A very long, thin image keeps one pixel on its short side.
        size = [max(1, round(side * scale)) for side in (width, height)]
        return cv2.resize(image, size), scale
    sides = [round(side * scale) for side in (height, width)]
    out = arrays.empty((*sides, *image.shape[2:]), image.dtype)
    return cv2.resize(image, None, dst=out, fx=scale, fy=scale), scale


def _resize_by(
    size_rule: SizeRule,
    resample: Resample,
    image: np.ndarray,
    min_side: float,
    max_side: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return an image resized by a rule, and the factors on its sides.

    Args:
        size_rule: chooses the size; a side keeps at least one pixel, whatever it chooses.
        resample: makes the image; not called where the size stays.
        image: array `(h, w)` or `(h, w, c)`.
        min_side: pixels of the shorter side.
        max_side: maximum pixels of the longer side.

    Returns:
        The image, and float64 `(4,)`: the factors on x, y, x, y.

    Raises:
        ValueError: if the resized image would have more than `MAX_PIXELS` pixels.
    """
    height, width = image.shape[:2]
    new_height, new_width = (max(1, side) for side in size_rule(height, width, min_side, max_side))
    _check_pixels(height, width, new_height * new_width, min_side, max_side)
    factors = np.tile([new_width / width, new_height / height], 2)
    if (new_height, new_width) == (height, width):
        return image, factors
    return resample(image, new_height, new_width), factors


def _check_pixels(height: int, width: int, pixels: float, min_side: float, max_side: float) -> None:
    """Raise ValueError if an image would have more than `MAX_PIXELS` pixels after resizing."""
    if pixels > MAX_PIXELS:
        scale = math.sqrt(pixels / (height * width))
        raise ValueError(
            f"expected an image that has at most {MAX_PIXELS} pixels after resizing, got one of "
            f"{width} x {height}, {scale:.3g} times as large for sides {min_side} and {max_side}"
        )


def torchvision_size(height: int, width: int, min_side: float, max_side: float) -> tuple[int, int]:
    """Return the height and width that torchvision resizes an image to."""
    scale = compute_resize_scale((height, width), min_side, max_side)
    # The order matters: 334 * (800 / 334) is less than 800 and becomes 799, as in torchvision.
    return math.floor(height * scale), math.floor(width * scale)


def detectron2_size(height: int, width: int, min_side: float, max_side: float) -> tuple[int, int]:
    """Return the height and width that detectron2 resizes an image to."""
    shorter, longer = min_side, min_side / min(height, width) * max(height, width)
    if longer > max_side:
        shorter, longer = shorter * (max_side / longer), longer * (max_side / longer)
    sides = int(shorter + 0.5), int(longer + 0.5)
    return sides if height < width else sides[::-1]


def mmdet_size(height: int, width: int, min_side: float, max_side: float) -> tuple[int, int]:
    """Return the height and width that MMDetection resizes an image to."""
    scale = compute_resize_scale((height, width), min_side, max_side)
    return int(height * scale + 0.5), int(width * scale + 0.5)


def bilinear_float(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an image resized as PyTorch does it, float32: bilinear, without antialiasing.

    torchvision normalises first, which is a linear function of each pixel and so may come later.
    The result is not rounded.
    """
    return bilinear(image.astype("float32", copy=False), height, width)


def bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an image resized by OpenCV: bilinear, without antialiasing; its dtype stays."""
    out = arrays.empty((height, width, *image.shape[2:]), image.dtype)
    return cv2.resize(image, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)


def bilinear_antialiased(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an image resized by Pillow: bilinear, with antialiasing where it shrinks.

    uint8 images stay uint8; others become float32.
    """

    def resized(pixels: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(pixels)
        return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))

    dtype = "uint8" if image.dtype == np.uint8 else "float32"
    out = arrays.empty((height, width, *image.shape[2:]), dtype)
    if dtype == "uint8" and image.shape[2:] == (3,):  # BGR or RGB makes no difference
        out[:] = resized(image)
        return out
    channels, results = (array.reshape(*array.shape[:2], -1) for array in (image, out))
    for i in range(channels.shape[-1]):
        results[..., i] = resized(channels[..., i].astype(dtype))
    return out


# Of each rule of `images.resize_image`: the function of image, minimum and maximum side that
# returns the resized image and its scale.
RESIZE_RULES: dict[str, Callable[[np.ndarray, float, float], tuple[np.ndarray, Scale]]] = {
    "keras_retinanet": _resize_by_one_factor,
    "torchvision": partial(_resize_by, torchvision_size, bilinear_float),
    "detectron2": partial(_resize_by, detectron2_size, bilinear_antialiased),
    "mmdet": partial(_resize_by, mmdet_size, bilinear),
}
