"""Random changes of contrast, brightness, hue and saturation of BGR uint8 images."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from keras_retinanet.augmentation.transforms import Prng
from keras_retinanet.images import ALL_VALUES

# Minimum and maximum of a uniform distribution.
Range = tuple[float, float]


@dataclass
class VisualEffect:
    """One change of colours; 0 or None leaves that property as it is.

    Attributes:
        contrast_factor: factor on each pixel's difference from the mean pixel; 0 to 3.
        brightness_delta: added to every pixel, as a share of 255; -1 to 1.
        hue_delta: rotation of the colour circle, as a share of 180 degrees; -1 to 1.
        saturation_factor: factor on the saturation.
    """

    contrast_factor: float | None
    brightness_delta: float | None
    hue_delta: float | None
    saturation_factor: float | None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return a changed copy of a BGR uint8 image `(h, w, 3)`."""
        if self.contrast_factor or self.brightness_delta:
            mean = _mean(image)
            image = _by_table(image, lambda values: self._change_bgr(values, mean))
        if self.hue_delta or self.saturation_factor:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
            image = cv2.cvtColor(_by_table(image, self._change_hsv), cv2.COLOR_HSV2BGR)
        return image

    def _change_bgr(self, values: np.ndarray, mean: np.ndarray) -> np.ndarray:
        if self.contrast_factor:
            values = _stretch(values, self.contrast_factor, mean)
        if self.brightness_delta:
            values = adjust_brightness(values, self.brightness_delta)
        return values

    def _change_hsv(self, values: np.ndarray) -> np.ndarray:
        if self.hue_delta:
            values = adjust_hue(values, self.hue_delta)
        if self.saturation_factor:
            values = adjust_saturation(values, self.saturation_factor)
        return values


class RandomVisualEffect:
    """An endless iterator of random effects that can also use a given random generator."""

    def __init__(self, ranges: tuple[Range, Range, Range, Range]) -> None:
        """Keep the four ranges, in the order of `VisualEffect`'s attributes."""
        self._ranges = ranges

    def __iter__(self) -> "RandomVisualEffect":
        return self

    def __next__(self) -> VisualEffect:
        # As in keras-retinanet 1.0.0 the next effect follows from `numpy.random.seed`. A
        # `Generator` calls `sample` instead.
        return self.sample(np.random)

    def sample(self, rng: Prng) -> VisualEffect:
        """Return a random effect whose random numbers come from `rng`."""
        contrast, brightness, hue, saturation = (rng.uniform(*ends) for ends in self._ranges)
        return VisualEffect(contrast, brightness, hue, saturation)


def random_visual_effect_generator(
    contrast_range: Range = (0.9, 1.1),
    brightness_range: Range = (-0.1, 0.1),
    hue_range: Range = (-0.05, 0.05),
    saturation_range: Range = (0.95, 1.05),
) -> RandomVisualEffect:
    """Return an endless iterator of effects sampled uniformly from four ranges.

    Raises:
        ValueError: if a range is reversed or exceeds its limits (see `VisualEffect`).
    """
    _check_range("contrast_range", contrast_range, 0)
    _check_range("brightness_range", brightness_range, -1, 1)
    _check_range("hue_range", hue_range, -1, 1)
    _check_range("saturation_range", saturation_range, 0)
    return RandomVisualEffect((contrast_range, brightness_range, hue_range, saturation_range))


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Return a BGR image with differences from its mean pixel multiplied."""
    return _stretch(image, factor, _mean(image))


def adjust_brightness(image: np.ndarray, delta: float) -> np.ndarray:
    """Return a BGR image with `255 * delta` added to every value."""
    return _to_uint8(image + delta * 255)


def adjust_hue(image: np.ndarray, delta: float) -> np.ndarray:
    """Return an HSV uint8 image with its hue (0..179) rotated by `180 * delta`."""
    changed = image.copy()
    changed[..., 0] = np.mod(image[..., 0] + delta * 180, 180)
    return changed


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Return an HSV uint8 image with its saturation multiplied."""
    changed = image.copy()
    changed[..., 1] = _to_uint8(image[..., 1] * factor)
    return changed


def _mean(image: np.ndarray) -> np.ndarray:
    return np.array(cv2.sumElems(image)[: image.shape[2]]) / (image.shape[0] * image.shape[1])


def _stretch(values: np.ndarray, factor: float, mean: np.ndarray) -> np.ndarray:
    return _to_uint8((values - mean) * factor + mean)


def _by_table(image: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return `change(image)`, where a value of the result depends on that value alone."""
    return cv2.LUT(image, change(ALL_VALUES)) if image.dtype == np.uint8 else change(image)


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype("uint8")


def _check_range(name: str, ends: Range, minimum: float, maximum: float = np.inf) -> None:
    low, high = ends
    if not minimum <= low <= high <= maximum:
        raise ValueError(
            f"expected {name} to be two numbers, the smaller first, in {minimum}..{maximum}, "
            f"got {ends}"
        )
