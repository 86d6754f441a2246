"""How strongly training images are changed: one dataclass for `config.ini` and the commands."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

Range = tuple[float, float]


@dataclass(frozen=True)
class SettingSpec:
    """What one setting may be.

    Attributes:
        help: what it does, with its unit.
        lowest: least number.
        highest: greatest number.
        count: 1 for a number, 2 for the ends of a range.
    """

    help: str
    lowest: float
    highest: float
    count: int = 2

    def read(self, numbers: Iterable[float]) -> float | Range:
        """Return the numbers as a value of this setting.

        Raises:
            ValueError: if they are too few, too many, falling or out of bounds.
        """
        numbers = tuple(float(number) for number in numbers)
        inside = all(self.lowest <= number <= self.highest for number in numbers)
        if len(numbers) != self.count or not inside or list(numbers) != sorted(numbers):
            got = " ".join(f"{number:g}" for number in numbers) or "nothing"
            wanted = "a number" if self.count == 1 else "two numbers, the least first,"
            raise ValueError(
                f"expected {wanted} in {self.lowest:.4g}..{self.highest:.4g}, got {got}"
            )
        return numbers[0] if self.count == 1 else numbers


# The keys of [augmentation] and, with dashes, the flags of the commands.
SETTING_SPECS = {
    "flip_x_chance": SettingSpec("chance that left and right change places", 0, 1, 1),
    "flip_y_chance": SettingSpec("chance that top and bottom change places", 0, 1, 1),
    "rotation": SettingSpec("turn, in radians", -math.pi, math.pi),
    # At a right angle nothing of the height is left.
    "shear": SettingSpec("shear along x, in radians", -1.5, 1.5),
    "scaling_x": SettingSpec("factor on the width of everything in the image", 0.1, 10),
    "scaling_y": SettingSpec("factor on the height of everything in the image", 0.1, 10),
    "translation_x": SettingSpec("shift to the right, as a share of the width", -1, 1),
    "translation_y": SettingSpec("shift downwards, as a share of the height", -1, 1),
    "contrast": SettingSpec("factor on the distance from the mean colour", 0.01, 3),
    "brightness": SettingSpec("added to every pixel, as a share of white", -1, 1),
    "hue": SettingSpec("turn of the colour circle, 1 being half of it", -1, 1),
    "saturation": SettingSpec("factor on the saturation", 0.01, 10),
    "random_crop": SettingSpec("chance to keep a random part of the image only", 0, 1, 1),
    "crop_min_share": SettingSpec("least share of both sides that a crop keeps", 0.05, 1, 1),
    "scale_range": SettingSpec("factor on both image sides, drawn for each batch", 0.1, 10),
}


@dataclass(frozen=True)
class AugmentationSettings:
    """Chances, and ranges from which is drawn evenly; the defaults change nothing.

    The units stand in `SETTING_SPECS`. A range is `(minimum, maximum)`.
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

    def __post_init__(self):
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

    def generator_arguments(self) -> dict:
        """Return the arguments of a `Generator` that change its images this way."""
        from keras_retinanet.augmentation.crops import RandomCrop
        from keras_retinanet.augmentation.transforms import random_transform_generator

        x, y = self.scaling_x, self.scaling_y
        right, down = self.translation_x, self.translation_y
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
            "scale_range": None if self.scale_range == (1, 1) else self.scale_range,
        }

    def _visual_effects(self):
        from keras_retinanet.augmentation.colours import random_visual_effect_generator

        # An effect takes a factor of 0 as "leave alone", which costs nothing; a factor of 1 would
        # still go through the other colour space and round.
        contrast, saturation = (
            (0, 0) if factor == (1, 1) else factor for factor in (self.contrast, self.saturation)
        )
        ranges = (contrast, self.brightness, self.hue, saturation)
        if ranges == ((0, 0),) * 4:
            return None
        return random_visual_effect_generator(*ranges)


# Without --random-transform, and with it: as strong as they have always been.
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
