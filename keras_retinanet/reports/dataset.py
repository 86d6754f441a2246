"""What a data set contains and what is broken in it, found by reading all of it once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from keras_retinanet.annotations.absent_files import why_absent
from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.repetitions import Repetition, repeated_boxes, repeated_images
from keras_retinanet.geometry.anchor_fit import fit_anchors
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.reports.samples import load_sample
from keras_retinanet.system.files import only_regular
from keras_retinanet.system.types import Annotations

_ORIENTATION, _UPRIGHT = 0x0112, 1  # tag of EXIF and its usual value (JEITA CP-3451, 4.6.4)
_TURNED = (2, 3, 4, 5, 6, 7, 8)


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
        dropped: image -> number of boxes that training drops, because they have no area or leave
            the image by more than a pixel or 0.2 % of its side.
        total: boxes of all classes.
        classes: class name -> boxes of that class, in the order of the labels.
        original_size: square root of the box area, in pixels of the image file.
        network_size: the same in pixels of the resized image.
        shape: height over width of the boxes, as for the ratios of anchors.
        anchors: the anchors that the boxes were matched to.
        fitted_anchors: the anchors that `fit_anchors` finds for these boxes, and that training uses
            unless a config sets anchors; None if one does.
        clipped: image -> number of boxes that leave it by less, and are clipped.
        no_boxes: the likely cause why the data set has no box at all; None if it has some.
        other_size: image -> how its size differs from the one in its annotations.
        rotated: image -> its EXIF orientation, 2 to 8. It is ignored, so boxes that were drawn on
            the rotated picture are elsewhere. The size in the annotations does not tell on which
            picture they were drawn: many tools write the one of the pixels as stored.
        repeated_boxes: boxes that are listed again for their image; None if there are none.
        repeated_images: images that are listed again; None if there are none.
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
    clipped: dict[str, int] = field(default_factory=dict)
    no_boxes: str | None = None
    other_size: dict[str, str] = field(default_factory=dict)
    rotated: dict[str, int] = field(default_factory=dict)
    repeated_boxes: Repetition | None = None
    repeated_images: Repetition | None = None

    @property
    def broken(self) -> bool:
        """Whether something is not used as it was meant.

        Clipped boxes and repetitions do not count: they are used.
        """
        found = (self.unreadable, self.dropped, self.no_boxes, self.other_size, self.rotated)
        return any(found)

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
            "clipped": [{"file": file, "boxes": count} for file, count in self.clipped.items()],
            "no_boxes": self.no_boxes,
            "other_size": [{"file": file, "sizes": text} for file, text in self.other_size.items()],
            "rotated": [{"file": file, "orientation": n} for file, n in self.rotated.items()],
            "repeated_boxes": self.repeated_boxes and self.repeated_boxes.to_dict(),
            "repeated_images": self.repeated_images and self.repeated_images.to_dict(),
            **self.total.to_dict(),
            "classes": {name: count.to_dict() for name, count in self.classes.items()},
            **{name: spread and asdict(spread) for name, spread in spreads.items()},
            "anchors": self.anchors.to_dict(),
            "fitted_anchors": self.fitted_anchors and self.fitted_anchors.to_dict(),
        }


@dataclass(frozen=True)
class _ImageCheck:
    """One image: why it is unreadable, or its valid boxes, resized; and what is wrong with it.

    `rows` are all boxes as annotated, `x1, y1, x2, y2, label`.
    """

    rows: np.ndarray
    error: str | None = None
    absent: bool = False
    dropped: int = 0
    clipped: int = 0
    other_size: str | None = None
    orientation: int = _UPRIGHT
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
    dropped, rows = generator.dropped_boxes(index), np.zeros((0, 5))
    try:
        rows = _rows(generator.load_annotations(index))
        sample = load_sample(generator, index)
    except (OSError, ValueError) as error:
        absent = isinstance(error, FileNotFoundError)
        return _ImageCheck(rows, str(error) or repr(error), absent, dropped)
    valid = sample.valid
    size = sample.size
    declared = generator.declared_size(index)
    return _ImageCheck(
        rows,
        dropped=dropped + int((~valid).sum()),
        clipped=int(sample.clipped.sum()),
        other_size=None
        if declared in (None, size)
        else f"{_by(size)} pixels, annotated as {_by(declared)}",
        orientation=_orientation(generator.image_path(index), size),
        bboxes=sample.bboxes[valid],
        labels=sample.labels[valid],
        anchored=sample.anchored[valid],
        scale=sample.scale,
    )


def _rows(annotations: Annotations) -> np.ndarray:
    """Return boxes and labels as `x1, y1, x2, y2, label`, float64 `(n, 5)`."""
    boxes = np.asarray(annotations["bboxes"], "float64").reshape(-1, 4)
    return np.column_stack([boxes, np.asarray(annotations["labels"], "float64")])


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _orientation(path: str, size: tuple[int, int]) -> int:
    """Return the EXIF orientation of an image file that was ignored when it was read.

    It is upright where there is none, or where the image was turned by it: as in a TIFF, or by a
    data set with a `load_image` of its own.
    """
    try:
        with open(path, "rb", opener=only_regular) as file, Image.open(file) as image:
            orientation = image.getexif().get(_ORIENTATION)
            ignored = image.format != "TIFF" and image.size == size
    except Exception:  # no file, or one of the many errors of damaged EXIF data
        return _UPRIGHT
    return orientation if ignored and orientation in _TURNED else _UPRIGHT


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
    rows = BoxTable.of([check.rows for check in checks])
    annotated = len(rows.rows) + sum(check.dropped for check in checks)
    unreadable = {path: check.error for path, check in named if check.error}
    absent = next((path for path, check in named if check.absent), None)
    if absent is not None and (cause := why_absent(absent)):
        unreadable[absent] = f"{unreadable[absent]} ({cause})"
    return DatasetReport(
        images=len(checks),
        images_without_boxes=sum(not check.error and not len(check.bboxes) for check in checks),
        unreadable=unreadable,
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
        clipped={path: check.clipped for path, check in named if check.clipped},
        no_boxes=None if annotated else generator.why_no_boxes(),
        other_size={path: check.other_size for path, check in named if check.other_size},
        rotated={path: n.orientation for path, n in named if n.orientation != _UPRIGHT},
        repeated_boxes=repeated_boxes(rows, paths, dict(enumerate(generator.class_names()))),
        repeated_images=repeated_images(paths),
    )


def _count(anchored: np.ndarray) -> Count:
    return Count(len(anchored), int((~anchored).sum()))
