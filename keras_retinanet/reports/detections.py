"""What `retinanet-detect` writes: annotated copies, a JSON file, a table."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keras_retinanet import drawing
from keras_retinanet.evaluation.metrics import Detections
from keras_retinanet.system.files import atomic_write


@dataclass(frozen=True)
class ImageDetections:
    """What was found on one photo.

    Attributes:
        path: As given or found in a folder.
        width: In pixels.
        height: In pixels.
        detections: Dictionaries of "box" [x1, y1, x2, y2] in pixels, "score", "label" and "name"
            (None when the model knows no names), best first.
    """

    path: str
    width: int
    height: int
    detections: list[dict]


def describe(
    path: str,
    image: np.ndarray,
    result: Detections,
    names: Sequence[str | None] | None,
    score_threshold: float,
) -> ImageDetections:
    """Put the detections of one image in words and plain numbers.

    Args:
        path: The image's file.
        image: (h, w, 3).
        result: What the model found, best first.
        names: Class names by label; None when unknown.
        score_threshold: Keep what scores at least this.
    """
    height, width = image.shape[:2]
    rows = zip(result.boxes, result.scores, result.labels, strict=True)
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


def _shown_name(detection: dict) -> str:
    return detection["name"] or f"label {detection['label']}"


def write_copy(image: np.ndarray, found: ImageDetections, target: str) -> None:
    """Write a copy of an image with boxes and captions drawn on it.

    Args:
        image: BGR uint8 (h, w, 3).
        found: What to draw.
        target: The file, replaced as a whole; its extension chooses the format.

    Raises:
        OSError: When the file cannot be written.
    """
    names = {item["label"]: _shown_name(item) for item in found.detections}
    copy = image.copy()
    drawing.draw_detections(
        copy,
        np.array([item["box"] for item in found.detections]).reshape(-1, 4),
        np.array([item["score"] for item in found.detections]),
        np.array([item["label"] for item in found.detections], dtype=int),
        label_to_name=names.get,
        score_threshold=-1,  # already filtered
    )
    done, data = cv2.imencode(os.path.splitext(target)[1], copy)
    if not done:
        raise OSError(f"cannot write {target}: OpenCV does not encode it")
    atomic_write(target, data.tobytes())


def write_json(found: list[ImageDetections], path: str) -> None:
    """Write what was found as a list, one entry an image.

    Each entry is `{"file", "width", "height", "detections": [{"box", "score", "label", "name"}]}`.

    Args:
        found: In the order to write.
        path: The file, replaced as a whole.
    """
    content = [
        {
            "file": item.path,
            "width": item.width,
            "height": item.height,
            "detections": item.detections,
        }
        for item in found
    ]
    atomic_write(path, json.dumps(content, indent=1) + "\n")


def print_table(found: list[ImageDetections], score_threshold: float) -> None:
    """Print how often each class was found, in how many images, and with which scores.

    Args:
        found: What was found on each image.
        score_threshold: Named in the title.
    """
    scores, images = defaultdict(list), defaultdict(set)
    for item in found:
        for detection in item.detections:
            name = _shown_name(detection)
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
        table.add_row(Text(name), *map(str, numbers))  # Text: brackets in a name are no markup
    if not scores:
        table.add_row("nothing", "0", "0", "-", "-")
    Console().print(table)
