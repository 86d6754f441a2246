"""What `retinanet-detect` writes: annotated copies, a JSON file, a table."""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from keras_retinanet import drawing
from keras_retinanet.detection.detections import Detections
from keras_retinanet.reports import tables
from keras_retinanet.system.files import atomic_write
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
    """

    path: str
    width: int
    height: int
    detections: list[dict[str, Any]]


def describe(
    path: str,
    image: np.ndarray,
    found: Detections,
    names: Sequence[str | None] | None,
    score_threshold: float,
) -> ImageDetections:
    """Return the detections of one image as plain numbers and text.

    Args:
        path: the image file.
        image: (h, w, 3).
        found: what the model found, best first.
        names: class names by label; None if unknown.
        score_threshold: minimum score, inclusive.
    """
    height, width = image.shape[:2]
    rows = zip(found.boxes, found.scores, found.labels, strict=True)
    detections = [
        {
            "box": [round(float(value), 3) for value in box],
            "score": round(float(score), 6),
            "label": int(label),
            "name": names[int(label)] if names and int(label) < len(names) else None,
        }
        for box, score, label in rows
        if score >= score_threshold
    ]
    return ImageDetections(path, width, height, detections)


def _display_name(detection: dict[str, Any]) -> str:
    return detection["name"] or f"label {detection['label']}"


def write_copy(image: np.ndarray, found: ImageDetections, target: StrPath) -> None:
    """Write a copy of an image with boxes and captions drawn on it, atomically.

    Args:
        image: BGR uint8 (h, w, 3).
        found: what to draw.
        target: the file; its extension chooses the format.

    Raises:
        OSError: if the file cannot be written.
    """
    names = {item["label"]: _display_name(item) for item in found.detections}
    copy = image.copy()
    drawing.draw_detections(
        copy,
        np.array([item["box"] for item in found.detections]).reshape(-1, 4),
        np.array([item["score"] for item in found.detections]),
        np.array([item["label"] for item in found.detections], dtype=int),
        label_to_name=names.__getitem__,
        score_threshold=-1,  # already filtered
    )
    drawing.write_picture(target, copy)


class JsonFile:
    """A JSON file of the detections of images, written as they come.

    It holds a list with `{"file", "width", "height", "detections": [{"box", "score", "label",
    "name"}]}` for each image. Each time it is written anew, atomically, so that it is complete
    whenever the program is killed. The longer that takes, the rarer it is done.

    Args:
        path: the file.
        order: the images' paths in the order of the list.
    """

    def __init__(self, path: StrPath, order: Sequence[str]) -> None:
        self._path, self._order = path, order
        self._entries: dict[str, str] = {}  # JSON by path of the image
        self._due = 0.0  # when to write next

    def add(self, found: ImageDetections) -> None:
        """Add what was found on an image, and write the file if that is due.

        An error is left to `write`: there may be room again at the end.
        """
        content = {
            "file": found.path,
            "width": found.width,
            "height": found.height,
            "detections": found.detections,
        }
        self._entries[found.path] = json.dumps(content, indent=1).replace("\n", "\n ")
        start = time.monotonic()
        if start >= self._due:
            with contextlib.suppress(OSError):
                self.write()
            end = time.monotonic()
            self._due = end + max(1, 20 * (end - start))  # at most 5 % of the time

    def write(self) -> None:
        """Write the file.

        Raises:
            OSError: if it cannot be written.
        """
        entries = [self._entries[path] for path in self._order if path in self._entries]
        text = "[\n " + ",\n ".join(entries) + "\n]\n" if entries else "[]\n"
        atomic_write(self._path, text)


def print_table(found: Sequence[ImageDetections], score_threshold: float) -> None:
    """Print for each class the number of detections and of images, and the mean and best score.

    Args:
        found: the detections of each image.
        score_threshold: the threshold that was applied, for the title.
    """
    scores: defaultdict[str, list[float]] = defaultdict(list)
    images: defaultdict[str, set[str]] = defaultdict(set)
    for item in found:
        for detection in item.detections:
            name = _display_name(detection)
            scores[name].append(detection["score"])
            images[name].add(item.path)
    table = Table(
        title=f"Found on {len(found)} images with a score of at least {score_threshold:g}"
    )
    table.add_column("class")
    for heading in ("found", "images", "mean score", "best score"):
        table.add_column(heading, justify="right")
    for name in sorted(scores, key=lambda name: (-len(scores[name]), name)):
        mean, best = sum(scores[name]) / len(scores[name]), max(scores[name])
        numbers = (len(scores[name]), len(images[name]), f"{mean:.3f}", f"{best:.3f}")
        # Text, because a name with brackets must not be read as markup.
        table.add_row(Text(name), *map(str, numbers))
    if not scores:
        table.add_row("nothing", "0", "0", "-", "-")
    tables.print_table(table)
