"""What kinds of errors a detector makes, and what mending each kind would gain.

The kinds are those of Bolya et al., *TIDE: A General Toolbox for Identifying Object Detection
Errors* (2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.geometry.boxes import area, iou, shared_area

FOREGROUND_IOU = 0.5
BACKGROUND_IOU = 0.1
# COCO's points of recall, at which precision is averaged.
_RECALLS = np.linspace(0, 1, 101)


class Kind(IntEnum):
    """What became of a detection."""

    TRUE = 0
    IGNORED = 1  # inside a crowd: it counts neither as true nor as false
    CLASS = 2  # the box of an object, with the name of another class
    LOCATION = 3  # the class of an object, with a box that overlaps it too little
    BOTH = 4  # a box that overlaps an object of another class too little
    DUPLICATE = 5  # an object that a better detection has found
    BACKGROUND = 6  # no object is there


ERRORS = tuple(kind for kind in Kind if kind >= Kind.CLASS)


@dataclass(frozen=True)
class Truth:
    """The objects of one image.

    Attributes:
        boxes: (m, 4) corners x1, y1, x2, y2 in pixels.
        labels: (m,) class numbers from 0.
        crowds: (m,) whether the box stands for any number of objects.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowds: np.ndarray


@dataclass(frozen=True)
class ImageErrors:
    """The errors in one image.

    Attributes:
        kinds: (n,) the `Kind` of each detection.
        objects: (n,) the object that a detection found, or that it would find without its error of
            class or location; -1 for none.
        found: (m,) whether a detection is true for the object; of crowds, False.
        missed: (m,) whether no detection is true for the object, nor would be if its class or
            location were mended; of crowds, False.
    """

    kinds: np.ndarray
    objects: np.ndarray
    found: np.ndarray
    missed: np.ndarray


@dataclass(frozen=True)
class ErrorSummary:
    """The errors in a data set.

    Attributes:
        ap: AP at an IoU of 0.5, in [0, 1]: the mean over the classes that have objects.
        counts: number of detections of each kind of error.
        missed: number of objects that are missed.
        gains: how much AP rises if the errors of a kind alone are mended: those of class and
            location become true, others are taken away.
        gain_of_missed: how much AP rises if the missed objects do not count.
        gain_of_false: how much AP rises without any false detection.
        gain_of_not_found: how much AP rises if only the objects count that were found.
    """

    ap: float
    counts: dict[Kind, int]
    missed: int
    gains: dict[Kind, float]
    gain_of_missed: float
    gain_of_false: float
    gain_of_not_found: float


def find_errors(detections: Detections, truth: Truth) -> ImageErrors:
    """Return the errors in one image.

    Detections are matched with objects as COCO does it: best score first, each with the object of
    its class that it overlaps most and that is free.

    Args:
        detections: what a model found, best score first.
        truth: what there is.
    """
    kinds = np.full(len(detections), Kind.BACKGROUND)
    objects = np.full(len(detections), -1)
    real = np.flatnonzero(~truth.crowds)
    found = np.zeros(len(real), bool)
    same = detections.labels[:, None] == truth.labels[None, real]
    overlaps = iou(detections.boxes.astype("float64"), truth.boxes[real].astype("float64"))
    in_crowd = _inside_crowds(detections, truth)
    for i in range(len(detections)):
        free = np.where(same[i] & ~found, overlaps[i], -1.0)
        best = _argmax(free)
        if best >= 0 and free[best] >= FOREGROUND_IOU:
            kinds[i], objects[i], found[best] = Kind.TRUE, best, True
        elif in_crowd[i]:
            kinds[i] = Kind.IGNORED
    wanted = np.zeros(len(real), bool)  # objects that an error of class or location may find
    for i in np.flatnonzero(kinds == Kind.BACKGROUND).tolist():
        of_class = np.where(same[i], overlaps[i], 0.0)
        of_others = np.where(same[i], 0.0, overlaps[i])
        nearest, other = _argmax(of_class), _argmax(of_others)
        if nearest < 0:
            continue
        if BACKGROUND_IOU <= of_class[nearest] < FOREGROUND_IOU:
            kinds[i], objects[i] = Kind.LOCATION, nearest
        elif of_others[other] >= FOREGROUND_IOU:
            kinds[i], objects[i] = Kind.CLASS, other
        elif of_class[nearest] >= FOREGROUND_IOU:
            kinds[i] = Kind.DUPLICATE
        elif overlaps[i].max() > BACKGROUND_IOU:
            kinds[i] = Kind.BOTH
        if objects[i] >= 0:
            # One detection finds an object: the best one.
            if found[objects[i]] or wanted[objects[i]]:
                objects[i] = -1
            else:
                wanted[objects[i]] = True
    of_all = np.zeros((2, len(truth.labels)), bool)
    of_all[:, real] = found, ~(found | wanted)
    positions = np.append(real, -1)  # of no object: the last
    return ImageErrors(kinds, positions[objects], *of_all)


