"""Detections and ground truth in, numbers out: Pascal VOC's average precision, the COCO summary.

Every function takes arrays (or dictionaries in COCO form) and returns plain numbers; none needs a
model, an image or a data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from keras_retinanet.detection.detections import Detections, coco_ground_truth, coco_results
from keras_retinanet.geometry.boxes import iou
from keras_retinanet.system.machine import gc_paused
from keras_retinanet.system.types import Annotations

__all__ = [
    "COCO_KEYS",
    "Detections",
    "average_precision",
    "coco_evaluation",
    "coco_ground_truth",
    "coco_results",
    "coco_summary",
    "format_coco",
    "format_pascal",
    "match_detections",
    "mean_average_precision",
    "pascal_average_precisions",
    "precision_by_range",
]

# Name, "Precision" or "Recall", IoU, area, detections per image, in the order of COCOeval.stats.
_COCO_ROWS = (
    ("AP", "Precision", "0.50:0.95", "all", 100),
    ("AP50", "Precision", "0.50", "all", 100),
    ("AP75", "Precision", "0.75", "all", 100),
    ("APs", "Precision", "0.50:0.95", "small", 100),
    ("APm", "Precision", "0.50:0.95", "medium", 100),
    ("APl", "Precision", "0.50:0.95", "large", 100),
    ("AR1", "Recall", "0.50:0.95", "all", 1),
    ("AR10", "Recall", "0.50:0.95", "all", 10),
    ("AR100", "Recall", "0.50:0.95", "all", 100),
    ("ARs", "Recall", "0.50:0.95", "small", 100),
    ("ARm", "Recall", "0.50:0.95", "medium", 100),
    ("ARl", "Recall", "0.50:0.95", "large", 100),
)
COCO_KEYS = tuple(row[0] for row in _COCO_ROWS)


def average_precision(recall: np.ndarray, precision: np.ndarray) -> float:
    """Return the area under the interpolated precision-recall curve.

    Interpolated means that the precision at a recall is the maximum precision at that or any higher
    recall (Pascal VOC 2010 development kit, section 3.4.1). Beyond the last recall the precision
    is 0.

    Args:
        recall: (n,) increasing, in [0, 1]; n may be 0.
        precision: (n,) in [0, 1], the precision at each recall.

    Returns:
        A number in [0, 1].
    """
    steps = np.diff(np.asarray(recall, "float64"), prepend=0.0)
    envelope = np.maximum.accumulate(np.asarray(precision, "float64")[::-1])[::-1]
    return float(steps @ envelope)


def match_detections(boxes: np.ndarray, truth: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Return which detections of one class in one image are true positives.

    Each detection is matched to the ground truth box with the highest IoU. It is a true positive if
    that IoU reaches the threshold and no earlier detection was matched to the box. (COCO differs:
    there a detection may fall back to its second best box.)

    Args:
        boxes: (n, 4) detections, best score first.
        truth: (m, 4) ground truth boxes.
        iou_threshold: minimum IoU, inclusive.

    Returns:
        (n,) booleans, True for a true positive.
    """
    true = np.zeros(len(boxes), bool)
    if len(boxes) == 0 or len(truth) == 0:
        return true
    overlaps = iou(np.asarray(boxes, "float64"), np.asarray(truth, "float64"))
    nearest = overlaps.argmax(axis=1)
    reached = np.flatnonzero(overlaps[np.arange(len(boxes)), nearest] >= iou_threshold)
    _, first = np.unique(nearest[reached], return_index=True)
    true[reached[first]] = True
    return true


def pascal_average_precisions(
    annotations: Sequence[Annotations],
    detections: Sequence[Detections],
    labels: Iterable[int],
    iou_threshold: float = 0.5,
) -> dict[int, tuple[float, int]]:
    """Return the average precision and the number of ground truth boxes of each class.

    IoU is that of continuous boxes, without the extra pixel of the Pascal VOC development kit.

    Args:
        annotations: for each image {"bboxes": (m, 4), "labels": (m,)}.
        detections: for each image, in the same order, best score first.
        labels: the classes to report.
        iou_threshold: minimum IoU of a true positive.

    Returns:
        label -> (average precision, number of ground truth boxes); (0.0, 0) for a class without
        boxes.

    Raises:
        ValueError: if the two lists differ in length.
    """
    if len(annotations) != len(detections):
        raise ValueError(
            f"expected the detections of {len(annotations)} annotated images, got {len(detections)}"
        )
    return {
        int(label): _class_precision(label, annotations, detections, iou_threshold)
        for label in labels
    }


