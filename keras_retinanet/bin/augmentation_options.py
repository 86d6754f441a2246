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


def add_options(parser) -> None:
    """Add `--random-transform` and a flag for each setting."""
    group = parser.add_argument_group(
        "augmentation",
        "All but the first may also stand, without dashes at the front and with _ for -, in the "
        "section [augmentation] of --config; a flag wins.",
    )
    group.add_argument(
        "--random-transform",
        action="store_true",
        help="turn, shift, shear, zoom, flip and colour images; without it they are flipped "
        "left to right",
    )
    for name, spec in SETTING_SPECS.items():
        ends = {"nargs": 2, "metavar": ("MIN", "MAX")} if spec.count == 2 else {"metavar": "X"}
        group.add_argument(flag(name), type=float, help=spec.help, **ends)


def given(options: argparse.Namespace) -> dict:
    """Return the settings that stand on the command line.

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
    """Return what a command's options and the config file ask for.

    A flag wins over the file, the file over what `--random-transform` (or its absence) stands for.

    Args:
        options: parsed options.
        in_file: the settings in the section [augmentation], as `Config.augmentation`.

    Raises:
        ValueError: naming the flag, or a setting that does not go with the rest.
    """
    flags = given(options)
    chosen = {**(in_file or {}), **flags}
    found = replace(RANDOM_TRANSFORM if options.random_transform else FLIP_ONLY, **chosen)
    problems = {
        "crop_min_share": ("random_crop" not in chosen, "expected a chance of random_crop too"),
        "scale_range": (options.no_resize, "has no meaning with --no-resize"),
    }
    for name, (is_wrong, message) in problems.items():
        if name in chosen and is_wrong:
            place = flag(name) if name in flags else f"{options.config}: [augmentation] {name}"
            raise ValueError(f"{place}: {message}")
    return found
