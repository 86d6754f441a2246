"""The callbacks of a training run, in their order."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_retinanet.callbacks.averages import SwapAverages
from keras_retinanet.callbacks.coco import CocoEval
from keras_retinanet.callbacks.common import Evaluation
from keras_retinanet.callbacks.counters import KeepCounters
from keras_retinanet.callbacks.divergence import StopOnDivergence
from keras_retinanet.callbacks.eval import Evaluate
from keras_retinanet.callbacks.history import WriteHistory
from keras_retinanet.callbacks.snapshots import SaveSnapshots
from keras_retinanet.callbacks.timing import LogSpeed
from keras_retinanet.evaluation import measure
from keras_retinanet.optimizers import current_rate
from keras_retinanet.preprocessing import pipeline
from keras_retinanet.preprocessing.data import CocoData
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.workers import this_worker
from keras_retinanet.training import output_folder
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.record import RunRecord
from keras_retinanet.training.trackers import check_installed

# The file of the average precision of each class, beside the history.
CLASS_HISTORY = "class_ap.csv"


def make_callbacks(
    plan: TrainingPlan,
    backbone: str,
    validation: Generator | None,
    earlier: RunRecord | None = None,
    epochs_done: int | None = None,
    training: Generator | None = None,
    *,
    verbose: int = 1,
) -> list[keras.callbacks.Callback]:
    """Return the callbacks in their order.

    What adds to the logs comes before what writes them, what changes the learning rate before what
    saves it. All that evaluates or saves the model is between the two that exchange its averages.

    Args:
        plan: the plan.
        backbone: name of the backbone, for the names of snapshots.
        validation: the set to evaluate on; None for none.
        earlier: what the snapshot or state that the run continues knows of it; None if nothing.
        epochs_done: number of epochs done; None for `plan.initial_epoch`.
        training: the set to train on, to name the images of a step where the loss is lost; None if
            it is not at hand.
        verbose: 1 to let them print what they do.
    """
    done = plan.initial_epoch if epochs_done is None else epochs_done
    if this_worker().is_chief:
        os.makedirs(plan.snapshot_path, exist_ok=True)
    find_images = functools.partial(pipeline.step_images, training) if training else None
    callbacks: list[keras.callbacks.Callback] = [
        LogSpeed(),
        StopOnDivergence(earlier.step if earlier else 0, find_images),
    ]
    tensorboard = make_tensorboard(plan)
    evaluation: Evaluation | None = None
    if plan.evaluation and validation is not None:
        options: dict[str, Any] = {
            "tensorboard": tensorboard,
            "max_detections": measure.detection_limit(validation, plan.max_detections),
            "class_history": WriteHistory(os.path.join(plan.snapshot_path, CLASS_HISTORY), done),
            "verbose": verbose,
        }
        if isinstance(plan.data, CocoData):
            evaluation = CocoEval(validation, **options)
        else:
            evaluation = Evaluate(validation, weighted_average=plan.weighted_average, **options)
        callbacks.append(evaluation)
    if plan.lr_schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor="loss",
                factor=plan.reduce_lr_factor,
                patience=plan.reduce_lr_patience,
                min_delta=0.0001,
                verbose=verbose,
            )
        )
    if evaluation and plan.early_stopping:
        callbacks.append(
            keras.callbacks.EarlyStopping("mAP", patience=5, mode="max", min_delta=0.01)
        )
    name = f"{backbone}_{plan.data.name}_{{epoch:02d}}.{plan.snapshot_format}"

    def describe_run(epoch: int) -> dict[str, Any]:
        rate = current_rate(counters.model.optimizer)
        record = RunRecord(epoch, plan.kept_settings(), counters.values(), learning_rate=rate)
        return record.to_dict()

    snapshots = SaveSnapshots(
        os.path.join(plan.snapshot_path, name),
        describe_run=describe_run,
        keep=plan.keep,
        written=earlier.snapshots if earlier else None,
        verbose=verbose,
    )
    counting = [*callbacks, snapshots] if plan.snapshots else callbacks
    counters = KeepCounters(counting, earlier.counters if earlier and done else {})
    callbacks.append(counters)
    if plan.snapshots:
        callbacks.append(snapshots)
    history = os.path.join(plan.snapshot_path, "history.csv")
    callbacks.append(WriteHistory(history, done))
    if plan.ema is not None:
        callbacks = [SwapAverages(validates=True), *callbacks, SwapAverages()]
    return callbacks + ([tensorboard] if tensorboard else [])


def without_output(
    callbacks: Sequence[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    """Return those of some callbacks that decide how training goes on, and let them be silent.

    They are for the workers that are not the chief, which writes.
    """
    found = [callback for callback in callbacks if isinstance(callback, _DECIDING)]
    for callback in found:
        if hasattr(callback, "verbose"):
            callback.verbose = 0
    return found


_DECIDING = (
    *(LogSpeed, StopOnDivergence, Evaluation, SwapAverages, KeepCounters),
    *(keras.callbacks.ReduceLROnPlateau, keras.callbacks.EarlyStopping),
)


def make_tensorboard(plan: TrainingPlan) -> keras.callbacks.TensorBoard | None:
    """Return TensorBoard's callback; None if it is not wanted.

    Raises:
        SettingError: if TensorBoard is not installed.
    """
    if not plan.tensorboard_dir:
        return None
    check_installed(plan)
    output_folder.check_writable(plan.tensorboard_dir)
    return keras.callbacks.TensorBoard(plan.tensorboard_dir, update_freq=plan.tensorboard_freq)
