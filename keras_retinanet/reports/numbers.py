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


def format_numbers(
    generator: Generator,
    precisions: Mapping[int, tuple[float, int]],
    summary: Mapping[str, float],
    seconds: float,
    max_detections: int = measure.DEFAULT_LIMIT,
) -> str:
    """Return the lines that keras-retinanet 1.0.0 printed, then the COCO table.

    Args:
        generator: the data set.
        precisions: what `measure.pascal_numbers` returns.
        summary: what `measure.coco_numbers` returns.
        seconds: seconds that the network took per image.
        max_detections: the number that the COCO numbers were measured with.
    """
    lines = [metrics.format_pascal(precisions, measure.class_names(generator))]
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
