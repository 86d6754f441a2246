"""The info of a model: what every file of it stores besides its weights and layers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_retinanet.geometry.anchors import DEFAULT_LEVELS, AnchorParameters
from keras_retinanet.geometry.coders import BoxCoder, CornerCoder, coder_from_dict
from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.images import RESIZE_RULES, preprocess_image
from keras_retinanet.system.limits import MAX_COORDINATE
from keras_retinanet.system.messages import shorten

# The keys of `losses.BOX_LOSSES`, which an exported model is read without.
BOX_LOSSES = ("smooth_l1", "l1", "giou")
# No data set has as many classes.
_MAX_CLASSES = 10**6
# Boxes of an image; their memory is taken for each image.
_MAX_DETECTIONS = 10**6
# Pixels; more than any image has.
_MAX_SIDE = 10**6
# Pixels; more than the stride of any network.
_MAX_MULTIPLE = 4096


@dataclass(frozen=True)
class ModelInfo:
    """Everything needed to use a model, except its weights.

    Attributes:
        backbone: name of the backbone, such as "resnet50".
        num_classes: number of classes.
        class_names: the name of each label, None for a label without one. None if no names are
            known (keras-retinanet 1.0.0 did not store them).
        anchors: the anchors it was trained with; None if unknown (a training snapshot of
            keras-retinanet 1.0.0 whose anchors are not the paper's).
        pyramid_levels: the levels in use, in the order of the outputs.
        normalisation: the mode of `images.preprocess_image` it was trained with.
        image_min_side: length in pixels to which the shorter side of an image is resized.
        image_max_side: maximum length in pixels of the longer side.
        no_resize: whether images keep their size.
        resize_rule: how they are resized, a key of `images.RESIZE_RULES`.
        pad_multiple: the network pads images at the right and bottom to a multiple of this.
        coder: how its `regression` output encodes boxes.
        box_loss: the loss of its box offsets, a key of `losses.BOX_LOSSES`.
        match_every_box: whether its training matches each box to one anchor at least.
        filter_settings: which boxes an inference model keeps; for a training model, which ones an
            inference model that is made of it keeps unless told otherwise.
        run: how far the training run that wrote the file had come, and its settings, as
            `training.record.RunRecord` describes them; None if unknown.
    """

    backbone: str
    num_classes: int
    class_names: tuple[str | None, ...] | None = None
    anchors: AnchorParameters | None = AnchorParameters.default
    pyramid_levels: tuple[int, ...] = DEFAULT_LEVELS
    normalisation: str = "caffe"
    image_min_side: int = 800
    image_max_side: int = 1333
    no_resize: bool = False
    resize_rule: str = "keras_retinanet"
    pad_multiple: int = 1
    coder: BoxCoder = CornerCoder()
    box_loss: str = "smooth_l1"
    match_every_box: bool = False
    filter_settings: FilterSettings = FilterSettings()
    run: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError if the number of class names is not the number of classes."""
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise ValueError(
                f"expected {self.num_classes} class names, one for each class, "
                f"got {len(self.class_names)}: {', '.join(map(str, self.class_names))}"
            )

    def known_classes(self) -> dict[str, int] | None:
        """Return class name -> label; None if no names are known."""
        if self.class_names is None:
            return None
        return {name: label for label, name in enumerate(self.class_names) if name is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the info as lists, strings, numbers and dictionaries of these, for JSON."""
        return {
            **{name: _plain(value) for name, value in asdict(self).items()},
            "anchors": self.anchors.to_dict() if self.anchors else None,
            "coder": self.coder.to_dict(),
            "filter_settings": self.filter_settings.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelInfo":
        """Return the info that `to_dict` described; what is missing has its default.

        Raises:
            ValueError: if a required value is missing, or one is unknown or malformed.
        """
        if not isinstance(values, dict):
            raise ValueError(f"expected the info of a model, got {shorten(values)}")
        values = dict(values)
        for name, (expected, is_valid) in _FIELDS.items():
            value = values.get(name)
            if name not in values or (value is None and name in _OPTIONAL):
                continue
            if not is_valid(value):
                raise ValueError(
                    f"info of a model: {name}: expected {expected}, got {_repr(value)}"
                )
            read = _READERS.get(name, lambda value: value)
            try:
                values[name] = read(value)
            except (TypeError, ValueError, OverflowError) as error:
                raise ValueError(f"info of a model: {name}: {error}") from None
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(
                f"expected the info of a model, got other values: {shorten(error)}"
            ) from None

    def preprocess_image(self, x: np.ndarray) -> np.ndarray:
        """Return BGR images `(..., 3)` of values 0..255 normalised as the model expects."""
        return preprocess_image(x, mode=self.normalisation)


def initial_info(
    backbone: str,
    normalisation: str,
    num_classes: int,
    num_anchors: int | None = None,
    pyramid_levels: Sequence[int] | None = None,
) -> ModelInfo:
    """Return the info of a new model, before it has seen any data.

    Args:
        backbone: name of the backbone.
        normalisation: the mode of `images.preprocess_image` that the backbone expects.
        num_classes: number of classes.
        num_anchors: number of anchors per location; None means 9. With another number, or other
            levels, the anchors are not the paper's but unknown (None).
        pyramid_levels: levels in use; None means 3 to 7.
    """
    levels = tuple(DEFAULT_LEVELS if pyramid_levels is None else pyramid_levels)
    default = AnchorParameters.default
    fits = num_anchors in (None, default.num_anchors()) and levels == DEFAULT_LEVELS
    return ModelInfo(
        backbone=backbone,
        num_classes=num_classes,
        anchors=default if fits else None,
        pyramid_levels=levels,
        normalisation=normalisation,
    )


def _is_integer(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_positive_list(value: Any) -> bool:
    """Return whether a value is a list of at least one finite number above 0."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(_is_finite(number) and number > 0 for number in value)
    )


def _is_anchors(value: Any) -> bool:
    lists = {"sizes", "strides", "ratios", "scales"}
    return (
        isinstance(value, dict)
        and value.keys() - {"layout"} == lists
        and all(_is_positive_list(value[name]) for name in lists)
        and len(value["sizes"]) == len(value["strides"])
        and isinstance(value.get("layout", {}), dict)
    )


def _is_coder(value: Any) -> bool:
    """Return whether a value is a dictionary of texts, booleans, finite numbers and lists."""
    return isinstance(value, dict) and all(
        isinstance(entry, (str, bool))
        or _is_finite(entry)
        or (isinstance(entry, list) and all(map(_is_finite, entry)))
        for entry in value.values()
    )


def _is_filter_settings(value: Any) -> bool:
    return isinstance(value, dict) and all(
        entry is None
        or isinstance(entry, bool)
        or (name == "clip" and isinstance(entry, str))
        or (_is_finite(entry) and entry <= _MAX_DETECTIONS)
        for name, entry in value.items()
    )


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= MAX_COORDINATE


# What a file may say of each field: the description for errors, the check.
_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "backbone": ("a name", lambda value: isinstance(value, str)),
    "num_classes": (
        f"an integer from 0 to {_MAX_CLASSES}",
        lambda value: _is_integer(value, 0, _MAX_CLASSES),
    ),
    "class_names": (
        "a list of names",
        lambda value: (
            isinstance(value, list) and all(name is None or isinstance(name, str) for name in value)
        ),
    ),
    "anchors": ("lists of positive sizes, strides, ratios and scales", _is_anchors),
    "pyramid_levels": (
        "a list of different integers from 1 to 16",
        lambda value: (
            isinstance(value, list)
            and all(_is_integer(level, 1, 16) for level in value)
            and len(set(value)) == len(value)
        ),
    ),
    "normalisation": ("a name", lambda value: isinstance(value, str)),
    "image_min_side": ("a number of pixels", lambda value: _is_integer(value, 1, _MAX_SIDE)),
    "image_max_side": ("a number of pixels", lambda value: _is_integer(value, 1, _MAX_SIDE)),
    "no_resize": ("true or false", lambda value: isinstance(value, bool)),
    "resize_rule": (
        f"one of {', '.join(RESIZE_RULES)}",
        lambda value: isinstance(value, str) and value in RESIZE_RULES,
    ),
    "pad_multiple": (
        f"a number of pixels up to {_MAX_MULTIPLE}",
        lambda value: _is_integer(value, 1, _MAX_MULTIPLE),
    ),
    "box_loss": (
        f"one of {', '.join(BOX_LOSSES)}",
        lambda value: isinstance(value, str) and value in BOX_LOSSES,
    ),
    "match_every_box": ("true or false", lambda value: isinstance(value, bool)),
    "coder": ("a box coder of finite numbers", _is_coder),
    "filter_settings": ("filter settings, numbers", _is_filter_settings),
}
_OPTIONAL = ("class_names", "anchors")
_READERS: dict[str, Callable[[Any], Any]] = {
    "anchors": AnchorParameters.from_dict,
    "coder": coder_from_dict,
    "filter_settings": FilterSettings.from_dict,
    "pyramid_levels": tuple,
    "class_names": tuple,
}


def _repr(value: Any) -> str:
    return shorten(repr(value), 100)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
