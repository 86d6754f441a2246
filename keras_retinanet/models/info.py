"""What a snapshot knows about itself."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from keras_retinanet.geometry.anchors import DEFAULT_LEVELS, AnchorParameters
from keras_retinanet.images import preprocess_image


@dataclass(frozen=True)
class ModelInfo:
    """All that is needed to use a model besides its weights.

    Attributes:
        backbone: name of the backbone, such as "resnet50".
        num_classes: number of classes.
        class_names: the name of each label, None for a label without one; None if no name is known
            (keras-retinanet 1.0.0 did not store them).
        anchors: the anchors it was trained with; None if unknown (a training snapshot of
            keras-retinanet 1.0.0 that has not the paper's anchors).
        pyramid_levels: the levels in use, in the order of the outputs.
        normalisation: the mode of `images.preprocess_image` it was trained with.
        image_min_side: pixels of the shortest side of its images.
        image_max_side: pixels that the longest side may have.
        no_resize: whether its images were left as large as they were.
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

    def __post_init__(self):
        """Raise ValueError if the number of class names is not the number of classes."""
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise ValueError(
                f"expected {self.num_classes} class names, one for each class, "
                f"got {len(self.class_names)}: {', '.join(map(str, self.class_names))}"
            )

    def to_dict(self) -> dict:
        """Return the details as lists, texts and numbers, for JSON."""
        anchors = self.anchors.to_dict() if self.anchors else None
        return {
            **{name: _plain(value) for name, value in asdict(self).items()},
            "anchors": anchors,
        }

    @classmethod
    def from_dict(cls, values: dict) -> "ModelInfo":
        """Return the details that `to_dict` described.

        Raises:
            ValueError: if a required value is missing or one is unknown.
        """
        values = dict(values)
        if values.get("anchors") is not None:
            values["anchors"] = AnchorParameters.from_dict(values["anchors"])
        for name in ("pyramid_levels", "class_names"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"these are no details of a snapshot: {error}") from None

    def preprocess_image(self, x) -> np.ndarray:
        """Return BGR images `(..., 3)` of values 0..255 normalised as the model expects."""
        return preprocess_image(x, mode=self.normalisation)


def initial_info(
    backbone: str,
    normalisation: str,
    num_classes: int,
    num_anchors: int | None = None,
    pyramid_levels: Sequence[int] | None = None,
) -> ModelInfo:
    """Return the details of a model that has just been built, before it meets any data.

    The anchors are unknown (None) where the paper's do not fit their number or the levels.
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


def _plain(value):
    return list(value) if isinstance(value, tuple) else value
