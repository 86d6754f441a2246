"""Random changes of training images: affine transforms (image and boxes together) and colours.

A transform is a homogeneous 3x3 matrix that moves a point `(x, y)` of the image to its new place.
Matrices for single steps are made here under the names keras-retinanet has always had.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

DEFAULT_PRNG = np.random

BORDER_MODES = {
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
    "wrap": cv2.BORDER_WRAP,
}
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos4": cv2.INTER_LANCZOS4,
}


def rotation(angle):
    """Return a rotation by `angle` radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])


def translation(translation):
    """Return a shift by the two numbers x, y."""
    return np.array([[1, 0, translation[0]], [0, 1, translation[1]], [0, 0, 1.0]])


def shear(angle):
    """Return a shear along x by `angle` radians."""
    return np.array([[1, -np.sin(angle), 0], [0, np.cos(angle), 0], [0, 0, 1.0]])


def scaling(factor):
    """Return a scaling by the two factors for x and y."""
    return np.diag([factor[0], factor[1], 1.0])


def random_rotation(min, max, prng=DEFAULT_PRNG):
    """Return a rotation by `min` to `max` radians."""
    return rotation(prng.uniform(min, max))


def random_translation(min, max, prng=DEFAULT_PRNG):
    """Return a shift between the vectors `min` and `max`."""
    return translation(_uniform(min, max, prng))


def random_shear(min, max, prng=DEFAULT_PRNG):
    """Return a shear by `min` to `max` radians."""
    return shear(prng.uniform(min, max))


def random_scaling(min, max, prng=DEFAULT_PRNG):
    """Return a scaling between the vectors `min` and `max`."""
    return scaling(_uniform(min, max, prng))


def _uniform(min, max, prng):
    """Return a number between each of `min` and each of `max`."""
    return [prng.uniform(*ends) for ends in zip(min, max, strict=True)]


def random_flip(flip_x_chance, flip_y_chance, prng=DEFAULT_PRNG):
    """Return a mirroring along x with one chance and along y with another (0 to 1)."""
    chances = flip_x_chance, flip_y_chance
    return scaling([-1 if prng.uniform() < chance else 1 for chance in chances])


def random_transform(
    min_rotation=0,
    max_rotation=0,
    min_translation=(0, 0),
    max_translation=(0, 0),
    min_shear=0,
    max_shear=0,
    min_scaling=(1, 1),
    max_scaling=(1, 1),
    flip_x_chance=0,
    flip_y_chance=0,
    prng=DEFAULT_PRNG,
):
    """Return the product of a random rotation, translation, shear, scaling and flip, in this order.

    Angles are radians; a generator reads the translation as a share of the image's width and
    height unless its `TransformParameters` say otherwise.
    """
    return (
        random_rotation(min_rotation, max_rotation, prng)
        @ random_translation(min_translation, max_translation, prng)
        @ random_shear(min_shear, max_shear, prng)
        @ random_scaling(min_scaling, max_scaling, prng)
        @ random_flip(flip_x_chance, flip_y_chance, prng)
    )


class RandomTransform:
    """An endless iterator of random transforms that can also draw with a given generator."""

    def __init__(self, prng=None, **ranges):
        """Keep the ranges, which are the arguments of `random_transform`."""
        self._prng = np.random.default_rng() if prng is None else prng
        self._ranges = ranges

    def __iter__(self):
        return self

    def __next__(self):
        return self.sample(self._prng)

    def sample(self, rng):
        """Return a transform drawn with `rng`."""
        return random_transform(prng=rng, **self._ranges)


def random_transform_generator(prng=None, **kwargs) -> RandomTransform:
    """Return an endless iterator of random transforms.

    Args:
        prng: where `next` draws from; None means a new, randomly seeded generator.
        **kwargs: the ranges and chances of `random_transform`.
    """
    return RandomTransform(prng, **kwargs)


def change_transform_origin(transform, center):
    """Return the same transform with its linear part centred on the point `center`."""
    centre = np.asarray(center)
    return translation(centre) @ transform @ translation(-centre)


