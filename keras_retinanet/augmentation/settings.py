"""How strongly training images are changed: one dataclass for `config.ini` and the commands."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_retinanet.augmentation.colours import RandomVisualEffect

Range = tuple[float, float]


@dataclass(frozen=True)
class SettingSpec:
    """The allowed values of a setting.

    Attributes:
        help: what it does, with its unit.
        minimum: minimum number.
        maximum: maximum number.
        count: 1 for a number, 2 for the ends of a range.
    """

    help: str
    minimum: float
    maximum: float
    count: int = 2

    def read(self, numbers: Iterable[float]) -> float | Range:
        """Return the numbers as a value of this setting.

        Raises:
            ValueError: if they are too few, too many, in the wrong order or out of bounds.
        """
        values = [float(number) for number in numbers]
        inside = all(self.minimum <= value <= self.maximum for value in values)
        if len(values) != self.count or not inside or values != sorted(values):
            got = " ".join(f"{value:g}" for value in values) or "nothing"
            wanted = "a number" if self.count == 1 else "two numbers, the smaller first,"
            raise ValueError(
                f"expected {wanted} in {self.minimum:.4g}..{self.maximum:.4g}, got {got}"
            )
        return values[0] if self.count == 1 else (values[0], values[1])


# The keys of [augmentation] and, with dashes, the flags of the commands.
SETTING_SPECS = {
    "flip_x_chance": SettingSpec("probability of a flip from left to right", 0, 1, 1),
    "flip_y_chance": SettingSpec("probability of a flip from top to bottom", 0, 1, 1),
    "rotation": SettingSpec("rotation, in radians", -math.pi, math.pi),
    # A shear by a right angle would leave an image without height.
    "shear": SettingSpec("shear along x, in radians", -1.5, 1.5),
    "scaling_x": SettingSpec("factor on the width of the image content", 0.1, 10),
    "scaling_y": SettingSpec("factor on the height of the image content", 0.1, 10),
    "translation_x": SettingSpec("shift to the right, as a share of the width", -1, 1),
    "translation_y": SettingSpec("shift downwards, as a share of the height", -1, 1),
    "contrast": SettingSpec("factor on the difference from the mean colour", 0.01, 3),
    "brightness": SettingSpec("added to every pixel, as a share of 255", -1, 1),
    "hue": SettingSpec("rotation of the colour circle, as a share of half of it", -1, 1),
    "saturation": SettingSpec("factor on the saturation", 0.01, 10),
    "random_crop": SettingSpec("probability of a crop to a random window", 0, 1, 1),
    "crop_min_share": SettingSpec("minimum share of both sides that a crop keeps", 0.05, 1, 1),
    "scale_range": SettingSpec("factor on both image sides, sampled for each batch", 0.1, 10),
    "mosaic": SettingSpec("probability of a mosaic of the image and three others", 0, 1, 1),
    "copy_paste": SettingSpec("probability of objects pasted in from another image", 0, 1, 1),
}


@dataclass(frozen=True)
class AugmentationSettings:
    """Probabilities, and ranges that are sampled uniformly; the defaults change nothing.

    `SETTING_SPECS` describes each of them, with its unit. A range is `(minimum, maximum)`.
    """

    flip_x_chance: float = 0.0
    flip_y_chance: float = 0.0
    rotation: Range = (0.0, 0.0)
    shear: Range = (0.0, 0.0)
    scaling_x: Range = (1.0, 1.0)
    scaling_y: Range = (1.0, 1.0)
    translation_x: Range = (0.0, 0.0)
    translation_y: Range = (0.0, 0.0)
    contrast: Range = (1.0, 1.0)
    brightness: Range = (0.0, 0.0)
    hue: Range = (0.0, 0.0)
    saturation: Range = (1.0, 1.0)
    random_crop: float = 0.0
    crop_min_share: float = 0.5
    scale_range: Range = (1.0, 1.0)
    mosaic: float = 0.0
    copy_paste: float = 0.0

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ValueError: naming the setting.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            try:
                checked = SETTING_SPECS[field.name].read(
                    value if isinstance(value, Iterable) else [value]
                )
            except ValueError as error:
                raise ValueError(f"{field.name}: {error}") from None
            object.__setattr__(self, field.name, checked)

    def generator_arguments(self) -> dict[str, Any]:
        """Return the arguments of a `Generator` that change its images this way."""
        from keras_retinanet.augmentation.crops import RandomCrop
        from keras_retinanet.augmentation.mixing import RandomMix
        from keras_retinanet.augmentation.transforms import random_transform_generator

        x, y = self.scaling_x, self.scaling_y
        right, down = self.translation_x, self.translation_y
        mix = RandomMix(self.mosaic, self.copy_paste)
        return {
            "transform_generator": random_transform_generator(
                min_rotation=self.rotation[0],
                max_rotation=self.rotation[1],
                min_translation=(right[0], down[0]),
                max_translation=(right[1], down[1]),
                min_shear=self.shear[0],
                max_shear=self.shear[1],
                min_scaling=(x[0], y[0]),
                max_scaling=(x[1], y[1]),
                flip_x_chance=self.flip_x_chance,
                flip_y_chance=self.flip_y_chance,
            ),
            "visual_effect_generator": self._visual_effects(),
            "random_crop": (
                RandomCrop(self.random_crop, self.crop_min_share) if self.random_crop else None
            ),
            "random_mix": None if mix == RandomMix() else mix,
            "scale_range": None if self.scale_range == (1, 1) else self.scale_range,
        }

    def _visual_effects(self) -> "RandomVisualEffect | None":
        from keras_retinanet.augmentation.colours import random_visual_effect_generator

        # An effect leaves the saturation alone if its factor is 0. With a factor of 1 it would
        # still convert the image to another colour space and back, which takes time and rounds.
        contrast = (0.0, 0.0) if self.contrast == (1, 1) else self.contrast
        saturation = (0.0, 0.0) if self.saturation == (1, 1) else self.saturation
        if contrast == self.brightness == self.hue == saturation == (0, 0):
            return None
        return random_visual_effect_generator(contrast, self.brightness, self.hue, saturation)


# Without --random-transform, and with it, in keras-retinanet 1.0.0.
FLIP_ONLY = AugmentationSettings(flip_x_chance=0.5)
RANDOM_TRANSFORM = AugmentationSettings(
    flip_x_chance=0.5,
    flip_y_chance=0.5,
    rotation=(-0.1, 0.1),
    shear=(-0.1, 0.1),
    scaling_x=(0.9, 1.1),
    scaling_y=(0.9, 1.1),
    translation_x=(-0.1, 0.1),
    translation_y=(-0.1, 0.1),
    contrast=(0.9, 1.1),
    brightness=(-0.1, 0.1),
    hue=(-0.05, 0.05),
    saturation=(0.95, 1.05),
)
# What training does unless told otherwise: with mosaics the small sets of benchmarks/small_sets.py
# gained or stayed after 12 epochs, and did not overfit in 50 (docs/small-data.md).
USUAL = AugmentationSettings(flip_x_chance=0.5, mosaic=0.5)
