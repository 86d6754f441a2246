"""Which shapes lie where: the geometry of a picture of the built-in data set, before any colour.

A scene is planned from back to front. The box of an object is the tight box of its full outline,
clipped to the picture, as if nothing covered it. An object is placed only where at least
`MIN_VISIBLE` of its area, and of each object below it, stays visible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

# (width, height) of the pictures and how often each occurs: half of them square, the rest not.
PICTURE_SIZES = ((128, 128), (144, 112), (112, 144), (136, 120), (120, 136), (128, 96), (96, 128))
PICTURE_SIZE_CHANCES = (0.46, 0.09, 0.09, 0.09, 0.09, 0.09, 0.09)
EMPTY_CHANCE = 0.08
# Chances to try 1, 2, ... 10 objects: crowded pictures train faster.
OBJECT_COUNT_CHANCES = (0.05, 0.06, 0.08, 0.1, 0.12, 0.14, 0.14, 0.12, 0.1, 0.09)
EXTENT = (20.0, 68.0)  # square root of width times height before rotation, in pixels, log-uniform
STRETCH = 2.0  # width over height before rotation lies in 1 / STRETCH .. STRETCH
# Most objects on photos are upright too, and training on any rotation takes several times as long:
# after 9,600 views a small network classified 73 % of held-out shapes, with this limit 93 %.
MAX_ROTATION = np.radians(15)
SIDE_LIMITS = (16, 100)  # minimum and maximum side of a box in pixels
MIN_INSIDE = 0.9  # of the area of the outline; a corner of a rectangle would look like a triangle
MIN_VISIBLE = 0.8  # of the area of the outline: inside the picture and not under other shapes
PLACING_ATTEMPTS = 12
OVERSAMPLING = 4  # finer steps in each direction when a shape's edge is drawn
SUBPIXEL_BITS = 4  # cv2 takes fixed-point coordinates: 4 bits are steps of 1/16 pixel


@dataclass(frozen=True)
class Shape:
    """One object of a scene.

    Attributes:
        label: index into `CLASS_NAMES`.
        outlines: closed outlines in pixels, each `(k, 2)` float64 x, y; a second one is a hole.
        mask: coverage by the full shape, uint8 `(h, w)`, 0..255, smooth at the edges.
        box: integers x1, y1, x2, y2; x2 and y2 are the first column and row after the shape.
    """

    label: int
    outlines: tuple[np.ndarray, ...]
    mask: np.ndarray
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """A planned picture: its size in pixels and its shapes from back to front."""

    height: int
    width: int
    shapes: tuple[Shape, ...]

    @property
    def boxes(self) -> np.ndarray:
        """Boxes `x1, y1, x2, y2` in pixels, float64 `(n, 4)`; `n` may be 0."""
        return np.array([shape.box for shape in self.shapes], dtype=np.float64).reshape(-1, 4)

    @property
    def labels(self) -> np.ndarray:
        """Labels, int64 `(n,)`, indices into `CLASS_NAMES`."""
        return np.array([shape.label for shape in self.shapes], dtype=np.int64)


def _circle(radius: float = 0.5, points: int = 48) -> np.ndarray:
    angles = np.linspace(0.0, 2.0 * np.pi, points, endpoint=False)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _polygon(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, dtype=np.float64)


def _cross(half: float = 0.17) -> np.ndarray:
    corner = np.array([(-half, -0.5), (half, -0.5), (half, -half)])
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])  # (x, y) to (-y, x): clockwise as seen
    return np.concatenate([corner @ np.linalg.matrix_power(quarter, k) for k in range(4)])


# Outlines that fill the unit square centred at 0; the order of the names is that of the labels.
# The classes differ in more than their corners: a disc and a square of 16 pixels are so alike that
# a small network takes thousands of steps to tell them apart.
_OUTLINES: dict[str, Callable[[], tuple[np.ndarray, ...]]] = {
    "ring": lambda: (_circle(), _circle(radius=0.29)),
    "rectangle": lambda: (_polygon((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)),),
    "triangle": lambda: (_polygon((0.0, -0.5), (0.5, 0.5), (-0.5, 0.5)),),
    "cross": lambda: (_cross(),),
}
CLASS_NAMES = tuple(_OUTLINES)
_UNIT_OUTLINES = tuple(make() for make in _OUTLINES.values())


def sample_size(rng: np.random.Generator) -> tuple[int, int]:
    """Return a random (width, height) of a picture, in pixels."""
    return PICTURE_SIZES[rng.choice(len(PICTURE_SIZES), p=PICTURE_SIZE_CHANCES)]


def make_shape(
    label: int,
    center: tuple[float, float],
    size: tuple[float, float],
    angle: float,
    picture: tuple[int, int],
) -> Shape | None:
    """Return a shape on a picture.

    Args:
        label: index into `CLASS_NAMES`.
        center: x, y of its centre in pixels; pixel (0, 0) covers 0..1 in both directions.
        size: width and height in pixels before rotation.
        angle: rotation in radians, clockwise in the picture.
        picture: width and height of the picture in pixels.

    Returns:
        The shape; None if it is completely outside the picture.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    outlines = tuple((unit * size) @ turn + center for unit in _UNIT_OUTLINES[label])
    mask = _coverage(outlines, picture)
    x, y, width, height = cv2.boundingRect((mask >= 128).astype(np.uint8))
    if width == 0 or height == 0:
        return None
    return Shape(label, outlines, mask, (x, y, x + width, y + height))


