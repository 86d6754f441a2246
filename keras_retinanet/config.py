"""The .ini file of anchor parameters, pyramid levels and augmentation settings."""

import configparser
import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from keras_retinanet.annotations.text import naming_file, read_text
from keras_retinanet.augmentation.settings import SETTING_SPECS, Range
from keras_retinanet.geometry.anchors import DEFAULT_LEVELS, AnchorParameters
from keras_retinanet.system.limits import MAX_CONFIG_BYTES
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

Number = TypeVar("Number", int, float)

_SECTIONS = {
    "anchor_parameters": ["sizes", "strides", "ratios", "scales"],
    "pyramid_levels": ["levels"],
    "augmentation": list(SETTING_SPECS),
}
# More values, or values beyond, have no use, and take all memory or are infinite as float32.
_MAX_VALUES = 100
_MAX_PIXELS, _MAX_FACTOR = 10**6, 1e4


@dataclass(frozen=True)
class Config:
    """The contents of a config file; None or empty for what it does not set.

    Attributes:
        anchor_params: from `[anchor_parameters]`.
        pyramid_levels: from `[pyramid_levels]`, such as (2, 3, 4, 5, 6, 7).
        augmentation: from `[augmentation]`: attributes of `AugmentationSettings` by name.
    """

    anchor_params: AnchorParameters | None = None
    pyramid_levels: tuple[int, ...] | None = None
    augmentation: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, config: "Config | configparser.ConfigParser | None") -> "Config":
        """Return a `Config` for None, a `Config`, or what `read_config_file` returned.

        Raises:
            ValueError: naming section and key, for a malformed value.
        """
        if isinstance(config, Config):
            return config
        if config is None:
            return cls()
        anchors = levels = None
        if "anchor_parameters" in config:
            anchors = parse_anchor_parameters(config)
        if "pyramid_levels" in config:
            levels = tuple(parse_pyramid_levels(config))
        return cls(anchors, levels, _augmentation(config))


def load_config(path: StrPath) -> Config:
    """Return the contents of a config file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file, section and key, if something is missing, unknown or malformed, or
            if there is not one size and stride for each level.
    """
    parser = _read(path)
    with naming_file(path):
        _check_sections(parser)
        config = Config.of(parser)
        _check_levels(config)
    return config


def read_config_file(config_path: StrPath) -> configparser.ConfigParser:
    """Return a config file as keras-retinanet 1.0.0 did: a parser whose sections are checked.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is not an .ini file, or a section or key is missing or
            unknown.
    """
    config = _read(config_path)
    with naming_file(config_path):
        if "anchor_parameters" not in config:
            raise ValueError(f"expected a section [anchor_parameters], got {config.sections()}")
        _check_keys(config, "anchor_parameters")
        if "pyramid_levels" in config and "levels" not in config["pyramid_levels"]:
            raise ValueError("[pyramid_levels]: expected the key levels")
    return config


def parse_anchor_parameters(config: configparser.ConfigParser) -> AnchorParameters:
    """Return the anchor parameters in a parsed config file.

    Raises:
        ValueError: naming section and key.
    """
    section = "anchor_parameters"
    sizes = _positive_numbers(config, section, "sizes", int)
    strides = _positive_numbers(config, section, "strides", int)
    ratios = _positive_numbers(config, section, "ratios", float)
    scales = _positive_numbers(config, section, "scales", float)
    if len(sizes) != len(strides):
        raise ValueError(
            "[anchor_parameters]: sizes and strides should have an equal number of values, "
            f"got {sizes} and {strides}"
        )
    return AnchorParameters(sizes, strides, ratios, scales)


def parse_pyramid_levels(config: configparser.ConfigParser) -> list[int]:
    """Return the pyramid levels in a parsed config file.

    Raises:
        ValueError: naming section and key.
    """
    return _positive_numbers(config, "pyramid_levels", "levels", int)


def _read(path: StrPath) -> configparser.ConfigParser:
    """Return the contents of an .ini file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is not an .ini file.
    """
    text = read_text(path, MAX_CONFIG_BYTES)
    # Values do not refer to each other, so a per cent sign has no special meaning.
    config = configparser.ConfigParser(interpolation=None)
    with naming_file(path):
        try:
            config.read_string(text, os.path.basename(path))
        except configparser.Error as error:
            raise ValueError(f"expected an .ini file: {error}") from None
    return config


