"""Detections of an image as arrays, and in COCO form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_retinanet.system.types import Annotations


@dataclass(frozen=True)
class Detections:
    """The objects that a model found in one image.

    Attributes:
        boxes: (n, 4) corners x1, y1, x2, y2 in pixels of the original image.
        scores: (n,) in [0, 1], best first.
        labels: (n,) class numbers from 0.
        capped: whether there may be more, which a maximum number of detections cut off.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    capped: bool = False

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls(np.zeros((0, 4), "float32"), np.zeros(0, "float32"), np.zeros(0, int))

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.scores)

    def best(self, count: int | None) -> Detections:
        """Return the first `count` detections; all of them for None."""
        capped = self.capped or (count is not None and count < len(self))
        return Detections(self.boxes[:count], self.scores[:count], self.labels[:count], capped)

    def above(self, score_threshold: float) -> Detections:
        """Return the detections whose score is above a threshold."""
        count = int(np.count_nonzero(self.scores > score_threshold))
        # Others were cut off only if their scores may be above the threshold too.
        return replace(self.best(count), capped=self.capped and count == len(self))


def coco_ground_truth(
    annotations: Sequence[Annotations],
    sizes: Sequence[tuple[int, int]] | None,
    class_names: Mapping[int, str] | Sequence[str],
) -> dict[str, list[dict[str, Any]]]:
    """Return the annotations of a data set in COCO form.

    Args:
        annotations: for each image {"bboxes": (n, 4), "labels": (n,)}.
        sizes: (height, width) of each image, or None: the COCO numbers for boxes do not need them.
        class_names: name of each label.

    Returns:
        {"images", "annotations", "categories"}. An image's id is its index, a category's id is its
        label, annotations are numbered from 1, "area" is that of the box, and nothing is a crowd.

    Raises:
        ValueError: if the number of sizes is not the number of images.
    """
    names = dict(class_names) if isinstance(class_names, Mapping) else dict(enumerate(class_names))
    images: list[dict[str, Any]] = [{"id": index} for index in range(len(annotations))]
    for image, (height, width) in zip(images, sizes or (), strict=sizes is not None):
        image.update(height=int(height), width=int(width))
    entries = [
        _coco_annotation(index, label, [float(value) for value in box])
        for index, truth in enumerate(annotations)
        for box, label in zip(truth["bboxes"], truth["labels"], strict=True)
    ]
    return {
        "images": images,
        "annotations": [{"id": number, **entry} for number, entry in enumerate(entries, start=1)],
        "categories": [{"id": int(label), "name": name} for label, name in sorted(names.items())],
    }


def _coco_annotation(index: int, label: int, box: Sequence[float]) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    return {
        "image_id": index,
        "category_id": int(label),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
    }


def coco_results(
    image_ids: Sequence[int],
    detections: Sequence[Detections],
    categories: Mapping[int, int] | None = None,
) -> list[dict[str, Any]]:
    """Return detections in the form of a COCO results file.

    Args:
        image_ids: COCO id of each image.
        detections: the detections of each image.
        categories: label -> COCO category id, other labels are left out; None if they are the same.

    Returns:
        [{"image_id", "category_id", "bbox": [x, y, width, height], "score"}].
    """
    return [
        {
            "image_id": int(image_id),
            "category_id": int(label if categories is None else categories[int(label)]),
            "bbox": [float(x1), float(y1), float(x2) - float(x1), float(y2) - float(y1)],
            "score": float(score),
        }
        for image_id, found in zip(image_ids, detections, strict=True)
        for (x1, y1, x2, y2), score, label in zip(
            found.boxes, found.scores, found.labels, strict=True
        )
        if categories is None or int(label) in categories
    ]
