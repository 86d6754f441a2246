"""The .ini file of anchor parameters, pyramid levels and augmentation, parsed once."""

import configparser
import contextlib
import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from keras_retinanet.augmentation.settings import SETTING_SPECS
from keras_retinanet.geometry.anchors import DEFAULT_LEVELS, AnchorParameters

_KEYS = {"sizes": int, "strides": int, "ratios": float, "scales": float}
_SECTIONS = {
    "anchor_parameters": list(_KEYS),
    "pyramid_levels": ["levels"],
    "augmentation": list(SETTING_SPECS),
}


@dataclass(frozen=True)
class Config:
    """What a config file may set; None or empty where it does not.

    Attributes:
        anchor_params: from `[anchor_parameters]`.
        pyramid_levels: from `[pyramid_levels]`, such as (2, 3, 4, 5, 6, 7).
        augmentation: from `[augmentation]`: those attributes of `AugmentationSettings` it names.
    """

    anchor_params: AnchorParameters | None = None
    pyramid_levels: tuple[int, ...] | None = None
    augmentation: Mapping = field(default_factory=dict, hash=False)

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
        return cls(anchors, levels, _augmentation(config))


def load_config(path) -> Config:
    """Return what a config file sets.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file, section and key, if something is missing, unknown or malformed, or
            if there is not one size and stride for each level.
    """
    with _naming(path):
        parser = _read(path)
        _check_sections(parser)
        config = Config.of(parser)
        _check_levels(config)
    return config


def read_config_file(config_path) -> configparser.ConfigParser:
    """Return a config file as keras-retinanet 1.0.0 did: a parser whose sections are checked.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is no .ini file, or a section or key is missing or
            unknown.
    """
    with _naming(config_path):
        config = _read(config_path)
        if "anchor_parameters" not in config:
            raise ValueError(f"expected a section [anchor_parameters], got {config.sections()}")
        _check_keys(config, "anchor_parameters")
        if "pyramid_levels" in config and "levels" not in config["pyramid_levels"]:
            raise ValueError("[pyramid_levels]: expected the key levels")
    return config


def parse_anchor_parameters(config) -> AnchorParameters:
    """Return the anchor parameters in a parsed config file.

    Raises:
        ValueError: naming section and key.
    """
    values = {key: _positive(config, "anchor_parameters", key, kind) for key, kind in _KEYS.items()}
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
    return _positive(config, "pyramid_levels", "levels", int)


@contextlib.contextmanager
def _naming(path) -> Iterator[None]:
    """Put the file before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read(path) -> configparser.ConfigParser:
    # No value refers to another, so a per cent sign is nothing special.
    config = configparser.ConfigParser(interpolation=None)
    with open(path, encoding="utf-8-sig") as file:
        try:
            config.read_file(file)
        except (configparser.Error, UnicodeDecodeError) as error:
            raise ValueError(f"expected an .ini file: {' '.join(str(error).split())}") from None
    return config


def _check_sections(config):
    unknown = [name for name in config.sections() if name not in _SECTIONS]
    if unknown or not config.sections():
        names = [f"[{name}]" for name in _SECTIONS]
        raise ValueError(
            f"expected a section {', '.join(names[:-1])} or {names[-1]}, got {unknown}"
            f"{_hint(unknown, _SECTIONS)}"
        )
    for section in config.sections():
        _check_keys(config, section)


def _check_keys(config, section):
    keys = _SECTIONS[section]
    unknown = [key for key in config[section] if key not in keys]
    if unknown:
        raise ValueError(
            f"[{section}]: expected the keys {keys}, got {unknown}{_hint(unknown, keys)}"
        )


def _hint(unknown, known) -> str:
    close = difflib.get_close_matches(unknown[0], known, n=1) if unknown else []
    return f" (did you mean {close[0]!r}?)" if close else ""


def _check_levels(config):
    levels = list(config.pyramid_levels or DEFAULT_LEVELS)
    if len(set(levels)) != len(levels) or not set(levels) <= set(range(2, 8)):
        raise ValueError(
            f"[pyramid_levels] levels: expected different numbers from 2 to 7, got {levels}"
        )
    if 7 in levels and 6 not in levels:
        raise ValueError(f"[pyramid_levels] levels: expected 6, of which 7 is made, got {levels}")
    sizes = (config.anchor_params or AnchorParameters.default).sizes
    if len(sizes) != len(levels):
        given = "got" if config.anchor_params else "and without the section there are"
        raise ValueError(
            "[anchor_parameters] sizes: expected one for each of the pyramid levels "
            f"{levels}, {given} {sizes}"
        )


def _augmentation(config) -> dict:
    values = {}
    for key, text in config["augmentation"].items() if "augmentation" in config else ():
        try:
            values[key] = SETTING_SPECS[key].read(_numbers(text, float))
        except ValueError as error:
            raise ValueError(f"[augmentation] {key}: {error}") from None
    return values


def _positive(config, section, key, kind):
    """Return the numbers above 0, separated by white space, of one key."""
    if key not in config[section]:
        raise ValueError(f"[{section}]: expected the key {key}")
    text = config[section][key]
    try:
        numbers = _numbers(text, kind)
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number < math.inf for number in numbers):
        raise ValueError(
            f"[{section}] {key}: expected {kind.__name__} numbers above 0, separated by spaces, "
            f"got {text!r}"
        )
    return numbers


def _numbers(text, kind):
    try:
        return [kind(value) for value in text.split()]
    except ValueError:
        raise ValueError(f"expected numbers separated by spaces, got {text!r}") from None
