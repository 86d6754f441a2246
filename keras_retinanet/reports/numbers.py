"""The numbers of an evaluation as text and as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping

from keras_retinanet.evaluation import measure, metrics
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.files import atomic_write
from keras_retinanet.system.types import StrPath

# The COCO numbers in the JSON file: all but recall by size, which published results leave out.
_JSON_KEYS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")
# Of how many classes, the best and the worst each, there is a line where there are more.
_BEST_AND_WORST = 10


def format_classes(
    precisions: Mapping[int, tuple[float, int]], names: Mapping[int, str], all_in: str | None = None
) -> str:
    """Return a line per class as `metrics.format_pascal` does, at most as many as fit on a screen.

    Of more than twenty classes it has the ten best and the ten worst of those with boxes.

    Args:
        precisions: label -> (average precision, number of ground truth boxes).
        names: label -> name.
        all_in: where the numbers of all classes are; None for nowhere.
    """
    if len(precisions) <= 2 * _BEST_AND_WORST:
        return metrics.format_pascal(precisions, names)
    known = [label for label, (_, count) in precisions.items() if count]
    order = sorted(known, key=lambda label: -precisions[label][0])
    best, worst = order[:_BEST_AND_WORST], order[_BEST_AND_WORST:][-_BEST_AND_WORST:]
    counts = {
        "between these": len(order) - len(best) - len(worst),
        "without boxes": len(precisions) - len(order),
    }
    left_out = " and ".join(f"{count} classes {which}" for which, count in counts.items() if count)
    place = f" (all are in {all_in})" if all_in else ""
    parts = [{label: precisions[label] for label in labels} for labels in (best, worst) if labels]
    lines = [metrics.format_pascal(part, names) for part in parts]
    return "\n".join([*lines[:1], f"... {left_out}{place}", *lines[1:]])


def format_numbers(
    generator: Generator,
    precisions: Mapping[int, tuple[float, int]],
    summary: Mapping[str, float],
    seconds: float,
    max_detections: int = measure.DEFAULT_LIMIT,
    *,
    shortened: bool = False,
    all_in: str | None = None,
) -> str:
    """Return the lines that keras-retinanet 1.0.0 printed, then the COCO table.

    Args:
        generator: the data set.
        precisions: what `measure.pascal_numbers` returns.
        summary: what `measure.coco_numbers` returns.
        seconds: seconds that the network took per image.
        max_detections: the number that the COCO numbers were measured with.
        shortened: whether there are lines of some classes only if there are many.
        all_in: then, where the numbers of all classes are; None for nowhere.
    """
    names = measure.class_names(generator)
    lines = [
        format_classes(precisions, names, all_in)
        if shortened
        else metrics.format_pascal(precisions, names)
    ]
    if any(count for _, count in precisions.values()):
        weighted = metrics.mean_average_precision(precisions, weighted=True)
        lines += [
            f"Inference time for {generator.size()} images: {seconds:.4f}",
            f"mAP using the weighted average of precisions among classes: {weighted:.4f}",
            f"mAP: {metrics.mean_average_precision(precisions):.4f}",
        ]
    else:
        lines.append("No test instances found.")
    return "\n".join([*lines, metrics.format_coco(summary, max_detections)])


def write_json(
    path: StrPath,
    generator: Generator,
    precisions: Mapping[int, tuple[float, int]],
    summary: Mapping[str, float],
    seconds: float,
) -> None:
    """Write the numbers to a JSON file, atomically.

    Args:
        path: the file.
        generator: the data set.
        precisions: what `measure.pascal_numbers` returns.
        summary: what `measure.coco_numbers` returns.
        seconds: seconds that the network took per image.

    Raises:
        OSError: if the file cannot be written.
    """
    names = measure.class_names(generator)
    contents = {
        "coco": {key: summary[key] for key in _JSON_KEYS},
        "pascal": {
            "mAP": metrics.mean_average_precision(precisions),
            "weighted_mAP": metrics.mean_average_precision(precisions, weighted=True),
            "per_class": {
                names[label]: {"AP": precision, "instances": count}
                for label, (precision, count) in precisions.items()
            },
        },
        "images": generator.size(),
        "seconds_per_image": seconds,
    }
    atomic_write(path, json.dumps(contents, indent=1) + "\n")