def _coverage(outlines: tuple[np.ndarray, ...], picture: tuple[int, int]) -> np.ndarray:
    """Return the covered fraction of each pixel, uint8 `(h, w)`, 255 for all of it.

    Drawn enlarged and averaged: OpenCV's antialiasing makes a shape half a pixel larger all round.
    """
    mask = np.zeros((picture[1], picture[0]), dtype=np.uint8)
    low = np.maximum(np.floor(outlines[0].min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(outlines[0].max(axis=0)).astype(int), picture)
    width, height = high - low
    if width > 0 and height > 0:
        fine = np.zeros((height * OVERSAMPLING, width * OVERSAMPLING), dtype=np.uint8)
        enlarged = tuple((outline - low) * OVERSAMPLING for outline in outlines)
        cv2.fillPoly(fine, fixed_point(enlarged), 255, cv2.LINE_8, SUBPIXEL_BITS)
        averaged = cv2.resize(fine, (int(width), int(height)), interpolation=cv2.INTER_AREA)
        mask[low[1] : high[1], low[0] : high[0]] = averaged
    return mask


def fixed_point(outlines: tuple[np.ndarray, ...], origin: tuple[int, int] = (0, 0)) -> list:
    """Return outlines for OpenCV, which counts from pixel centres; we count from pixel edges."""
    scale = 1 << SUBPIXEL_BITS
    return [np.rint((o - 0.5 - np.array(origin)) * scale).astype(np.int32) for o in outlines]


def full_area(shape: Shape) -> float:
    """Return the area of the full shape in square pixels, also outside the picture."""
    sizes = [cv2.contourArea(outline.astype(np.float32)) for outline in shape.outlines]
    return float(sizes[0] - sum(sizes[1:]))


def visible_fractions(shapes: list[Shape]) -> list[float]:
    """Return the fraction of each shape that is in the picture and not covered, 0..1."""
    fractions, covered = [], None
    for shape in reversed(shapes):
        inside = shape.mask >= 128
        seen = inside if covered is None else inside & ~covered
        fractions.append(min(1.0, np.count_nonzero(seen) / full_area(shape)))
        covered = inside if covered is None else covered | inside
    return fractions[::-1]


def plan_scene(width: int, height: int, rng: np.random.Generator) -> Scene:
    """Return a random scene of 0 to 10 shapes.

    Args:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        rng: source of all random numbers.
    """
    if rng.random() < EMPTY_CHANCE:
        return Scene(height, width, ())
    count = 1 + rng.choice(len(OBJECT_COUNT_CHANCES), p=OBJECT_COUNT_CHANCES)
    shapes: list[Shape] = []
    for _ in range(count):
        label = int(rng.integers(len(CLASS_NAMES)))
        for _ in range(PLACING_ATTEMPTS):
            shape = _random_shape(label, (width, height), rng)
            if shape is not None and _fits(shape, shapes):
                shapes.append(shape)
                break
    return Scene(height, width, tuple(shapes))


def _random_shape(label: int, picture: tuple[int, int], rng: np.random.Generator) -> Shape | None:
    extent = np.exp(rng.uniform(*np.log(EXTENT)))
    stretch = STRETCH ** rng.uniform(-0.5, 0.5)
    size = (extent * stretch, extent / stretch)
    center = (rng.uniform(0, picture[0]), rng.uniform(0, picture[1]))
    return make_shape(label, center, size, rng.uniform(-MAX_ROTATION, MAX_ROTATION), picture)


def _fits(shape: Shape, below: list[Shape]) -> bool:
    sides = (shape.box[2] - shape.box[0], shape.box[3] - shape.box[1])
    if min(sides) < SIDE_LIMITS[0] or max(sides) > SIDE_LIMITS[1]:
        return False
    if visible_fractions([shape])[0] < MIN_INSIDE:
        return False
    return min(visible_fractions([*below, shape])) >= MIN_VISIBLE
