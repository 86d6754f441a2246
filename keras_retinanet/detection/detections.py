"""Detections of an image as arrays, and in COCO form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_retinanet import drawing
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import Annotations

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True)
class Detections:
    """The objects that a model found in one image.

    Attributes:
        boxes: (n, 4) corners x1, y1, x2, y2 in pixels of the original image.
        scores: (n,) in [0, 1], best first.
        labels: (n,) class numbers from 0.
        capped: whether there may be more, which a maximum number of detections cut off.
        class_names: the name of each label, None for one without; None if no names are known.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    capped: bool = False
    class_names: Sequence[str | None] | None = None

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls(np.zeros((0, 4), "float32"), np.zeros(0, "float32"), np.zeros(0, int))

    @property
    def names(self) -> list[str | None]:
        """The name of each detection's class; None where it is not known."""
        known = self.class_names or ()
        return [known[label] if label < len(known) else None for label in self.labels]

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.scores)

    def best(self, count: int | None) -> Detections:
        """Return the first `count` detections; all of them for None.

        Raises:
            ValueError: if the count is negative.
        """
        if count is not None and count < 0:
            raise ValueError(f"expected a number of detections of at least 0, got {count}")
        capped = self.capped or (count is not None and count < len(self))
        return replace(self[np.arange(len(self))[:count]], capped=capped)

    def __getitem__(self, chosen: int | slice | np.ndarray) -> Detections:
        """Return the detections at positions, or where a mask is true."""
        if isinstance(chosen, (int, np.integer)):
            chosen = np.array([chosen])
        return replace(
            self, boxes=self.boxes[chosen], scores=self.scores[chosen], labels=self.labels[chosen]
        )

    def above(self, score_threshold: float) -> Detections:
        """Return the detections whose score is above a threshold."""
        count = int(np.count_nonzero(self.scores > score_threshold))
        # Others were cut off only if their scores may be above the threshold too.
        return replace(self.best(count), capped=self.capped and count == len(self))

    def filter(
        self,
        *,
        score: float | None = None,
        classes: str | int | np.integer | Iterable[str | int | np.integer] | None = None,
        min_side: float | None = None,
    ) -> Detections:
        """Return the detections that fulfil every condition given.

        Args:
            score: minimum score.
            classes: names, or labels, of the classes to keep, or one of them.
            min_side: pixels that both sides of a box have at least.

        Raises:
            ValueError: if the model has no such class.
        """
        kept, capped = np.ones(len(self), bool), self.capped
        if score is not None:
            kept &= self.scores >= score
            capped = capped and bool(kept.all())  # else those that were cut off have lower scores
        if classes is not None:
            several = [classes] if isinstance(classes, (str, int, np.integer)) else classes
            kept &= np.isin(self.labels, class_labels(several, self.class_names))
        if min_side is not None:
            kept &= (self.boxes[:, 2:] - self.boxes[:, :2] >= min_side).all(axis=1)
        return replace(self[kept], capped=capped)

    def to_dict(self) -> dict[str, Any]:
        """Return lists of numbers, for JSON: "boxes", "scores", "labels" and "names"."""
        return {
            "boxes": self.boxes.astype(float).tolist(),
            "scores": self.scores.astype(float).tolist(),
            "labels": self.labels.tolist(),
            "names": self.names,
        }

    def to_coco(
        self, image_id: int, categories: Mapping[int, int] | None = None
    ) -> list[dict[str, Any]]:
        """Return the entries of the image in a COCO results file, see `coco_results`."""
        return coco_results([image_id], [self], categories)

    def to_supervision(self) -> supervision.Detections:
        """Return the detections as those of the package `supervision`.

        Raises:
            ImportError: if it is not installed (`pip install supervision`).
        """
        import supervision

        names = [
            f"label {label}" if name is None else name
            for name, label in zip(self.names, self.labels, strict=True)
        ]
        return supervision.Detections(
            xyxy=self.boxes.astype("float32"),
            confidence=self.scores,
            class_id=self.labels,
            data={"class_name": np.array(names, dtype=str)},
        )

    def draw(self, image: np.ndarray) -> np.ndarray:
        """Return a copy of the image `(h, w, 3)`, BGR uint8, with boxes, names and scores on it."""
        copy = image.copy()
        names = dict(zip(self.labels.tolist(), self.names, strict=True))
        drawing.draw_detections(
            copy, self.boxes, self.scores, self.labels, label_to_name=names.get, score_threshold=-1
        )
        return copy


def class_labels(
    classes: Iterable[str | int | np.integer], class_names: Sequence[str | None] | None
) -> list[int]:
    """Return the labels of classes.

    Args:
        classes: names, or labels, also as text.
        class_names: the name of each label; None if no names are known.

    Raises:
        ValueError: if the model has no class of a name, or of a label.
    """
    names = list(class_names or ())
    labels = []
    for one in classes:
        if isinstance(one, str) and one in names:
            label = names.index(one)
        elif isinstance(one, str) and not one.isdecimal():
            label = -1
        else:
            label = int(one)
        if label < 0 or (class_names is not None and label >= len(names)):
            known = ", ".join(name for name in names if name is not None)
            raise ValueError(
                f"expected the name of a class of the model or its label, got "
                f"{shorten(repr(one))}; it has {shorten(known, 300) or 'no names'}"
            )
        labels.append(label)
    return labels


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
