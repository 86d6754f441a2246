"""The callbacks of a training run, in their order."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import keras

from keras_retinanet.callbacks.coco import CocoEval
from keras_retinanet.callbacks.common import Evaluation
from keras_retinanet.callbacks.counters import KeepCounters
from keras_retinanet.callbacks.eval import Evaluate
from keras_retinanet.callbacks.history import StopOnNaN, WriteHistory
from keras_retinanet.callbacks.snapshots import SaveSnapshots
from keras_retinanet.evaluation import measure
from keras_retinanet.preprocessing.data import CocoData
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.training import output_folder
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.record import RunRecord
from keras_retinanet.training.settings import SettingError


def make_callbacks(
    plan: TrainingPlan,
    backbone: str,
    validation: Generator | None,
    earlier: RunRecord | None = None,
    epochs_done: int | None = None,
) -> list[keras.callbacks.Callback]:
    """Return the callbacks in their order.

    What adds to the logs comes before what writes them, what changes the learning rate before what
    saves it.

    Args:
        plan: the plan.
        backbone: name of the backbone, for the names of snapshots.
        validation: the set to evaluate on; None for none.
        earlier: what the snapshot or state that the run continues knows of it; None if nothing.
        epochs_done: number of epochs done; None for `plan.initial_epoch`.
    """
    done = plan.initial_epoch if epochs_done is None else epochs_done
    os.makedirs(plan.snapshot_path, exist_ok=True)
    callbacks: list[keras.callbacks.Callback] = [StopOnNaN()]
    tensorboard = make_tensorboard(plan)
    evaluation: Evaluation | None = None
    if plan.evaluation and validation is not None:
        limit = measure.detection_limit(validation, plan.max_detections)
        if isinstance(plan.data, CocoData):
            evaluation = CocoEval(validation, tensorboard=tensorboard, max_detections=limit)
        else:
            evaluation = Evaluate(
                validation,
                tensorboard=tensorboard,
                max_detections=limit,
                weighted_average=plan.weighted_average,
            )
        callbacks.append(evaluation)
    if plan.lr_schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor="loss",
                factor=plan.reduce_lr_factor,
                patience=plan.reduce_lr_patience,
                min_delta=0.0001,
                verbose=1,
            )
        )
    if evaluation and plan.early_stopping:
        callbacks.append(
            keras.callbacks.EarlyStopping("mAP", patience=5, mode="max", min_delta=0.01)
        )
    counters = KeepCounters(callbacks, earlier.counters if earlier and done else {})
    callbacks.append(counters)
    if plan.snapshots:
        name = f"{backbone}_{plan.data.name}_{{epoch:02d}}.{plan.snapshot_format}"

        def describe_run(epoch: int) -> dict[str, Any]:
            rate = float(counters.model.optimizer.learning_rate)
            record = RunRecord(epoch, plan.kept_settings(), counters.values(), learning_rate=rate)
            return record.to_dict()

        path = os.path.join(plan.snapshot_path, name)
        callbacks.append(SaveSnapshots(path, describe_run=describe_run))
    history = os.path.join(plan.snapshot_path, "history.csv")
    callbacks.append(WriteHistory(history, done))
    return callbacks + ([tensorboard] if tensorboard else [])


def make_tensorboard(plan: TrainingPlan) -> keras.callbacks.TensorBoard | None:
    """Return TensorBoard's callback; None if it is not wanted.

    Raises:
        SettingError: if TensorBoard is not installed.
    """
    if not plan.tensorboard_dir:
        return None
    if importlib.util.find_spec("tensorboard") is None:
        raise SettingError("tensorboard_dir", "needs TensorBoard: pip install tensorboard")
    output_folder.check_writable(plan.tensorboard_dir)
    return keras.callbacks.TensorBoard(plan.tensorboard_dir, update_freq=plan.tensorboard_freq)
