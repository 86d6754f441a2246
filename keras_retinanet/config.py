"""The .ini file of anchor parameters and pyramid levels, parsed once."""

import configparser
from dataclasses import dataclass

from keras_retinanet.anchors import DEFAULT_LEVELS, AnchorParameters

_KEYS = {"sizes": int, "strides": int, "ratios": float, "scales": float}


@dataclass(frozen=True)
class Config:
    """What a config file may set; None where it does not.

    Attributes:
        anchor_params: from `[anchor_parameters]`.
        pyramid_levels: from `[pyramid_levels]`, such as (2, 3, 4, 5, 6, 7).
    """

    anchor_params: AnchorParameters | None = None
    pyramid_levels: tuple[int, ...] | None = None

    @classmethod
    def of(cls, config) -> "Config":
        """Return a `Config` for None, a `Config`, or what `read_config_file` returned."""
        if isinstance(config, cls):
            return config
        if config is None:
            return cls()
        anchors = levels = None
        if "anchor_parameters" in config:
            anchors = parse_anchor_parameters(config)
        if "pyramid_levels" in config:
            levels = tuple(parse_pyramid_levels(config))
        return cls(anchors, levels)


def load_config(path) -> Config:
    """Return what a config file sets.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file, section and key, if something is missing, unknown or malformed, or
            if there is not one size and stride for each level.
    """
    try:
        config = Config.of(read_config_file(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    levels = config.pyramid_levels or DEFAULT_LEVELS
    if config.anchor_params and len(config.anchor_params.sizes) != len(levels):
        raise ValueError(
            f"{path}: [anchor_parameters] sizes: expected one for each of the pyramid levels "
            f"{list(levels)}, got {config.anchor_params.sizes}"
        )
    return config


def read_config_file(config_path) -> configparser.ConfigParser:
    """Return a config file as keras-retinanet 1.0.0 did: a parser whose sections are checked.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no .ini file, or a section or key is missing or unknown.
    """
    config = configparser.ConfigParser()
    with open(config_path, encoding="utf-8-sig") as file:
        try:
            config.read_file(file)
        except configparser.Error as error:
            raise ValueError(f"expected an .ini file: {' '.join(str(error).split())}") from None
    if "anchor_parameters" not in config:
        raise ValueError(f"expected a section [anchor_parameters], got {config.sections()}")
    unknown = set(config["anchor_parameters"]) - set(_KEYS)
    if unknown:
        raise ValueError(
            f"[anchor_parameters]: expected the keys {list(_KEYS)}, got {sorted(unknown)}"
        )
    if "pyramid_levels" in config and "levels" not in config["pyramid_levels"]:
        raise ValueError("[pyramid_levels]: expected the key levels")
    return config


def parse_anchor_parameters(config) -> AnchorParameters:
    """Return the anchor parameters in a parsed config file.

    Raises:
        ValueError: naming section and key.
    """
    values = {key: _numbers(config, "anchor_parameters", key, kind) for key, kind in _KEYS.items()}
    if len(values["sizes"]) != len(values["strides"]):
        raise ValueError(
            "[anchor_parameters]: sizes and strides should have an equal number of values, "
            f"got {values['sizes']} and {values['strides']}"
        )
    return AnchorParameters(**values)


def parse_pyramid_levels(config) -> list[int]:
    """Return the pyramid levels in a parsed config file.

    Raises:
        ValueError: naming section and key.
    """
    return _numbers(config, "pyramid_levels", "levels", int)


def _numbers(config, section, key, kind):
    """Return the numbers, separated by white space, of one key."""
    if key not in config[section]:
        raise ValueError(f"[{section}]: expected the key {key}")
    text = config[section][key]
    try:
        numbers = [kind(value) for value in text.split()]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) <= 0:
        raise ValueError(
            f"[{section}] {key}: expected {kind.__name__} numbers above 0, separated by spaces, "
            f"got {text!r}"
        )
    return numbers