def _check_sections(config: configparser.ConfigParser) -> None:
    unknown = [name for name in config.sections() if name not in _SECTIONS]
    if unknown or not config.sections():
        names = [f"[{name}]" for name in _SECTIONS]
        raise ValueError(
            f"expected a section {', '.join(names[:-1])} or {names[-1]}, got {unknown}"
            f"{_hint(unknown, _SECTIONS)}"
        )
    for section in config.sections():
        _check_keys(config, section)


def _check_keys(config: configparser.ConfigParser, section: str) -> None:
    keys = _SECTIONS[section]
    unknown = [key for key in config[section] if key not in keys]
    if unknown:
        raise ValueError(
            f"[{section}]: expected the keys {keys}, got {unknown}{_hint(unknown, keys)}"
        )


def _hint(unknown: Sequence[str], known: Iterable[str]) -> str:
    """Return the known name that is most similar to the first unknown one, as a question."""
    close = difflib.get_close_matches(unknown[0], list(known), n=1) if unknown else []
    return f" (did you mean {close[0]!r}?)" if close else ""


def _check_levels(config: Config) -> None:
    levels = list(config.pyramid_levels or DEFAULT_LEVELS)
    if len(set(levels)) != len(levels) or not set(levels) <= set(range(2, 8)):
        raise ValueError(
            f"[pyramid_levels] levels: expected different numbers from 2 to 7, got {levels}"
        )
    if 7 in levels and 6 not in levels:
        raise ValueError(f"[pyramid_levels] levels: expected 6, from which 7 is made, got {levels}")
    sizes = (config.anchor_params or AnchorParameters.default).sizes
    if len(sizes) != len(levels):
        given = "got" if config.anchor_params else "without the section there are"
        raise ValueError(
            "[anchor_parameters] sizes: expected one for each of the pyramid levels "
            f"{levels}, {given} {sizes}"
        )


def _augmentation(config: configparser.ConfigParser) -> dict[str, float | Range]:
    values: dict[str, float | Range] = {}
    for key in config.options("augmentation") if "augmentation" in config else ():
        text = _value(config, "augmentation", key)
        try:
            if key not in SETTING_SPECS:
                raise ValueError(f"expected one of {list(SETTING_SPECS)}")
            values[key] = SETTING_SPECS[key].read(_numbers(text, float))
        except ValueError as error:
            raise ValueError(f"[augmentation] {key}: {error}") from None
    return values


def _positive_numbers(
    config: configparser.ConfigParser, section: str, key: str, number_type: Callable[[str], Number]
) -> list[Number]:
    """Return the numbers above 0, separated by white space, of one key."""
    text = _value(config, section, key)
    try:
        numbers = _numbers(text, number_type)
    except ValueError:
        numbers = []
    maximum = _MAX_PIXELS if number_type is int else _MAX_FACTOR
    if not numbers or not all(1 / maximum <= number <= maximum for number in numbers):
        raise ValueError(
            f"[{section}] {key}: expected {number_type.__name__} numbers above 0, at most "
            f"{maximum:g}, separated by spaces, got {shorten(repr(text), 80)}"
        )
    if len(numbers) > _MAX_VALUES:
        raise ValueError(
            f"[{section}] {key}: expected at most {_MAX_VALUES} numbers, got {len(numbers)}"
        )
    return numbers


def _value(config: configparser.ConfigParser, section: str, key: str) -> str:
    """Return the text of a key."""
    if section not in config or key not in config[section]:
        raise ValueError(f"[{section}]: expected the key {key}")
    try:
        return config[section][key] or ""  # None, if the parser allows keys without a value
    except configparser.Error as error:  # a reference to another value
        raise ValueError(f"[{section}] {key}: {shorten(error)}") from None


def _numbers(text: str, number_type: Callable[[str], Number]) -> list[Number]:
    try:
        return [number_type(value) for value in text.split()]
    except ValueError:
        raise ValueError(
            f"expected numbers separated by spaces, got {shorten(repr(text), 80)}"
        ) from None