def _class_precision(
    label: int,
    annotations: Sequence[Annotations],
    detections: Sequence[Detections],
    iou_threshold: float,
) -> tuple[float, int]:
    scores: list[np.ndarray] = []
    true: list[np.ndarray] = []
    instances = 0
    for truth, found in zip(annotations, detections, strict=True):
        boxes = truth["bboxes"][truth["labels"] == label]
        of_label = found.labels == label
        instances += len(boxes)
        scores.append(found.scores[of_label])
        true.append(match_detections(found.boxes[of_label], boxes, iou_threshold))
    if instances == 0:
        return 0.0, 0
    # A stable sort keeps equal scores in the order of the images, so the number is reproducible.
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hits = np.cumsum(np.concatenate(true)[order])
    return average_precision(hits / instances, hits / np.arange(1, len(hits) + 1)), instances


def mean_average_precision(
    precisions: Mapping[int, tuple[float, int]], weighted: bool = False
) -> float:
    """Return the mean over the classes that have ground truth boxes.

    Args:
        precisions: label -> (average precision, number of ground truth boxes).
        weighted: whether to weight each class by its number of boxes.

    Returns:
        A number in [0, 1]; 0.0 if no class has a box.
    """
    weights = [count if weighted else float(count > 0) for _, count in precisions.values()]
    total = sum(weights)
    values = (ap for ap, _ in precisions.values())
    return (
        float(sum(w * ap for w, ap in zip(weights, values, strict=True)) / total) if total else 0.0
    )


def format_pascal(precisions: Mapping[int, tuple[float, int]], names: Mapping[int, str]) -> str:
    """Return one line per class, worded as in keras-retinanet 1.0.0."""
    return "\n".join(
        f"{count:.0f} instances of class {names[label]} with average precision: {precision:.4f}"
        for label, (precision, count) in precisions.items()
    )


def coco_summary(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]] | np.ndarray,
    image_ids: Iterable[int] | None = None,
    max_detections: int = 100,
) -> dict[str, float]:
    """Return the twelve COCO numbers for boxes, the first part of `coco_evaluation`."""
    return coco_evaluation(ground_truth, detections, image_ids, max_detections)[0]


def coco_evaluation(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]] | np.ndarray,
    image_ids: Iterable[int] | None = None,
    max_detections: int = 100,
) -> tuple[dict[str, float], dict[int, float]]:
    """Return the twelve COCO numbers for boxes, and the AP of each category.

    They are defined at https://cocodataset.org/#detection-eval.

    Detections inside a box marked "iscrowd" count neither as true nor as false.

    Args:
        ground_truth: a COCO "instances" dictionary; a missing "area" is that of the box, a missing
            "iscrowd" is 0.
        detections: [{"image_id", "category_id", "bbox", "score"}], or an (n, 7) array of image id,
            x, y, width, height, score, category id.
        image_ids: the images to evaluate; None for all.
        max_detections: maximum number of detections of a class in an image, the best ones, for all
            keys but AR1 and AR10. It is 100 by definition; only a higher number changes that.

    Returns:
        COCO_KEYS -> number in [0, 1], or -1 if there is no ground truth to measure it by; and id of
        a category -> its AP, of those that have ground truth. The mean of these is "AP".

    Raises:
        ValueError: if a detection belongs to an image that the ground truth does not have.
    """
    run = _evaluator(ground_truth, detections, image_ids, max_detections)
    if run is None:
        return dict.fromkeys(COCO_KEYS, -1.0), {}
    with gc_paused():
        run.run()
    # (IoU, recall, category, area, detections per image), -1 where there is no ground truth.
    precisions = run.eval["precision"][:, :, :, 0, -1].mean(axis=(0, 1)).tolist()
    by_category = dict(zip(run.params.catIds, precisions, strict=True))
    return (
        dict(zip(COCO_KEYS, map(float, run.stats), strict=True)),
        {int(number): ap for number, ap in by_category.items() if ap >= 0},
    )


