"""Random affine transforms of images and their boxes.

A transform is a homogeneous 3x3 matrix that moves a point `(x, y)` of the image to its new place.
The functions for single steps have the names of keras-retinanet 1.0.0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

# Two numbers x, y.
Vector = Sequence[float] | np.ndarray


class Prng(Protocol):
    """A source of random numbers: NumPy's generators, or the module `numpy.random`."""

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a random number between `low` and `high`."""


DEFAULT_PRNG: Prng = np.random

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


def rotation(angle: float) -> np.ndarray:
    """Return a rotation by `angle` radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])


def translation(translation: Vector) -> np.ndarray:
    """Return a shift by the two numbers x, y."""
    x, y = np.ravel(translation)  # two numbers, or a column vector
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def shear(angle: float) -> np.ndarray:
    """Return a shear along x by `angle` radians."""
    return np.array([[1, -np.sin(angle), 0], [0, np.cos(angle), 0], [0, 0, 1.0]])


def scaling(factor: Vector) -> np.ndarray:
    """Return a scaling by the two factors for x and y."""
    x, y = np.ravel(factor)  # two numbers, or a column vector
    return np.diag([x, y, 1.0])


def random_rotation(min: float, max: float, prng: Prng = DEFAULT_PRNG) -> np.ndarray:
    """Return a rotation by `min` to `max` radians."""
    return rotation(prng.uniform(min, max))


def random_translation(min: Vector, max: Vector, prng: Prng = DEFAULT_PRNG) -> np.ndarray:
    """Return a shift between the vectors `min` and `max`."""
    return translation(_uniform(min, max, prng))


def random_shear(min: float, max: float, prng: Prng = DEFAULT_PRNG) -> np.ndarray:
    """Return a shear by `min` to `max` radians."""
    return shear(prng.uniform(min, max))


def random_scaling(min: Vector, max: Vector, prng: Prng = DEFAULT_PRNG) -> np.ndarray:
    """Return a scaling between the vectors `min` and `max`."""
    return scaling(_uniform(min, max, prng))


def _uniform(min: Vector, max: Vector, prng: Prng) -> list[float]:
    """Return a random number between each of `min` and each of `max`."""
    return [prng.uniform(*ends) for ends in zip(min, max, strict=True)]


def random_flip(
    flip_x_chance: float, flip_y_chance: float, prng: Prng = DEFAULT_PRNG
) -> np.ndarray:
    """Return a flip along x with one probability (0 to 1) and along y with another."""
    chances = flip_x_chance, flip_y_chance
    return scaling([-1 if prng.uniform() < chance else 1 for chance in chances])


def random_transform(
    min_rotation: float = 0,
    max_rotation: float = 0,
    min_translation: Vector = (0, 0),
    max_translation: Vector = (0, 0),
    min_shear: float = 0,
    max_shear: float = 0,
    min_scaling: Vector = (1, 1),
    max_scaling: Vector = (1, 1),
    flip_x_chance: float = 0,
    flip_y_chance: float = 0,
    prng: Prng = DEFAULT_PRNG,
) -> np.ndarray:
    """Return the product of a random rotation, translation, shear, scaling and flip, in this order.

    Angles are in radians. A `Generator` reads the translation as a share of the image's width and
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
    """An endless iterator of random transforms that can also use a given random generator."""

    def __init__(self, prng: Prng | None = None, **ranges: Any) -> None:
        """Keep the ranges, which are the arguments of `random_transform`."""
        self._prng: Prng = np.random.default_rng() if prng is None else prng
        self._ranges = ranges

    def __iter__(self) -> "RandomTransform":
        return self

    def __next__(self) -> np.ndarray:
        return self.sample(self._prng)

    def sample(self, rng: Prng) -> np.ndarray:
        """Return a random transform whose random numbers come from `rng`."""
        return random_transform(prng=rng, **self._ranges)


def random_transform_generator(prng: Prng | None = None, **kwargs: Any) -> RandomTransform:
    """Return an endless iterator of random transforms.

    Args:
        prng: where the random numbers of `next` come from; None means a new, randomly seeded
            generator.
        **kwargs: the ranges and chances of `random_transform`.
    """
    return RandomTransform(prng, **kwargs)


def change_transform_origin(transform: np.ndarray, center: Vector) -> np.ndarray:
    """Return the same transform with its linear part centred on the point `center`."""
    centre = np.asarray(center)
    return translation(centre) @ transform @ translation(-centre)


def adjust_transform_for_image(
    transform: np.ndarray, image: np.ndarray, relative_translation: bool
) -> np.ndarray:
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
    """How the pixels of a transformed image are computed.

    Attributes:
        fill_mode: what lies outside the image: "constant", "nearest", "reflect" or "wrap".
        interpolation: "nearest", "linear", "cubic", "area" or "lanczos4".
        cval: the value for "constant": one for all channels, or one for each.
        relative_translation: whether translations are shares of the image's sides, not pixels.
    """

    fill_mode: str = "nearest"
    interpolation: str = "linear"
    cval: float | Sequence[float] = 0
    relative_translation: bool = True

    def cvBorderMode(self) -> int:  # noqa: N802 (its name since keras-retinanet 0.1)
        """Return OpenCV's constant for the fill mode."""
        return _choose("fill_mode", self.fill_mode, BORDER_MODES)

    def cvInterpolation(self) -> int:  # noqa: N802
        """Return OpenCV's constant for the interpolation."""
        return _choose("interpolation", self.interpolation, INTERPOLATIONS)