def adjust_transform_for_image(transform, image, relative_translation):
    """Return a transform centred on the middle of an image.

    Args:
        transform: matrix `(3, 3)`.
        image: array `(h, w, channels)`.
        relative_translation: whether the translation is a share of width and height, not pixels.
    """
    height, width = image.shape[:2]
    adjusted = np.array(transform, "float64")
    if relative_translation:
        adjusted[:2, 2] *= [width, height]
    return change_transform_origin(adjusted, (0.5 * width, 0.5 * height))


@dataclass
class TransformParameters:
    """How pixels are filled in when an image is transformed.

    Attributes:
        fill_mode: "constant", "nearest", "reflect" or "wrap": what lies outside the image.
        interpolation: "nearest", "linear", "cubic", "area" or "lanczos4".
        cval: the value of "constant" for all channels, or one value for each.
        relative_translation: whether translations are shares of the image's sides, not pixels.
    """

    fill_mode: str = "nearest"
    interpolation: str = "linear"
    cval: float | Sequence[float] = 0
    relative_translation: bool = True

    def cvBorderMode(self):  # noqa: N802 (its name since keras-retinanet 0.1)
        """Return OpenCV's constant for the fill mode."""
        return _choose("fill_mode", self.fill_mode, BORDER_MODES)

    def cvInterpolation(self):  # noqa: N802
        """Return OpenCV's constant for the interpolation."""
        return _choose("interpolation", self.interpolation, INTERPOLATIONS)


def _choose(name, value, table):
    if value not in table:
        raise ValueError(f"expected {name} to be one of {sorted(table)}, got {value!r}")
    return table[value]


def apply_transform(matrix, image, params, *, size=None):
    """Return an image with every point moved by a matrix `(3, 3)`.

    Points are measured as boxes are: the first pixel spans 0 to 1, so a flip about the middle is an
    exact mirror image.

    Args:
        matrix: where each point of the image goes.
        image: array `(h, w)` or `(h, w, channels)`.
        params: a `TransformParameters`.
        size: width and height of the result; None means those of the image.

    Raises:
        ValueError: for an unknown fill mode or interpolation.
    """
    interpolation, border_mode = params.cvInterpolation(), params.cvBorderMode()
    whole = image.shape[1], image.shape[0]
    flip = _flip_code(matrix, *whole)
    if flip is not None and size in (None, whole):
        return cv2.flip(image, flip)  # the same pixels, in a fortieth of the time
    # OpenCV puts the centre of the first pixel at 0, not at 0.5.
    matrix = translation((-0.5, -0.5)) @ matrix @ translation((0.5, 0.5))
    return cv2.warpAffine(
        image,
        matrix[:2],
        dsize=size or whole,
        flags=interpolation,
        borderMode=border_mode,
        # OpenCV takes a single number as the value of the first channel alone.
        borderValue=(params.cval,) * 4 if np.isscalar(params.cval) else tuple(params.cval),
    )


def _flip_code(matrix, width, height) -> int | None:
    """Return OpenCV's code of the flip about the middle that a matrix is; None for all others."""
    codes = {(-1, 1): 1, (1, -1): 0, (-1, -1): -1}
    (x, _, _), (_, y, _), _ = matrix
    middle = [[x, 0, width if x < 0 else 0], [0, y, height if y < 0 else 0], [0, 0, 1]]
    return codes.get((x, y)) if np.array_equal(matrix, middle) else None


def transform_boxes(transform, boxes):
    """Return the smallest upright boxes `(n, 4)` around the transformed corners of boxes."""
    boxes = np.asarray(boxes, "float64")
    x, y = boxes[:, [0, 2, 0, 2]], boxes[:, [1, 3, 3, 1]]
    corners = np.stack([x, y, np.ones_like(x)], axis=1)
    moved = np.asarray(transform)[:2] @ corners
    return np.concatenate([moved.min(axis=2), moved.max(axis=2)], axis=1)


def transform_aabb(transform, aabb):
    """Return `transform_boxes` of the one box `aabb` as a list x1, y1, x2, y2."""
    return transform_boxes(transform, np.asarray([aabb]))[0].tolist()


def colvec(*args):
    """Return the arguments as a column `(n, 1)`."""
    return np.array([args]).T
