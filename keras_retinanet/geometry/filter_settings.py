"""The settings that decide which boxes of an image become detections."""

import numbers
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from keras_retinanet.system.messages import shorten

# Values of `FilterSettings.clip`.
CLIPPING = ("pixels", "edges", "last")
# Scores per pyramid level that a filter of fixed shapes looks at, unless told otherwise.
FIXED_TOP_K = 1000


@dataclass(frozen=True)
class FilterSettings:
    """The settings of `filter_detections` and of the layer `FilterDetections`.

    Attributes:
        nms: whether to drop a box that overlaps a better one (non-maximum suppression).
        class_specific_filter: whether to filter each class on its own, so that a box may be kept
            once per class; otherwise only the best class of a box counts, and boxes of different
            classes suppress each other.
        nms_threshold: IoU above which non-maximum suppression drops the box with the lower score.
        score_threshold: scores must be greater than this.
        max_detections: maximum number of boxes, per class and in total.
        parallel_iterations: number of images filtered in parallel.
        pre_nms_top_k: maximum number of scores per pyramid level to look at, the best ones above
            the threshold (1,000 in the paper, section 4.1); None means all, as in
            keras-retinanet 1.0.0.
        clip: where and when boxes are clipped: "pixels", before the filter, with maximum
            coordinates of `width - 1` and `height - 1`, as in keras-retinanet 1.0.0; "edges",
            before the filter, with `width` and `height`; "last", after the filter, with `width` and
            `height`, and boxes outside the image are dropped without others taking their place.
        drop_empty: whether boxes without area, such as those clipped before that lie outside the
            image, are dropped before non-maximum suppression.
        fixed_shapes: whether to filter by operations that every runtime has, of tensors whose
            shapes do not depend on what is found, for a model to be exported. It keeps the same
            boxes, of at most `pre_nms_top_k` scores per level, `FIXED_TOP_K` for None.
    """

    nms: bool = True
    class_specific_filter: bool = True
    nms_threshold: float = 0.5
    score_threshold: float = 0.05
    max_detections: int = 300
    parallel_iterations: int = 32
    pre_nms_top_k: int | None = None
    clip: str = "pixels"
    drop_empty: bool = False
    fixed_shapes: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that TensorFlow would refuse once there is something to filter.

        Raises:
            ValueError: naming the setting.
        """
        if self.nms and _is_number(self.nms_threshold) and not 0 <= self.nms_threshold <= 1:
            raise ValueError(f"nms_threshold: expected 0 to 1, got {shorten(self.nms_threshold)}")
        for name, low in (("max_detections", 0), ("pre_nms_top_k", 1)):
            value = getattr(self, name)
            if _is_number(value) and (value < low or not isinstance(value, numbers.Integral)):
                raise ValueError(
                    f"{name}: expected an integer of at least {low}, got {shorten(value)}"
                )
        if self.clip not in CLIPPING:
            raise ValueError(
                f"clip: expected one of {', '.join(CLIPPING)}, got {shorten(repr(self.clip))}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for JSON."""
        return {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FilterSettings":
        """Return the settings that `to_dict` described; a missing one has its default.

        Raises:
            ValueError: if one is unknown or out of range.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"expected filter settings: {shorten(error)}") from None


def given_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a mapping that are filter settings and not None.

    Args:
        values: command line options, or the configuration of a `FilterDetections` layer.
    """
    names = [field.name for field in fields(FilterSettings)]
    return {name: values[name] for name in names if values.get(name) is not None}


def _is_number(value: Any) -> bool:
    """Return whether a value is a Python or NumPy number; a tensor's value may not be known yet."""
    return isinstance(value, numbers.Real)