def _choose(name: str, value: str, table: Mapping[str, int]) -> int:
    if value not in table:
        raise ValueError(f"expected {name} to be one of {sorted(table)}, got {value!r}")
    return table[value]


def apply_transform(
    matrix: np.ndarray,
    image: np.ndarray,
    params: TransformParameters,
    *,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Return an image with every point moved by a matrix `(3, 3)`.

    Points are measured the same as boxes: the first pixel spans 0 to 1, so a flip about the middle
    is an exact mirror image.

    Args:
        matrix: where each point of the image goes.
        image: array `(h, w)` or `(h, w, channels)`.
        params: how pixels are computed.
        size: width and height of the result; None means those of the image.

    Raises:
        ValueError: for an unknown fill mode or interpolation.
    """
    interpolation, border_mode = params.cvInterpolation(), params.cvBorderMode()
    full_size = image.shape[1], image.shape[0]
    flip = _flip_code(matrix, *full_size)
    if flip is not None and size in (None, full_size):
        return cv2.flip(image, flip)  # the same pixels, in a fortieth of the time
    # OpenCV takes a single number as the value of the first channel alone.
    values = params.cval if isinstance(params.cval, Iterable) else [params.cval] * 4
    # OpenCV puts the centre of the first pixel at 0, not at 0.5.
    matrix = translation((-0.5, -0.5)) @ matrix @ translation((0.5, 0.5))
    return cv2.warpAffine(
        image,
        matrix[:2],
        dsize=size or full_size,
        flags=interpolation,
        borderMode=border_mode,
        borderValue=tuple(values),
    )


def _flip_code(matrix: np.ndarray, width: int, height: int) -> int | None:
    """Return OpenCV's code if a matrix is a flip about the middle of the image, else None."""
    codes = {(-1, 1): 1, (1, -1): 0, (-1, -1): -1}
    (x, _, _), (_, y, _), _ = matrix
    middle = [[x, 0, width if x < 0 else 0], [0, y, height if y < 0 else 0], [0, 0, 1]]
    return codes.get((x, y)) if np.array_equal(matrix, middle) else None


def transform_boxes(transform: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the smallest upright boxes `(n, 4)` around the transformed corners of boxes."""
    boxes = np.asarray(boxes, "float64")
    x, y = boxes[:, [0, 2, 0, 2]], boxes[:, [1, 3, 3, 1]]
    corners = np.stack([x, y, np.ones_like(x)], axis=1)
    moved = np.asarray(transform)[:2] @ corners
    return np.concatenate([moved.min(axis=2), moved.max(axis=2)], axis=1)


def transform_aabb(transform: np.ndarray, aabb: Sequence[float]) -> list[float]:
    """Return `transform_boxes` of the one box `aabb` as a list x1, y1, x2, y2."""
    return transform_boxes(transform, np.asarray([aabb]))[0].tolist()


def colvec(*args: float) -> np.ndarray:
    """Return the arguments as a column `(n, 1)`."""
    return np.array([args]).T
