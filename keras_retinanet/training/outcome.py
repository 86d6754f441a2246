"""What a run says and draws at its end."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

import keras

from keras_retinanet.callbacks.coco import CocoEval
from keras_retinanet.callbacks.eval import Evaluate
from keras_retinanet.evaluation import measure
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.reports.curves import plot_history
from keras_retinanet.reports.detection_sheet import write_detection_sheet
from keras_retinanet.reports.numbers import format_numbers
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.workers import this_worker
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.run_callbacks import CLASS_HISTORY

Log = Callable[[str], None]


def draw_curves(plan: TrainingPlan, log: Log) -> None:
    """Draw the curves of the history, and say where they are."""
    curves = os.path.join(plan.snapshot_path, "curves.png")
    plot_history(os.path.join(plan.snapshot_path, "history.csv"), curves)
    log(f"Curves: {curves}")


def say_what_was_lost(training: Generator, log: Log) -> None:
    """Warn about images and boxes that could not be trained, and say how many were changed."""
    if training.skipped:
        warnings.warn(
            f"skipped {len(training.skipped)} of {training.size()} images, unreadable: "
            f"{shorten(', '.join(sorted(training.skipped)), 1000)}",
            stacklevel=3,
        )
    dropped, clipped = training.dropped_in_training, training.clipped
    if dropped:
        warnings.warn(
            f"dropped {sum(dropped.values())} boxes of {len(dropped)} images, without area or not "
            "inside their image (retinanet-debug --check names all)",
            stacklevel=3,
        )
    if clipped:
        log(
            f"Clipped {sum(clipped.values())} boxes of {len(clipped)} images, which left their "
            "image by up to a pixel"
        )


def report(
    plan: TrainingPlan, callbacks: list[keras.callbacks.Callback], validation: Generator, log: Log
) -> dict[str, float]:
    """Say how good the trained model is, and draw what it finds; return the COCO numbers."""
    # The detector of the evaluation after each epoch is ready; a new one would be traced again.
    evaluation = next(call for call in callbacks if isinstance(call, (CocoEval, Evaluate)))
    limit = evaluation.max_detections
    detections, seconds = measure.detect_dataset(
        validation, evaluation.detector(), batch_size=plan.batch_size
    )
    precisions = measure.pascal_numbers(validation, [found.best(limit) for found in detections])
    coco = measure.coco_numbers(validation, detections, limit)
    log(f"\nThe trained model on {validation.size()} held-out images:")
    place = os.path.join(plan.snapshot_path, CLASS_HISTORY)
    log(
        format_numbers(
            *(validation, precisions, coco, seconds, limit), shortened=True, all_in=place
        )
    )
    if not this_worker().is_chief:
        return coco
    sheet = os.path.join(plan.snapshot_path, "detections.png")
    write_detection_sheet(validation, detections, sheet)
    log(f"Left ground truth, right detections: {sheet}")
    return coco
