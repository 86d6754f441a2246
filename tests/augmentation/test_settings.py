import dataclasses

import numpy as np
import pytest

from keras_retinanet.augmentation.colours import random_visual_effect_generator
from keras_retinanet.augmentation.crops import RandomCrop
from keras_retinanet.augmentation.mixing import RandomMix
from keras_retinanet.augmentation.settings import (
    FLIP_ONLY,
    RANDOM_TRANSFORM,
    SETTING_SPECS,
    AugmentationSettings,
)
from keras_retinanet.augmentation.transforms import random_transform


def sampled(settings, seed=3):
    """A transform and an effect (None if there is none) of a seed."""
    arguments = settings.generator_arguments()
    effects = arguments["visual_effect_generator"]
    rng = np.random.default_rng(seed)
    return arguments["transform_generator"].sample(rng), effects and effects.sample(rng)


def test_there_is_a_knob_for_every_setting():
    assert list(SETTING_SPECS) == [field.name for field in dataclasses.fields(AugmentationSettings)]


def test_defaults_change_nothing():
    neutral = AugmentationSettings().generator_arguments()
    np.testing.assert_array_equal(sampled(AugmentationSettings())[0], np.eye(3))
    neutral.pop("transform_generator")
    assert set(neutral.values()) == {None}


def test_strong_is_random_transform_of_old():
    rng = np.random.default_rng(3)
    transform = random_transform(
        min_rotation=-0.1,
        max_rotation=0.1,
        min_translation=(-0.1, -0.1),
        max_translation=(0.1, 0.1),
        min_shear=-0.1,
        max_shear=0.1,
        min_scaling=(0.9, 0.9),
        max_scaling=(1.1, 1.1),
        flip_x_chance=0.5,
        flip_y_chance=0.5,
        prng=rng,
    )
    found, effect = sampled(RANDOM_TRANSFORM)
    np.testing.assert_array_equal(found, transform)
    assert effect == random_visual_effect_generator().sample(rng)


def test_without_it_half_the_images_are_flipped():
    flips = [sampled(FLIP_ONLY, seed)[0] for seed in range(200)]
    assert all(np.array_equal(np.abs(flip), np.eye(3)) for flip in flips)
    assert 70 < sum(flip[0, 0] == -1 for flip in flips) < 130
    assert all(flip[1, 1] == 1 for flip in flips)
    assert sampled(FLIP_ONLY)[1] is None


def test_each_setting_reaches_its_place():
    assert sampled(AugmentationSettings(translation_x=(0.2, 0.2)))[0][0, 2] == 0.2
    assert sampled(AugmentationSettings(translation_y=(0.3, 0.3)))[0][1, 2] == 0.3
    assert sampled(AugmentationSettings(scaling_x=(2, 2)))[0][0, 0] == 2
    assert sampled(AugmentationSettings(scaling_y=(3, 3)))[0][1, 1] == 3
    assert sampled(AugmentationSettings(flip_y_chance=1))[0][1, 1] == -1
    assert sampled(AugmentationSettings(rotation=(0.3, 0.3)))[0][1, 0] == np.sin(0.3)
    assert sampled(AugmentationSettings(shear=(0.3, 0.3)))[0][0, 1] == -np.sin(0.3)
    # 0 is "leave alone" for an effect.
    for name, field in {
        "contrast": "contrast_factor",
        "brightness": "brightness_delta",
        "hue": "hue_delta",
        "saturation": "saturation_factor",
    }.items():
        effect = sampled(AugmentationSettings(**{name: (0.4, 0.4)}))[1]
        assert {key for key, value in vars(effect).items() if value} == {field}
        assert getattr(effect, field) == 0.4
    arguments = AugmentationSettings(
        random_crop=0.3, crop_min_share=0.6, scale_range=(0.5, 2)
    ).generator_arguments()
    assert arguments["random_crop"] == RandomCrop(0.3, 0.6)
    assert arguments["scale_range"] == (0.5, 2)
    mixed = AugmentationSettings(mosaic=0.1, copy_paste=0.3).generator_arguments()
    assert mixed["random_mix"] == RandomMix(mosaic=0.1, copy_paste=0.3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"flip_x_chance": 1.5}, r"flip_x_chance: expected a number in 0\.\.1, got 1.5"),
        ({"rotation": (10, -10)}, r"rotation: expected two numbers, the smaller first, in -3\.142"),
        ({"rotation": 0.1}, "rotation: expected two numbers, .* got 0.1"),
        ({"scaling_y": (0, 1)}, r"scaling_y: expected .* in 0\.1\.\.10, got 0 1"),
        ({"hue": (0.2, 0.1)}, "hue: expected .* got 0.2 0.1"),
        ({"saturation": (1, float("nan"))}, "saturation: expected .* got 1 nan"),
        ({"mosaic": -0.1}, r"mosaic: expected a number in 0\.\.1, got -0.1"),
        ({"crop_min_share": (0.1, 0.2)}, "crop_min_share: expected a number in .* got 0.1 0.2"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        AugmentationSettings(**values)


def test_strong_augmentation_has_the_old_ranges():
    changes = RANDOM_TRANSFORM.generator_arguments()
    rng = np.random.default_rng(0)
    flips = [np.linalg.det(changes["transform_generator"].sample(rng)) for _ in range(400)]
    # Scales of 0.9 to 1.1 for each axis, half of them mirrored once.
    assert 0.7 < min(np.abs(flips)) < max(np.abs(flips)) < 1.22
    assert 0.4 < np.mean(np.array(flips) < 0) < 0.6