def summarise(
    detections: Sequence[Detections], truth: Sequence[Truth], errors: Sequence[ImageErrors]
) -> ErrorSummary:
    """Return the errors of a data set, and what mending them would gain.

    Args:
        detections: those of each image, best score first.
        truth: the objects of each image.
        errors: what `find_errors` returned for each image.
    """
    if not detections:
        zeros = dict.fromkeys(ERRORS, 0.0)
        return ErrorSummary(0.0, dict.fromkeys(ERRORS, 0), 0, zeros, 0.0, 0.0, 0.0)
    counted = np.concatenate([entry.kinds for entry in errors]) != Kind.IGNORED
    kinds = np.concatenate([entry.kinds for entry in errors])[counted]
    real, found, missed = (
        np.concatenate([entry.labels[mask] for entry, mask in zip(truth, masks, strict=True)])
        for masks in (
            [~entry.crowds for entry in truth],
            [entry.found for entry in errors],
            [entry.missed for entry in errors],
        )
    )
    size = 1 + int(real.max(initial=0))
    objects = np.bincount(real, minlength=size)
    rows = _Rows(
        np.concatenate([entry.scores for entry in detections])[counted],
        np.concatenate([entry.labels for entry in detections])[counted],
        kinds == Kind.TRUE,
        objects,
        np.flatnonzero(objects),
    )
    # The class of the object that a detection would find; -1 for none.
    mended = np.concatenate(
        [np.append(a.labels, -1)[b.objects] for a, b in zip(truth, errors, strict=True)]
    )[counted]
    ap = rows.ap()

    def gain(kind: Kind) -> float:
        of_kind = kinds == kind
        becomes_true = of_kind & (mended >= 0)
        changed = replace(
            rows,
            labels=np.where(becomes_true, mended, rows.labels),
            true=rows.true | becomes_true,
        )
        return changed.where(~of_kind | becomes_true).ap() - ap

    return ErrorSummary(
        ap,
        {kind: int(np.count_nonzero(kinds == kind)) for kind in ERRORS},
        sum(int(np.count_nonzero(entry.missed)) for entry in errors),
        {kind: gain(kind) for kind in ERRORS},
        replace(rows, objects=objects - np.bincount(missed, minlength=size)).ap() - ap,
        rows.where(rows.true).ap() - ap,
        replace(rows, objects=np.bincount(found, minlength=size)).ap() - ap,
    )


@dataclass(frozen=True)
class _Rows:
    """The detections of all images, the number of objects of each class, and which have some."""

    scores: np.ndarray
    labels: np.ndarray
    true: np.ndarray
    objects: np.ndarray
    classes: np.ndarray

    def where(self, chosen: np.ndarray) -> _Rows:
        """Return the rows of a mask."""
        return replace(
            self,
            scores=self.scores[chosen],
            labels=self.labels[chosen],
            true=self.true[chosen],
        )

    def ap(self) -> float:
        """Return the mean AP of the classes; 0 if all that is left of one is false."""
        order = np.argsort(-self.scores, kind="stable")
        labels, true = self.labels[order], self.true[order]
        values = [
            interpolated_precision(true[labels == label], count) if count else 0.0
            for label, count in zip(self.classes, self.objects[self.classes], strict=True)
            if count or np.any(labels == label)
        ]
        return float(np.mean(values)) if values else 0.0


def interpolated_precision(true: np.ndarray, objects: int) -> float:
    """Return the mean of precision at COCO's 101 points of recall.

    Args:
        true: (n,) whether each detection is true, best score first.
        objects: number of objects, at least 1.
    """
    hits = np.cumsum(true)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.append(envelope, 0.0)[np.searchsorted(hits / objects, _RECALLS)].mean())


def _argmax(values: np.ndarray) -> int:
    """Return the position of the maximum; -1 of no values."""
    return int(values.argmax()) if len(values) else -1


def _inside_crowds(detections: Detections, truth: Truth) -> np.ndarray:
    """Return (n,) whether half of a detection lies in a crowd of its class."""
    crowds = truth.boxes[truth.crowds]
    shared = shared_area(detections.boxes[:, None], crowds[None])
    shares = shared / np.maximum(area(detections.boxes), 1e-9)[:, None]
    same = detections.labels[:, None] == truth.labels[None, truth.crowds]
    return ((shares >= FOREGROUND_IOU) & same).any(axis=1)
