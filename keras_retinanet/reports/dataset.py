"""What a data set contains and what is broken in it, found by reading all of it once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from keras_retinanet.geometry.anchor_fit import fit_anchors
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.reports.samples import load_sample


@dataclass(frozen=True)
class Quartiles:
    """The minimum, quartiles and maximum of a set of values."""

    smallest: float
    lower_quartile: float
    median: float
    upper_quartile: float
    largest: float

    @classmethod
    def of(cls, values: np.ndarray) -> Quartiles | None:
        """Return the quartiles of the values `(n,)`; None if there are none."""
        return cls(*np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist()) if len(values) else None


@dataclass(frozen=True)
class Count:
    """The number of boxes, and of those among them that match no anchor."""

    boxes: int
    without_anchor: int

    @property
    def share_without_anchor(self) -> float | None:
        """The share of boxes that match no anchor; None if there are no boxes."""
        return self.without_anchor / self.boxes if self.boxes else None

    def to_dict(self) -> dict[str, Any]:
        """Return the two counts and the share."""
        return {**asdict(self), "share_without_anchor": self.share_without_anchor}


@dataclass(frozen=True)
class DatasetReport:
    """What a data set contains; boxes are the valid ones of the readable images.

    Attributes:
        images: number of images.
        images_without_boxes: number of readable images without a valid box.
        unreadable: image -> why it cannot be read.
        dropped: image -> number of boxes that training drops, because they have no area or are not
            fully inside the image.
        total: boxes of all classes.
        classes: class name -> boxes of that class, in the order of the labels.
        original_size: square root of the box area, in pixels of the image file.
        network_size: the same in pixels of the resized image.
        shape: height over width of the boxes, as for the ratios of anchors.
        anchors: the anchors that the boxes were matched to.
        fitted_anchors: the anchors that `fit_anchors` finds for these boxes, and that training uses
            unless a config sets anchors; None if one does.
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

    def to_dict(self) -> dict[str, Any]:
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
    """One image: why it is unreadable, or its valid boxes, resized; and how many were dropped."""

    error: str | None = None
    dropped: int = 0
    bboxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    anchored: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    scale: float = 1.0


def check_dataset(
    generator: Generator, progress: Callable[[int], None] | None = None
) -> DatasetReport:
    """Read every image of a data set and report on it.

    Args:
        generator: the data set; its image sides, anchors and levels are used.
        progress: called with the number of images just read.
    """
    checks = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for check in pool.map(lambda index: _check(generator, index), range(generator.size())):
            checks.append(check)
            if progress is not None:
                progress(1)
    return _summarise(generator, checks)


def _check(generator: Generator, index: int) -> _ImageCheck:
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


def _summarise(generator: Generator, checks: Sequence[_ImageCheck]) -> DatasetReport:
    paths = [generator.image_path(index) for index in range(len(checks))]
    named = list(zip(paths, checks, strict=True))
    boxes = np.concatenate([check.bboxes for check in checks])
    labels = np.concatenate([check.labels for check in checks])
    anchored = np.concatenate([check.anchored for check in checks])
    scales = np.repeat([check.scale for check in checks], [len(check.bboxes) for check in checks])
    widths, heights = (boxes[:, 2:] - boxes[:, :2]).T
    sizes = np.sqrt(widths * heights)
    configured = generator.config.anchor_params
    return DatasetReport(
        images=len(checks),
        images_without_boxes=sum(not check.error and not len(check.bboxes) for check in checks),
        unreadable={path: check.error for path, check in named if check.error},
        dropped={path: check.dropped for path, check in named if check.dropped},
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


def _count(anchored: np.ndarray) -> Count:
    return Count(len(anchored), int((~anchored).sum()))
