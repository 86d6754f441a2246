import argparse
from dataclasses import replace

import pytest

from keras_retinanet.augmentation.settings import (
    FLIP_ONLY,
    RANDOM_TRANSFORM,
    SETTING_SPECS,
    USUAL,
    AugmentationSettings,
)
from keras_retinanet.bin import augmentation_options


def parse(*arguments):
    parser = argparse.ArgumentParser()
    augmentation_options.add_options(parser)
    parser.add_argument("--no-resize", action="store_true")
    parser.add_argument("--config", default="a.ini")
    return parser.parse_args(arguments)


def settings(*arguments, in_file=None):
    return augmentation_options.settings(parse(*arguments), in_file)


def test_without_options_and_with_the_old_one():
    assert settings() == USUAL
    assert settings("--random-transform") == replace(RANDOM_TRANSFORM, mosaic=USUAL.mosaic)
    assert settings("--random-transform", "--mosaic", "0") == RANDOM_TRANSFORM
    assert settings("--mosaic", "0") == FLIP_ONLY


def test_help_says_what_is_done_without_options():
    parser = argparse.ArgumentParser()
    augmentation_options.add_options(parser)
    text = " ".join(parser.format_help().split())
    assert "a flip from left to right (default: 0.5) --flip-y-chance" in text
    assert text.count("(default:") == len({"flip_x_chance", "mosaic"})


def test_every_setting_has_a_flag():
    for name, spec in SETTING_SPECS.items():
        numbers = ["0.3", "0.4"][: spec.count]
        more = ["--random-crop", "1"] if name == "crop_min_share" else []
        found = settings(augmentation_options.flag(name), *numbers, *more)
        assert getattr(found, name) == (0.3 if spec.count == 1 else (0.3, 0.4))


def test_a_flag_wins_over_the_file_and_the_file_over_random_transform():
    in_file = {"rotation": (-0.2, 0.2), "hue": (0.0, 0.0)}
    found = settings("--random-transform", "--rotation", "-0.3", "-0.1", in_file=in_file)
    assert found.rotation == (-0.3, -0.1)
    assert found.hue == (0, 0)
    assert found.shear == RANDOM_TRANSFORM.shear
    alone = settings("--flip-x-chance", "0", in_file=in_file)
    assert alone.flip_x_chance == 0
    assert alone.rotation == (-0.2, 0.2)
    assert alone.shear == (0, 0)


def test_a_command_may_leave_a_setting_out_and_have_another_default():
    parser = argparse.ArgumentParser()
    neutral = AugmentationSettings()
    augmentation_options.add_options(parser, but={"scale_range"}, usual=neutral)
    assert "--scale-range" not in parser.format_help()
    assert "(default:" not in parser.format_help()
    assert augmentation_options.settings(parser.parse_args([]), None, neutral) == neutral
    found = augmentation_options.settings(parser.parse_args(["--mosaic", "0.5"]), None, neutral)
    assert found == replace(neutral, mosaic=0.5)


@pytest.mark.parametrize(
    ("arguments", "in_file", "message"),
    [
        (["--rotation", "5", "10"], {}, "^--rotation: expected two numbers, the smaller first, in"),
        (
            ["--crop-min-share", "0.5"],
            {},
            "^--crop-min-share: expected random_crop, the chance of a",
        ),
        ([], {"crop_min_share": 0.5}, r"^a.ini: \[augmentation\] crop_min_share: expected r"),
        (["--scale-range", "1", "2", "--no-resize"], {}, "^--scale-range: has no effect with"),
        (["--copy-paste", "2"], {}, r"^--copy-paste: expected a number in 0\.\.1, got 2"),
    ],
)
def test_what_is_wrong_is_named(arguments, in_file, message):
    with pytest.raises(ValueError, match=message):
        settings(*arguments, in_file=in_file)
