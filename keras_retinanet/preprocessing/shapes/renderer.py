"""Paint a planned scene of the built-in data set as a photo-like picture.

First the background: smooth noise in several octaves with grain, lit from one side. Then marks that
are not objects (strokes, blots, writing), then the shapes with textures, rims and shadows, and last
what a camera adds: blur, exposure and sensor noise. All arithmetic is float32 on 0..255 BGR.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import cv2
import numpy as np

from keras_retinanet.preprocessing.shapes.scene import SUBPIXEL_BITS, Scene, Shape, fixed_point

# Letters and digits that do not look like a ring, a cross or a triangle.
LETTERS = "abdeghkmnprsuwyzBEGHKMNRSWZ234567"
MIN_CONTRAST = 110.0  # length of the BGR difference between a shape and what lies under it
SHADOW_REACH = 5  # pixels
# Saturations, 0..1: surroundings in photos are duller than the things that people paint.
MUTED, VIVID = (0.0, 0.4), (0.4, 1.0)
_NORMAL_QUANTILES = np.array(
    [NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)], dtype=np.float32
)


def render(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Return a picture of a scene, BGR uint8 `(scene.height, scene.width, 3)`.

    Args:
        scene: the scene.
        rng: source of all random numbers.
    """
    canvas = _background(scene.height, scene.width, rng)
    for _ in range(rng.integers(1, 6)):
        mark = _MARKS[rng.integers(len(_MARKS))]
        canvas = mark(canvas, rng)
    for shape in scene.shapes:
        canvas = _paint_shape(canvas, shape, rng)
    for _ in range(rng.integers(0, 3)):
        canvas = _stroke(canvas, rng, thickest=1)
    return _photograph(canvas, rng)


def _smooth_noise(
    height: int, width: int, channels: int, octaves: range, rng: np.random.Generator
) -> np.ndarray:
    """Return noise `(h, w, channels)` with mean 0; octave k varies over 1 / 2^k of the picture."""
    total = np.zeros((2, 2, channels), np.float32)
    for k in octaves:  # enlarging step by step makes one resize to the full size enough
        side = 2**k + 1
        grid = rng.uniform(-1, 1, (side, side, channels)).astype(np.float32)
        total = _enlarge(total, side, side) + grid * 0.6 ** (k - octaves[0])
    return _enlarge(total, height, width)


def _enlarge(image: np.ndarray, height: int, width: int) -> np.ndarray:
    larger = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    return larger.reshape(height, width, image.shape[2])  # cv2 drops a last dimension of 1