def precision_by_range(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]] | np.ndarray,
    measure: Callable[[float, float], float],
    edges: Sequence[float],
    image_ids: Iterable[int] | None = None,
    max_detections: int = 100,
) -> list[tuple[float, int]]:
    """Return the AP of objects in ranges of something that width and height tell.

    It is measured as COCO measures that of small, medium and large objects: in each range, objects
    of others and detections that found none of the range and are of others do not count.

    Args:
        ground_truth: a COCO "instances" dictionary.
        detections: as for `coco_evaluation`.
        measure: function of width and height of a box.
        edges: the borders of the ranges, increasing; those outside the first and last do not count.
        image_ids: the images to evaluate; None for all.
        max_detections: maximum number of detections of a class in an image.

    Returns:
        For each range the AP, -1 without objects, and the number of objects.
    """
    run = _evaluator(ground_truth, detections, image_ids, max_detections)
    ranges = list(pairwise(edges))
    if run is None:
        return [(-1.0, 0)] * len(ranges)
    for side in (run.cocoGt, run.cocoDt):
        for item in side.anns.values():
            item["area"] = measure(*item["bbox"][2:])
    run.params.areaRng = [list(limits) for limits in ranges]
    run.params.areaRngLbl = [str(limits) for limits in ranges]
    with gc_paused():
        run.evaluate()
        run.accumulate()
    chosen = set(run.params.imgIds)
    values = [
        item["area"]
        for item in run.cocoGt.anns.values()
        if item["image_id"] in chosen and not item["iscrowd"]
    ]
    # (IoU, recall, category, range, detections per image)
    precisions = run.eval["precision"][..., -1]
    aps = []
    for i, (low, high) in enumerate(ranges):
        measured = precisions[:, :, :, i][precisions[:, :, :, i] > -1]
        count = sum(low <= value <= high for value in values)
        aps.append((float(measured.mean()) if len(measured) else -1.0, count))
    return aps


def _evaluator(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]] | np.ndarray,
    image_ids: Iterable[int] | None,
    max_detections: int,
) -> COCOeval_faster | None:
    """Return an evaluator of copies of both; None if there is no image or no category.

    Raises:
        ValueError: if a detection belongs to an image that the ground truth does not have.
    """
    known = {image["id"] for image in ground_truth["images"]}
    chosen = sorted(known if image_ids is None else set(image_ids))
    with gc_paused():
        found = _evaluator_detections(detections)
        foreign = sorted({item["image_id"] for item in found} - known)
        if foreign:
            raise ValueError(
                f"detections of images that the ground truth does not have: {foreign[:5]}"
            )
        if not chosen or not ground_truth["categories"]:
            return None
        truth = _evaluator_truth(ground_truth)
        sides = [
            COCO(dataset, print_function=_silent)
            for dataset in (truth, {**truth, "annotations": found})
        ]
    run = COCOeval_faster(*sides, "bbox", print_function=_silent)
    run.params.imgIds = chosen
    run.params.maxDets = [1, 10, max(100, max_detections)]
    return run


def _evaluator_detections(
    detections: Sequence[Mapping[str, Any]] | np.ndarray,
) -> list[dict[str, Any]]:
    """Return detections as annotations for the evaluator."""
    rows: Iterable[tuple[int, int, list[float], float]]
    if isinstance(detections, np.ndarray):
        image_ids, category_ids = (detections[:, i].astype("int64").tolist() for i in (0, 6))
        boxes, scores = detections[:, 1:5].tolist(), detections[:, 5].tolist()
        rows = zip(image_ids, category_ids, boxes, scores, strict=True)
    else:
        rows = (
            (item["image_id"], item["category_id"], list(item["bbox"]), item["score"])
            for item in detections
        )
    return [
        {
            "id": number,
            "image_id": image_id,
            "category_id": category_id,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
            "score": score,
        }
        for number, (image_id, category_id, box, score) in enumerate(rows, start=1)
    ]


def _evaluator_truth(ground_truth: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return a copy of what the evaluator reads, with ids from 1.

    The evaluator writes into the annotations, and takes an id of 0 for "no match".
    """
    return {
        "images": [dict(image) for image in ground_truth["images"]],
        "categories": [dict(category) for category in ground_truth["categories"]],
        "annotations": [
            {
                "id": number,
                "image_id": item["image_id"],
                "category_id": item["category_id"],
                "bbox": list(item["bbox"]),
                "area": item.get("area", item["bbox"][2] * item["bbox"][3]),
                "iscrowd": item.get("iscrowd", 0),
            }
            for number, item in enumerate(ground_truth["annotations"], start=1)
        ],
    }


def _silent(*_: Any) -> None:
    """Discard what the evaluator would print."""


def format_coco(summary: Mapping[str, float], max_detections: int = 100) -> str:
    """Return the table that pycocotools prints, one line for each key of the summary.

    Args:
        summary: what `coco_summary` returns.
        max_detections: the number it was measured with.
    """
    return "\n".join(
        f" {'Average ' + measure:<18} (A{measure[0]}) @[ IoU={overlap:<9} | area={area:>6} "
        f"| maxDets={max(100, max_detections) if count == 100 else count:>3} ] = {summary[key]:.3f}"
        for key, measure, overlap, area, count in _COCO_ROWS
        if key in summary
    )
