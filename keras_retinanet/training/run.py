"""A training run from a plan to snapshots, numbers and pictures."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from keras_retinanet import models
from keras_retinanet.callbacks.coco import CocoEval
from keras_retinanet.callbacks.eval import Evaluate
from keras_retinanet.evaluation import measure
from keras_retinanet.geometry.anchors import (
    DEFAULT_LEVELS,
    AnchorParameters,
    make_shapes_callback,
    matches_default_shapes,
)
from keras_retinanet.images import IN_NETWORK
from keras_retinanet.models.freeze import backbone_layers, freeze
from keras_retinanet.models.retinanet import extract_training_model
from keras_retinanet.models.snapshots import check_backbone
from keras_retinanet.preprocessing import pipeline
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.reports.curves import plot_history
from keras_retinanet.reports.detection_sheet import write_detection_sheet
from keras_retinanet.reports.numbers import format_numbers
from keras_retinanet.system import devices
from keras_retinanet.system.interrupts import interrupts
from keras_retinanet.system.messages import shorten
from keras_retinanet.training import (
    continuing,
    data_sets,
    detector_start,
    output_folder,
    resume,
    schedules,
)
from keras_retinanet.training.determinism import make_deterministic
from keras_retinanet.training.distribution import strategy
from keras_retinanet.training.plan import (
    DEFAULT_BACKBONE,
    SettingError,
    SettingWarning,
    TrainingPlan,
)
from keras_retinanet.training.record import RunRecord
from keras_retinanet.training.run_callbacks import make_callbacks
from keras_retinanet.training.state import State, describe_data

Log = Callable[[str], None]


@dataclass(frozen=True)
class TrainingResult:
    """What a run gave.

    Attributes:
        model: the trained model.
        history: what was logged in each epoch, by name, such as "loss" and "mAP".
        coco: the twelve COCO numbers on the set to evaluate on, by their names in
            `metrics.COCO_KEYS`; None without evaluation.
    """

    model: models.RetinaNet
    history: dict[str, list[float]]
    coco: dict[str, float] | None


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
    with output_folder.claimed(plan.snapshot_path):
        return _train(plan, log)


def _train(plan: TrainingPlan, log: Log) -> TrainingResult:
    """Do what `train` says, in a folder that no other run uses."""
    if plan.deterministic:
        make_deterministic()
    keras.utils.set_random_seed(plan.seed)
    state = resume.start(plan, log)
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
    with strategy(plan.multi_gpu).scope():
        model = snapshot
        if model is None and start is not None:
            model = detector_start.adapt_detector(plan, start, training, log)
        if model is None:
            model = build_model(plan, training, log)
        info = describe_model(info_of(model), training)
        models.set_info(model, info)
        if start is not None:
            use_model_shapes(model, info, training)
            if plan.freeze_backbone:
                for layer in backbone_layers(model):
                    layer.trainable = False
        earlier = RunRecord.from_dict(info.run) if state is None else state.record
        if plan.snapshot is not None and state is None:
            continuing.log_start(plan, earlier, log)
        log(continuing.describe_trained_weights(model))
        log(schedules.describe(plan, total_steps))
        continuing.compile_model(plan, model, len(training), earlier, state)
    if plan.snapshots:
        output_folder.check_room(plan.snapshot_path, output_folder.state_size(model))
    done = plan.initial_epoch if state is None else state.record.epoch
    callbacks = make_callbacks(plan, info.backbone, validation, earlier, done)
    history: dict[str, list[float]] = {}
    if state is None or not resume.is_done(plan, state):
        history = fit(plan, model, training, validation, callbacks, log, data=data, state=state)
    else:
        keras.callbacks.CallbackList(callbacks, model=model)  # the report takes a detector of one
    say_what_was_lost(training, log)
    curves = os.path.join(plan.snapshot_path, "curves.png")
    plot_history(os.path.join(plan.snapshot_path, "history.csv"), curves)
    log(f"Curves: {curves}")
    coco = None
    if validation is not None and plan.evaluation:
        coco = report(plan, callbacks, validation, log)
    return TrainingResult(model, history, coco)


def load_snapshot(plan: TrainingPlan, log: Log) -> models.RetinaNet | None:
    """Return the training model to continue with; None to build a new one.

    Raises:
        OSError: if there is no such file.
        ValueError: if it holds no model of this package, or one that does not fit the plan.
    """
    if plan.snapshot is None:
        return None
    log("Loading model, this may take a second...")
    hint = {"backbone_name": plan.backbone} if plan.backbone else {}
    model = models.load_model(plan.snapshot, compile=True, **hint)
    if plan.backbone == DEFAULT_BACKBONE:  # for `load_model` that is no name somebody gave
        check_backbone(model, plan.backbone)
    if not models.is_training_model(model):
        log("This is a converted model: continuing with the training model inside it")
        model = extract_training_model(model)
    if plan.normalise_on_device and info_of(model).normalisation != IN_NETWORK:
        raise SettingError(
            "normalise_on_device",
            f"the model in {plan.snapshot} takes normalised images; start a new model from it "
            "with weights instead",
        )
    return model


def info_of(model: models.RetinaNet) -> models.ModelInfo:
    """Return what a model knows about itself.

    Raises:
        ValueError: if nobody told it, as `models.set_info` does.
    """
    if model.info is None:
        raise ValueError(
            "expected a snapshot that knows its backbone and normalisation, got a model without: "
            "start a new model from it instead (--weights)"
        )
    return model.info


def build_model(plan: TrainingPlan, generator: Generator, log: Log) -> models.RetinaNet:
    """Return a new training model with the weights that the plan names.

    Raises:
        OSError: if there is no such file.
        ValueError: if no weights fit, or cannot be downloaded.
    """
    log("Creating model, this may take a second...")
    backbone = models.backbone(plan.backbone or DEFAULT_BACKBONE)
    weights = plan.weights
    if weights is None and plan.imagenet_weights:
        weights = backbone.download_imagenet()
    anchors = generator.config.anchor_params
    model = backbone.retinanet(
        num_classes=generator.num_classes(),
        num_anchors=anchors.num_anchors() if anchors else None,
        pyramid_levels=generator.config.pyramid_levels,
        modifier=freeze if plan.freeze_backbone else None,
        # Batch norm of trained weights keeps its statistics; without weights it must learn them.
        freeze_bn=weights is not None,
        feature_size=plan.feature_size,
        hidden_initializer=plan.hidden_initializer,
        normalise_on_device=plan.normalise_on_device,
    )
    if weights is not None:
        log(f"{weights}: {models.load_weights(model, weights).summary()}")
    return model


def describe_model(info: models.ModelInfo, generator: Generator) -> models.ModelInfo:
    """Return what the snapshots of a model should know, now that it has met its data."""
    return replace(
        info,
        num_classes=generator.num_classes(),
        class_names=tuple(generator.class_names()),
        anchors=generator.config.anchor_params or AnchorParameters.default,
        pyramid_levels=tuple(generator.config.pyramid_levels or DEFAULT_LEVELS),
        image_min_side=generator.image_min_side,
        image_max_side=generator.image_max_side,
        no_resize=generator.no_resize,
        match_every_box=generator.match_every_box,
    )


def use_model_shapes(model: models.RetinaNet, info: models.ModelInfo, generator: Generator) -> None:
    """Let a generator ask a model for the shapes of its levels where they are not the usual ones.

    New models round strides up; some snapshots of keras-retinanet 1.0.0 round down. A model that
    pads images gets them padded.
    """
    if info.pad_multiple == 1 and not matches_default_shapes(model, info.pyramid_levels):
        generator.compute_shapes = make_shapes_callback(model)


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
    """
    steps = plan.steps or len(training)
    first_epoch, first_step = plan.initial_epoch, 0
    if state is not None:
        first_epoch, first_step = state.record.epoch, state.record.step
    queue = {"workers": plan.workers, "queue_size": plan.max_queue_size}
    held_out = None
    if plan.compute_val_loss and validation is not None:
        held_out = pipeline.one_epoch(validation, **queue)
    log(
        f"Training {info_of(model).backbone} on {training.size()} images of "
        f"{training.num_classes()} classes: {plan.epochs} epochs of {steps} steps"
    )
    first = first_epoch * steps + first_step
    with (
        devices.sharing_cores(plan.workers),
        pipeline.unwrap_errors(training),
        interrupts() as signals,
    ):
        if plan.snapshots:
            evaluates = held_out is not None or (plan.evaluation and validation is not None)
            callbacks = resume.with_state(
                plan, model, callbacks, signals, steps, evaluates=evaluates, data=data, state=state
            )
        history = model.fit(
            pipeline.batches(training, first_step=first, **queue),
            steps_per_epoch=steps,
            initial_epoch=first_epoch,
            epochs=plan.epochs,
            validation_data=held_out,
            callbacks=callbacks,
            shuffle=False,  # the pipeline does
            verbose="auto" if sys.stdout.isatty() else 2,
        )
    return history.history


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
    log(format_numbers(validation, precisions, coco, seconds, limit))
    sheet = os.path.join(plan.snapshot_path, "detections.png")
    write_detection_sheet(validation, detections, sheet)
    log(f"Left ground truth, right detections: {sheet}")
    return coco