def _gaussian(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return normal noise in 256 levels, float32: several times faster than exact values."""
    levels = np.frombuffer(rng.bytes(int(np.prod(shape))), np.uint8)
    return _NORMAL_QUANTILES[levels].reshape(shape)


def _random_color(rng: np.random.Generator) -> np.ndarray:
    """Return a dull colour, as surroundings have, `(3,)` float32 BGR."""
    return _random_colors(1, rng, MUTED)[0]


def _random_colors(
    count: int, rng: np.random.Generator, saturation_range: tuple[float, float]
) -> np.ndarray:
    """Return colours of any hue, `(count, 3)` float32 BGR: grey mixed with a pure colour."""
    pure = rng.uniform(0, 1, (count, 3))
    pure -= pure.min(axis=1, keepdims=True)
    pure /= pure.max(axis=1, keepdims=True) + 1e-9
    saturation, value = rng.uniform(*saturation_range, (count, 1)), rng.uniform(45, 245, (count, 1))
    return (value * (1 - saturation + saturation * pure)).astype(np.float32)


def _light(height: int, width: int, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return factors `(h, w, 1)` around 1 that grow by `strength` in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    ys = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None, None]
    xs = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :, None]
    return 1.0 + xs * (strength * math.cos(angle)) + ys * (strength * math.sin(angle))


def _background(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    side = 33  # holds every octave; enlarged once at the end
    blend = _smooth_noise(side, side, 1, range(1, 6), rng)
    blend = 1.0 / (1.0 + np.exp(-rng.uniform(1.0, 4.0) * blend))
    first, second = _random_colors(2, rng, MUTED)
    colors = first + (second - first) * blend
    colors += rng.uniform(0, 14) * _smooth_noise(side, side, 3, range(2, 5), rng)
    canvas = _enlarge(colors, height, width)
    grain = _gaussian((height, width), rng)
    along = (int(rng.integers(1, 10)), int(rng.integers(1, 4)))  # streaks, as of wood or grass
    strength = rng.uniform(0, 12) * math.sqrt(along[0] * along[1])
    canvas += (strength * cv2.blur(grain, along))[..., None]
    canvas *= _light(height, width, rng.uniform(0, 0.9), rng)
    return canvas


def _blend(canvas: np.ndarray, color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return the canvas blended with `color` `(3,)` or `(h, w, 3)` by `alpha` `(h, w)`, 0..1."""
    return canvas + (color - canvas) * alpha[..., None]


def _lay_over(
    canvas: np.ndarray, layer: np.ndarray, opacity: float, color: np.ndarray
) -> np.ndarray:
    """Return the canvas blended with `color` `(3,)` by the uint8 `layer` `(h, w)`."""
    x, y, width, height = cv2.boundingRect(layer)
    area = (slice(y, y + height), slice(x, x + width))
    painted = canvas.copy()
    painted[area] = _blend(canvas[area], color, layer[area] * np.float32(opacity / 255))
    return painted


def _stroke(canvas: np.ndarray, rng: np.random.Generator, thickest: int = 4) -> np.ndarray:
    """Return the canvas with an open, bent line."""
    height, width = canvas.shape[:2]
    start, bend, end = rng.uniform(-0.1, 1.1, (3, 2)) * (width, height)
    t = np.linspace(0, 1, 12)[:, None]
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    layer = np.zeros((height, width), np.uint8)
    points = fixed_point((curve,))
    thickness = int(rng.integers(1, thickest + 1))
    cv2.polylines(layer, points, False, 255, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    return _lay_over(canvas, layer, rng.uniform(0.4, 0.9), _random_color(rng))


def _blot(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the canvas with a patch that has an irregular, soft border."""
    height, width = canvas.shape[:2]
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    waves = np.zeros(24)
    for k in (2, 3, 5):
        waves = waves + rng.uniform(0, 0.35) * np.sin(k * angles + rng.uniform(0, 2 * np.pi))
    radii = (
        rng.uniform(6, 22) / 4 * (1 + waves)
    )  # drawn at a quarter of the size: it is soft anyway
    center = rng.uniform(0, 0.25, 2) * (width, height)
    outline = center + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    layer = np.zeros((height // 4, width // 4), np.uint8)
    cv2.fillPoly(layer, fixed_point((outline,)), 255, cv2.LINE_AA, SUBPIXEL_BITS)
    layer = cv2.GaussianBlur(layer, (5, 5), rng.uniform(0.5, 1.3))
    layer = cv2.resize(layer, (width, height), interpolation=cv2.INTER_LINEAR)
    return _lay_over(canvas, layer, rng.uniform(0.3, 0.8), _random_color(rng))


def _writing(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the canvas with a few letters, rotated."""
    height, width = canvas.shape[:2]
    text = "".join(rng.choice(list(LETTERS), rng.integers(2, 7)))
    layer: np.ndarray = np.zeros((height, width), np.uint8)
    origin = (int(rng.uniform(-0.1, 0.7) * width), int(rng.uniform(0.1, 1.0) * height))
    font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX)[rng.integers(2)]
    cv2.putText(layer, text, origin, font, rng.uniform(0.35, 0.8), 255, 1, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-60, 60), 1.0)
    layer = cv2.warpAffine(layer, turn, (width, height))
    return _lay_over(canvas, layer, rng.uniform(0.6, 1.0), _random_color(rng))


_MARKS = (_stroke, _blot, _writing)


def _contrasting_color(under: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the first of some random colours far enough from `under` `(3,)`, or the farthest."""
    colors = _random_colors(8, rng, VIVID)
    distances = np.linalg.norm(colors - under, axis=1)
    far = np.flatnonzero(distances >= MIN_CONTRAST)
    return colors[far[0] if far.size else np.argmax(distances)]


def _plain(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    return np.zeros(shape, np.float32)


def _stripes(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    angle, period = rng.uniform(0, np.pi), rng.uniform(5, 14)
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    phase = (math.cos(angle) * xs + math.sin(angle) * ys) * (2 * math.pi / period)
    return np.clip(0.5 + 1.5 * np.sin(phase, dtype=np.float32), 0, 1)


def _checks(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    period = rng.uniform(8, 18)
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    waves = np.sin(xs * (2 * np.pi / period)) * np.sin(ys * (2 * np.pi / period))
    return np.clip(0.5 + 2.5 * waves, 0, 1).astype(np.float32)


def _clouds(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    return np.clip(0.5 + 0.8 * _smooth_noise(*shape, 1, range(2, 5), rng)[..., 0], 0, 1)


_TEXTURES = (_plain, _plain, _stripes, _checks, _clouds)


def _paint_shape(canvas: np.ndarray, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Return the canvas with a shape and its shadow, which alone leaves its box."""
    height, width = canvas.shape[:2]
    x1, y1, x2, y2 = shape.box
    pad = SHADOW_REACH * 2
    left, top = max(0, x1 - pad), max(0, y1 - pad)
    area = (slice(top, min(height, y2 + pad)), slice(left, min(width, x2 + pad)))
    patch, mask = canvas[area], shape.mask[area] * np.float32(1 / 255)
    if rng.random() < 0.5:
        patch = _shadow(patch, mask, rng)
    under = cv2.mean(patch, shape.mask[area])[:3]
    color = _contrasting_color(np.array(under, np.float32), rng)
    second = color + rng.uniform(25, 60, 3).astype(np.float32) * (1 if rng.random() < 0.5 else -1)
    texture = _TEXTURES[rng.integers(len(_TEXTURES))](mask.shape, rng)
    body = color + (second - color) * texture[..., None]
    body = body * _light(mask.shape[0], mask.shape[1], rng.uniform(0, 0.6), rng)
    if rng.random() < 0.4:
        rim = np.zeros(mask.shape, np.uint8)
        points = fixed_point(shape.outlines, (left, top))
        cv2.polylines(rim, points, True, 255, 2, cv2.LINE_AA, SUBPIXEL_BITS)
        body = _blend(body, color * rng.uniform(0.3, 0.6), rim * np.float32(1 / 255))
    painted = canvas.copy()
    painted[area] = _blend(patch, body.astype(np.float32), mask)
    return painted


def _shadow(patch: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    move = np.eye(2, 3, dtype=np.float32)
    move[:, 2] = rng.uniform(-SHADOW_REACH, SHADOW_REACH, 2)
    fallen = cv2.warpAffine(mask, move, mask.shape[::-1])
    fallen = cv2.GaussianBlur(fallen, (0, 0), rng.uniform(1.0, 2.5))
    return patch * (1 - np.float32(rng.uniform(0.2, 0.55)) * fallen[..., None])


def _photograph(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the picture that a small camera would take: blur, exposure and noise."""
    sharp = cv2.GaussianBlur(np.clip(canvas, 0, 255), (5, 5), rng.uniform(0.35, 0.8))
    gain, offset, noise = rng.uniform(0.8, 1.15), rng.uniform(-10, 10), rng.uniform(1.5, 6.0)
    grain = _gaussian(canvas.shape, rng)
    return cv2.addWeighted(sharp, gain, grain, noise, offset, dtype=cv2.CV_8U)
