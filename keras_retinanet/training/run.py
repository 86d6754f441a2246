"""A training run from a plan to snapshots, numbers and pictures."""

from __future__ import annotations

import contextlib
import math
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_retinanet import models
from keras_retinanet.callbacks.epoch_lines import PrintEpoch
from keras_retinanet.callbacks.states import OutOfTimeError
from keras_retinanet.models.precision import set_precision
from keras_retinanet.preprocessing import pipeline
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system import devices
from keras_retinanet.system.interrupts import interrupts
from keras_retinanet.system.workers import chief_first, this_worker
from keras_retinanet.training import (
    continuing,
    data_sets,
    detector_start,
    distribution,
    output_folder,
    precision,
    resume,
    schedules,
)
from keras_retinanet.training.determinism import make_deterministic
from keras_retinanet.training.freezing import freeze_layers
from keras_retinanet.training.outcome import draw_curves, report, say_what_was_lost
from keras_retinanet.training.plan import SettingWarning, TrainingPlan
from keras_retinanet.training.record import RunRecord
from keras_retinanet.training.run_callbacks import make_callbacks, without_output
from keras_retinanet.training.start_model import (
    build_model,
    describe_model,
    info_of,
    load_snapshot,
    use_model_shapes,
)
from keras_retinanet.training.state import State, describe_data
from keras_retinanet.training.trackers import check_installed, tracking

Log = Callable[[str], None]


@dataclass(frozen=True)
class TrainingResult:
    """What a run gave.

    Attributes:
        model: the trained model.
        history: what was logged in each epoch, by name, such as "loss" and "mAP".
        coco: the twelve COCO numbers on the set to evaluate on, by their names in
            `metrics.COCO_KEYS`; None without evaluation.
        is_done: False if `max_time` ended the run before its last epoch; its state is saved.
    """

    model: models.RetinaNet
    history: dict[str, list[float]]
    coco: dict[str, float] | None
    is_done: bool = True


def train(plan: TrainingPlan, *, log: Log = print) -> TrainingResult:
    """Train a detector, evaluate it, and write snapshots, history and pictures.

    All random numbers follow from `plan.seed`: Keras's, NumPy's and Python's global generators are
    seeded with it.

    Args:
        plan: what to do.
        log: gets lines about what is going on.

    Raises:
        OSError: if a file cannot be read or written.
        ValueError: if data, snapshot or weights are malformed or do not go together; naming the
            place. A `SettingError` names the setting of the plan.
    """
    began = time.monotonic()
    check_installed(plan)
    worker = distribution.worker_of_environment()
    with contextlib.ExitStack() as stack:
        if worker.is_chief:
            stack.enter_context(output_folder.claimed(plan.snapshot_path))
        else:
            log = _say_nothing
        stack.enter_context(distribution.naming_lost_workers(worker))
        if plan.deterministic:
            make_deterministic()
        stack.enter_context(distribution.strategy(plan.multi_gpu).scope())
        result = _train(plan, log, began)
        set_precision(result.model, "float32")  # for whoever saves it
        return result


def _say_nothing(text: str) -> None:
    """Take the lines of a worker that is not the chief."""


def _train(plan: TrainingPlan, log: Log, began: float) -> TrainingResult:
    """Do what `train` says, in a folder that no other run uses, on the devices of the strategy."""
    distribution.check_plan(plan)
    is_chief = this_worker().is_chief
    keras.utils.set_random_seed(plan.seed)
    with chief_first():
        state = resume.start(plan, log)
    plan = precision.resolve(plan, state.record if state else None, log)
    snapshot = resume.load_model(plan, state) if state else load_snapshot(plan, log)
    start = snapshot or detector_start.load_detector(plan, log)
    training, validation = data_sets.open_data(plan, info_of(start) if start else None, log)
    data = describe_data(training)
    if state is not None:
        resume.check_data(data, state)
    total_steps = plan.epochs * (plan.steps or len(training))
    void = plan.void_settings(validation is not None) | schedules.unreached(plan, total_steps)
    for name, problem in void.items():
        warnings.warn(SettingWarning(name, problem), stacklevel=2)
    model = snapshot
    if model is None and start is not None:
        model = detector_start.adapt_detector(plan, start, training, log)
    if model is None:
        model = build_model(plan, training, log)
    info = describe_model(info_of(model), training, plan.box_loss)
    models.set_info(model, info)
    if start is not None:
        use_model_shapes(model, info, training)
    freeze_layers(plan, model, log)
    earlier = RunRecord.from_dict(info.run) if state is None else state.record
    if plan.snapshot is not None and state is None:
        continuing.log_start(plan, earlier, log)
    log(continuing.describe_trained_weights(model))
    chosen = replace(plan, box_loss=info.box_loss.replace("_", "-"))
    log(schedules.describe(chosen, total_steps))
    continuing.compile_model(plan, model, len(training), earlier, state)
    if this_worker().count > 1:
        distribution.check_agreement(
            {
                "settings": plan.fixed_settings(),
                "data": data,
                "state": None if state is None else (state.record.epoch, state.record.step),
                "weights": [zlib.crc32(np.asarray(weight).tobytes()) for weight in model.weights],
            }
        )
    done = plan.initial_epoch if state is None else state.record.epoch
    if not is_chief:
        plan = replace(plan, tensorboard_dir=None, wandb=False, mlflow=False)
    callbacks = make_callbacks(
        *(plan, info.backbone, validation, earlier, done, training),
        verbose=int(sys.stdout.isatty()),
    )
    if not is_chief:
        callbacks = without_output(callbacks)
    history: dict[str, list[float]] = {}
    if state is None or not resume.is_done(plan, state):
        if plan.snapshots and is_chief:
            log(resume.check_room(plan, model, callbacks, done))
        try:
            history = fit(
                *(plan, model, training, validation, callbacks, log),
                data=data,
                state=state,
                deadline=began + 3600 * (plan.max_time or math.inf),
            )
        except OutOfTimeError:
            return stop_in_time(plan, model, log)
    else:
        keras.callbacks.CallbackList(callbacks, model=model)  # the report takes a detector of one
        model.optimizer.finalize_variable_values(model.trainable_weights)  # as at the end of `fit`
    say_what_was_lost(training, log)
    if is_chief:
        draw_curves(plan, log)
    coco = None
    if validation is not None and plan.evaluation:
        coco = report(plan, callbacks, validation, log)
    return TrainingResult(model, history, coco)


