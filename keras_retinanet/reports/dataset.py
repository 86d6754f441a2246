"""What a data set holds and what is broken in it, found by reading all of it once."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import numpy as np

from keras_retinanet.geometry.anchor_fit import fit_anchors
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.reports.samples import load_sample


@dataclass(frozen=True)
class Quartiles:
    """Five numbers of a set of values: its ends and its quartiles."""

    smallest: float
    lower_quartile: float
    median: float
    upper_quartile: float
    largest: float

    @classmethod
    def of(cls, values) -> "Quartiles | None":
        """Return the spread of the values `(n,)`; None if there are none."""
        return cls(*np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist()) if len(values) else None


@dataclass(frozen=True)
class Count:
    """How many boxes there are, and how many of them no anchor learns."""

    boxes: int
    without_anchor: int

    @property
    def share_without_anchor(self) -> float | None:
        """The share of boxes that no anchor learns; None if there are no boxes."""
        return self.without_anchor / self.boxes if self.boxes else None

    def to_dict(self) -> dict:
        """Return the two counts and the share."""
        return {**asdict(self), "share_without_anchor": self.share_without_anchor}


@dataclass(frozen=True)
class DatasetReport:
    """What a data set holds; boxes are the valid ones of the images that can be read.

    Attributes:
        images: number of images.
        images_without_boxes: images that can be read and hold no valid box.
        unreadable: image -> why it cannot be read.
        dropped: image -> number of boxes that training drops: they have no area or leave the image.
        total: boxes of all classes.
        classes: class name -> boxes of that class, in the order of the labels.
        original_size: square root of the box area, in pixels of the image file.
        network_size: the same in pixels of the resized image.
        shape: height over width of the boxes, as of anchors.
        anchors: the anchors that were compared.
        fitted_anchors: those that `fit_anchors` finds for these boxes, as training does where no
            config sets anchors; None where one does.
    """

    images: int
    images_without_boxes: int
    unreadable: dict[str, str]
    dropped: dict[str, int]
    total: Count
    classes: dict[str, Count]
    original_size: Quartiles | None
    network_size: Quartiles | None
    shape: Quartiles | None
    anchors: AnchorParameters
    fitted_anchors: AnchorParameters | None

    @property
    def broken(self) -> bool:
        """Whether an image cannot be read or a box was dropped."""
        return bool(self.unreadable or self.dropped)

    def to_dict(self) -> dict:
        """Return the report as dictionaries, lists and plain numbers, for JSON."""
        sizes = ("original_size", "network_size", "shape")
        spreads = {name: getattr(self, name) for name in sizes}
        return {
            "broken": self.broken,
            "images": self.images,
            "images_without_boxes": self.images_without_boxes,
            "unreadable": [{"file": file, "error": why} for file, why in self.unreadable.items()],
            "dropped": [{"file": file, "boxes": count} for file, count in self.dropped.items()],
            **self.total.to_dict(),
            "classes": {name: count.to_dict() for name, count in self.classes.items()},
            **{name: spread and asdict(spread) for name, spread in spreads.items()},
            "anchors": self.anchors.to_dict(),
            "fitted_anchors": self.fitted_anchors and self.fitted_anchors.to_dict(),
        }


@dataclass(frozen=True)
class _ImageCheck:
    """Of one image: why it is unreadable, or its boxes, resized, and how many were dropped."""

    error: str | None = None
    dropped: int = 0
    bboxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    anchored: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    scale: float = 1.0


def check_dataset(generator, progress: Callable[[int], None] | None = None) -> DatasetReport:
    """Read every image of a data set and report on it.

    Args:
        generator: a `Generator`; its size of images, anchors and levels are those reported on.
        progress: called with the number of images just read.
    """
    facts = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for fact in pool.map(lambda index: _inspect(generator, index), range(generator.size())):
            facts.append(fact)
            if progress is not None:
                progress(1)
    return _summarise(generator, facts)


def _inspect(generator, index) -> _ImageCheck:
    dropped = generator.dropped_boxes(index)
    try:
        sample = load_sample(generator, index)
    except (OSError, ValueError) as error:
        return _ImageCheck(error=str(error) or repr(error), dropped=dropped)
    valid = sample.valid
    return _ImageCheck(
        dropped=dropped + int((~valid).sum()),
        bboxes=sample.bboxes[valid],
        labels=sample.labels[valid],
        anchored=sample.anchored[valid],
        scale=sample.scale,
    )


def _summarise(generator, facts) -> DatasetReport:
    paths = [generator.image_path(index) for index in range(len(facts))]
    named = list(zip(paths, facts, strict=True))
    boxes = np.concatenate([fact.bboxes for fact in facts])
    labels = np.concatenate([fact.labels for fact in facts])
    anchored = np.concatenate([fact.anchored for fact in facts])
    scales = np.repeat([fact.scale for fact in facts], [len(fact.bboxes) for fact in facts])
    widths, heights = (boxes[:, 2:] - boxes[:, :2]).T
    sizes = np.sqrt(widths * heights)
    configured = generator.config.anchor_params
    return DatasetReport(
        images=len(facts),
        images_without_boxes=sum(not fact.error and not len(fact.bboxes) for fact in facts),
        unreadable={path: fact.error for path, fact in named if fact.error},
        dropped={path: fact.dropped for path, fact in named if fact.dropped},
        total=_count(anchored),
        classes={
            name: _count(anchored[labels == label])
            for label, name in enumerate(generator.class_names())
            if name is not None
        },
        original_size=Quartiles.of(sizes / scales),
        network_size=Quartiles.of(sizes),
        shape=Quartiles.of(heights / widths),
        anchors=configured or AnchorParameters.default,
        fitted_anchors=None if configured else fit_anchors(boxes, labels).params,
    )


def _count(anchored) -> Count:
    return Count(len(anchored), int((~anchored).sum()))
