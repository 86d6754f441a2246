"""What `retinanet-detect` shows: annotated copies and a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from keras_retinanet import drawing
from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.photos import Photo
from keras_retinanet.reports import tables
from keras_retinanet.system.messages import without_password
from keras_retinanet.system.types import StrPath


@dataclass(frozen=True)
class ImageDetections:
    """The detections of one image as plain numbers and text.

    Attributes:
        path: the file, as given or found in a folder.
        width: pixels.
        height: pixels.
        detections: dictionaries of "box" [x1, y1, x2, y2] in pixels, "score", "label" and "name"
            (None if the model knows no name), best first.
        frame: number of the frame of a video, from 0; None for an image.
        seconds: from the start of the video to the frame; None for an image.
    """

    path: str
    width: int
    height: int
    detections: list[dict[str, Any]]
    frame: int | None = None
    seconds: float | None = None


def describe(photo: Photo, found: Detections) -> ImageDetections:
    """Return detections of an image as plain numbers and text.

    Args:
        photo: the image, or a frame.
        found: which of its detections.
    """
    height, width = photo.image.shape[:2]
    rows = zip(found.boxes, found.scores, found.labels, found.names, strict=True)
    detections = [
        {
            "box": [round(float(value), 3) for value in box],
            "score": round(float(score), 6),
            "label": int(label),
            "name": name,
        }
        for box, score, label, name in rows
    ]
    path = without_password(photo.path)
    return ImageDetections(path, width, height, detections, photo.frame, photo.seconds)


@dataclass(frozen=True)
class Selection:
    """Which detections of an image are reported.

    Attributes:
        score_threshold: minimum score.
        max_detections: maximum number, of all classes; None for all.
        classes: their names; None for all.
    """

    score_threshold: float
    max_detections: int | None = None
    classes: tuple[str, ...] | None = None

    def of(self, photo: Photo) -> tuple[ImageDetections, int | None]:
        """Return what is reported of an image, and the maximum that left others out, if one did."""
        chosen = photo.detections.filter(score=self.score_threshold, classes=self.classes)
        best = chosen.best(self.max_detections)
        maximum = len(best) if len(best) < len(chosen) else len(photo.detections)
        return describe(photo, best), maximum if best.capped else None


def _display_name(detection: dict[str, Any]) -> str:
    return detection["name"] or f"label {detection['label']}"


def draw(image: np.ndarray, found: ImageDetections) -> None:
    """Draw boxes and captions on an image.

    Args:
        image: BGR uint8 (h, w, 3), painted on: a copy of a large one may not fit into the memory.
        found: what to draw.
    """
    names = {item["label"]: _display_name(item) for item in found.detections}
    drawing.draw_detections(
        image,
        np.array([item["box"] for item in found.detections]).reshape(-1, 4),
        np.array([item["score"] for item in found.detections]),
        np.array([item["label"] for item in found.detections], dtype=int),
        label_to_name=names.__getitem__,
        score_threshold=-1,  # already filtered
    )


def write_copy(image: np.ndarray, found: ImageDetections, target: StrPath) -> None:
    """Draw boxes and captions on an image, and write it to another file, atomically.

    Args:
        image: BGR uint8 (h, w, 3), painted on.
        found: what to draw.
        target: the file; its extension chooses the format.

    Raises:
        OSError: if the file cannot be written.
    """
    draw(image, found)
    drawing.write_picture(target, image)


class Tally:
    """The number of detections and of images of each class, and their scores.

    Attributes:
        images: number of images and frames so far.
    """

    def __init__(self) -> None:
        self.images = 0
        self._classes: defaultdict[str, _Class] = defaultdict(_Class)

    def add(self, found: ImageDetections) -> None:
        """Count the detections of an image."""
        self.images += 1
        of_image: defaultdict[str, list[float]] = defaultdict(list)
        for detection in found.detections:
            of_image[_display_name(detection)].append(detection["score"])
        for name, scores in of_image.items():
            self._classes[name].add(scores)

    def print_table(self, score_threshold: float) -> None:
        """Print for each class the number of detections and of images, mean and best score.

        Args:
            score_threshold: the threshold that was applied, for the title.
        """
        title = f"Found on {self.images} images with a score of at least {score_threshold:g}"
        table = Table(title=title)
        table.add_column("class")
        for heading in ("found", "images", "mean score", "best score"):
            table.add_column(heading, justify="right")
        for name, one in sorted(self._classes.items(), key=lambda item: (-item[1].found, item[0])):
            numbers = (one.found, one.images, f"{one.total / one.found:.3f}", f"{one.best:.3f}")
            # Text, because a name with brackets must not be read as markup.
            table.add_row(Text(name), *map(str, numbers))
        if not self._classes:
            table.add_row("nothing", "0", "0", "-", "-")
        tables.print_table(table)


@dataclass
class _Class:
    found: int = 0
    images: int = 0
    total: float = 0.0
    best: float = 0.0

    def add(self, scores: Sequence[float]) -> None:
        self.found += len(scores)
        self.images += 1
        self.total += sum(scores)
        self.best = max(self.best, *scores)
