"""Random changes of contrast, brightness, hue and saturation of BGR uint8 images."""

from dataclasses import dataclass

import cv2
import numpy as np

from keras_retinanet.images import RAMP


@dataclass
class VisualEffect:
    """One change of colours; 0 (or None) leaves that property as it is.

    Attributes:
        contrast_factor: factor on each pixel's distance from the mean pixel; 0 to 3.
        brightness_delta: added to every pixel, -1 to 1 of the full range.
        hue_delta: added to the hue, -1 to 1 of half the colour circle.
        saturation_factor: factor on the saturation.
    """

    contrast_factor: float
    brightness_delta: float
    hue_delta: float
    saturation_factor: float

    def __call__(self, image):
        """Return a changed copy of a BGR uint8 image `(h, w, 3)`."""
        if self.contrast_factor or self.brightness_delta:
            mean = _mean(image)
            image = _by_table(image, lambda values: self._change_bgr(values, mean))
        if self.hue_delta or self.saturation_factor:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
            image = cv2.cvtColor(_by_table(image, self._change_hsv), cv2.COLOR_HSV2BGR)
        return image

    def _change_bgr(self, values, mean):
        if self.contrast_factor:
            values = _stretch(values, self.contrast_factor, mean)
        if self.brightness_delta:
            values = adjust_brightness(values, self.brightness_delta)
        return values

    def _change_hsv(self, values):
        if self.hue_delta:
            values = adjust_hue(values, self.hue_delta)
        if self.saturation_factor:
            values = adjust_saturation(values, self.saturation_factor)
        return values


class RandomVisualEffect:
    """An endless iterator of random effects that can also draw with a given generator."""

    def __init__(self, ranges):
        """Keep the four ranges, in the order of `VisualEffect`'s attributes."""
        self._ranges = ranges

    def __iter__(self):
        return self

    def __next__(self):
        # As before: who seeds NumPy and asks for the next effect gets the same one. Generators draw
        # with their own.
        return self.sample(np.random)

    def sample(self, rng) -> VisualEffect:
        """Return an effect drawn with `rng`."""
        return VisualEffect(*(rng.uniform(low, high) for low, high in self._ranges))


def random_visual_effect_generator(
    contrast_range=(0.9, 1.1),
    brightness_range=(-0.1, 0.1),
    hue_range=(-0.05, 0.05),
    saturation_range=(0.95, 1.05),
) -> RandomVisualEffect:
    """Return an endless iterator of effects drawn evenly from four ranges.

    Raises:
        ValueError: if a range is reversed or leaves its limits (see `VisualEffect`).
    """
    _check_range("contrast_range", contrast_range, 0)
    _check_range("brightness_range", brightness_range, -1, 1)
    _check_range("hue_range", hue_range, -1, 1)
    _check_range("saturation_range", saturation_range, 0)
    return RandomVisualEffect((contrast_range, brightness_range, hue_range, saturation_range))


def adjust_contrast(image, factor):
    """Return a BGR image with distances from its mean pixel multiplied."""
    return _stretch(image, factor, _mean(image))


def adjust_brightness(image, delta):
    """Return a BGR image with `255 * delta` added to every value."""
    return _to_uint8(image + delta * 255)


def adjust_hue(image, delta):
    """Return an HSV uint8 image with its hue (0..179) moved around the circle by `180 * delta`."""
    changed = image.copy()
    changed[..., 0] = np.mod(image[..., 0] + delta * 180, 180)
    return changed


def adjust_saturation(image, factor):
    """Return an HSV uint8 image with its saturation multiplied."""
    changed = image.copy()
    changed[..., 1] = _to_uint8(image[..., 1] * factor)
    return changed


def _mean(image):
    return np.array(cv2.sumElems(image)[: image.shape[2]]) / (image.shape[0] * image.shape[1])


def _stretch(values, factor, mean):
    return _to_uint8((values - mean) * factor + mean)


def _by_table(image, change):
    """Return `change(image)`, where a value of the result depends on that value alone."""
    return cv2.LUT(image, change(RAMP)) if image.dtype == np.uint8 else change(image)


def _to_uint8(values):
    return np.clip(values, 0, 255).astype("uint8")


def _check_range(name, limits, lowest, highest=np.inf):
    low, high = limits
    if not lowest <= low <= high <= highest:
        raise ValueError(
            f"expected {name} to be two rising numbers in {lowest}..{highest}, got {limits}"
        )
