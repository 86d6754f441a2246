"""The options that say how images are changed at random, for every command that does so."""

import argparse
from collections.abc import Collection, Mapping
from dataclasses import replace

from keras_retinanet.augmentation.settings import (
    RANDOM_TRANSFORM,
    SETTING_SPECS,
    USUAL,
    AugmentationSettings,
)
from keras_retinanet.bin.common import flag


def add_options(
    parser: argparse.ArgumentParser,
    *,
    but: Collection[str] = (),
    usual: AugmentationSettings = USUAL,
) -> None:
    """Add `--random-transform` and a flag for each setting.

    Args:
        parser: where to add them.
        but: settings that the command does not have.
        usual: the settings without these options.
    """
    group = parser.add_argument_group(
        "augmentation",
        "All but --random-transform may also be set in the section [augmentation] of --config, as "
        "in rotation = -0.1 0.1; a flag takes precedence.",
    )
    group.add_argument(
        "--random-transform",
        action="store_true",
        help="rotate, shift, shear, scale, flip and recolour images",
    )
    for name, spec in SETTING_SPECS.items():
        if name in but:
            continue
        ends = {"nargs": 2, "metavar": ("MIN", "MAX")} if spec.count == 2 else {"metavar": "X"}
        value = getattr(usual, name)
        is_changed = value != getattr(AugmentationSettings, name)
        default = f" (default: {value:g})" if is_changed else ""
        group.add_argument(flag(name), type=float, help=spec.help + default, **ends)


def given(options: argparse.Namespace) -> dict:
    """Return the settings given on the command line.

    Raises:
        ValueError: naming the flag.
    """
    values = {}
    for name, spec in SETTING_SPECS.items():
        numbers = getattr(options, name, None)
        if numbers is not None:
            try:
                values[name] = spec.read(numbers if spec.count == 2 else [numbers])
            except ValueError as error:
                raise ValueError(f"{flag(name)}: {error}") from None
    return values


def settings(
    options: argparse.Namespace,
    in_file: Mapping | None = None,
    usual: AugmentationSettings = USUAL,
) -> AugmentationSettings:
    """Return the settings of a command's options and config file.

    A flag takes precedence over the file, the file over `--random-transform` (or its absence).

    Args:
        options: parsed options.
        in_file: the settings in the section [augmentation], as `Config.augmentation`.
        usual: the settings without `--random-transform`, which keeps their mosaics.

    Raises:
        ValueError: naming the flag or the setting in the file, if a value is wrong or does not go
            with the others.
    """
    flags = given(options)
    chosen = {**(in_file or {}), **flags}
    more = replace(RANDOM_TRANSFORM, mosaic=usual.mosaic)
    found = replace(more if options.random_transform else usual, **chosen)
    problems = {
        "crop_min_share": (
            "random_crop" not in chosen,
            "expected random_crop, the chance of a crop, too",
        ),
        "scale_range": (getattr(options, "no_resize", False), "has no effect with --no-resize"),
    }
    for name, (is_wrong, message) in problems.items():
        if name in chosen and is_wrong:
            place = flag(name) if name in flags else f"{options.config}: [augmentation] {name}"
            raise ValueError(f"{place}: {message}")
    return found
