"""The options that say how images are changed at random, for every command that does so."""

import argparse
from collections.abc import Mapping
from dataclasses import replace

from keras_retinanet.augmentation.settings import (
    FLIP_ONLY,
    RANDOM_TRANSFORM,
    SETTING_SPECS,
    AugmentationSettings,
)
from keras_retinanet.bin.common import flag


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--random-transform` and a flag for each setting."""
    group = parser.add_argument_group(
        "augmentation",
        "All but --random-transform may also be set in the section [augmentation] of --config, as "
        "in rotation = -0.1 0.1; a flag takes precedence.",
    )
    group.add_argument(
        "--random-transform",
        action="store_true",
        help="rotate, shift, shear, scale, flip and recolour images (default: flip them left to "
        "right)",
    )
    for name, spec in SETTING_SPECS.items():
        ends = {"nargs": 2, "metavar": ("MIN", "MAX")} if spec.count == 2 else {"metavar": "X"}
        group.add_argument(flag(name), type=float, help=spec.help, **ends)


def given(options: argparse.Namespace) -> dict:
    """Return the settings given on the command line.

    Raises:
        ValueError: naming the flag.
    """
    values = {}
    for name, spec in SETTING_SPECS.items():
        numbers = getattr(options, name)
        if numbers is not None:
            try:
                values[name] = spec.read(numbers if spec.count == 2 else [numbers])
            except ValueError as error:
                raise ValueError(f"{flag(name)}: {error}") from None
    return values


def settings(options: argparse.Namespace, in_file: Mapping | None = None) -> AugmentationSettings:
    """Return the settings of a command's options and config file.

    A flag takes precedence over the file, the file over `--random-transform` (or its absence).

    Args:
        options: parsed options.
        in_file: the settings in the section [augmentation], as `Config.augmentation`.

    Raises:
        ValueError: naming the flag or the setting in the file, if a value is wrong or does not go
            with the others.
    """
    flags = given(options)
    chosen = {**(in_file or {}), **flags}
    found = replace(RANDOM_TRANSFORM if options.random_transform else FLIP_ONLY, **chosen)
    problems = {
        "crop_min_share": (
            "random_crop" not in chosen,
            "expected random_crop, the chance of a crop, too",
        ),
        "scale_range": (options.no_resize, "has no effect with --no-resize"),
    }
    for name, (is_wrong, message) in problems.items():
        if name in chosen and is_wrong:
            place = flag(name) if name in flags else f"{options.config}: [augmentation] {name}"
            raise ValueError(f"{place}: {message}")
    return found