def stop_in_time(plan: TrainingPlan, model: models.RetinaNet, log: Log) -> TrainingResult:
    """Say how far a run has come whose time is over; return what it gave."""
    model.optimizer.finalize_variable_values(model.trainable_weights)  # as at the end of `fit`
    record = RunRecord.of_state(plan.snapshot_path)
    if record is not None:
        log(
            f"Stopped after {plan.max_time:g} hours: the state after {record.epoch} epochs and "
            f"{record.step} steps of {plan.epochs} epochs is saved"
        )
    if model.history.history and this_worker().is_chief:  # an epoch is done
        draw_curves(plan, log)
    return TrainingResult(model, model.history.history, None, is_done=False)


def fit(
    plan: TrainingPlan,
    model: models.RetinaNet,
    training: Generator,
    validation: Generator | None,
    callbacks: list[keras.callbacks.Callback],
    log: Log,
    *,
    data: Mapping[str, Any] | None = None,
    state: State | None = None,
    deadline: float = math.inf,
) -> dict[str, list[float]]:
    """Run `fit` on the pipeline of the training set; return what was logged in each epoch.

    Args:
        plan: the plan.
        model: the compiled model.
        training: the set to train on.
        validation: the set to evaluate on; None for none.
        callbacks: those of `make_callbacks`.
        log: gets a line about what begins.
        data: what `describe_data` says of the training set, for the states that are written.
        state: the state from which the run goes on; None for none.
        deadline: when the run has to stop, in seconds of `time.monotonic`.

    Raises:
        OutOfTimeError: if the time is over; the state is saved.
    """
    steps = plan.steps or len(training)
    first_epoch, first_step = plan.initial_epoch, 0
    if state is not None:
        first_epoch, first_step = state.record.epoch, state.record.step
    queue = {"workers": plan.workers, "queue_size": plan.max_queue_size}
    held_out, held_out_steps = None, None
    if plan.compute_val_loss and validation is not None:
        held_out = distribution.distributed(
            lambda part: pipeline.one_epoch(validation, part=part, **queue)
        )
        held_out_steps = len(validation)
    log(
        f"Training {info_of(model).backbone} on {training.size()} images of "
        f"{training.num_classes()} classes: {plan.epochs} epochs of {steps} steps"
    )
    first = first_epoch * steps + first_step
    # With the other normaliser the mean over batches is that over their images.
    shared = plan.accumulate if plan.loss_normaliser == "batch" else 1
    is_terminal, is_chief = sys.stdout.isatty(), this_worker().is_chief
    with (
        tracking(plan) as trackers,
        devices.sharing_cores(plan.workers),
        pipeline.unwrap_errors(training),
        interrupts() as signals,
    ):
        callbacks = [*callbacks, *trackers]
        if is_chief and not is_terminal:
            callbacks.append(PrintEpoch())
        if plan.snapshots:
            evaluates = held_out is not None or (plan.evaluation and validation is not None)
            callbacks = resume.with_state(
                *(plan, model, callbacks, signals, steps),
                evaluates=evaluates,
                data=data,
                state=state,
                deadline=deadline,
            )
        history = model.fit(
            distribution.distributed(
                lambda part: pipeline.batches(
                    training, first_step=first, share_normaliser=shared, part=part, **queue
                )
            ),
            steps_per_epoch=steps,
            initial_epoch=first_epoch,
            epochs=plan.epochs,
            validation_data=held_out,
            validation_steps=held_out_steps,
            callbacks=callbacks,
            shuffle=False,  # the pipeline does
            verbose="auto" if is_chief and is_terminal else 0,
        )
    return history.history
