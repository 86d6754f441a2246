"""A run that goes on from its state, and that saves states to go on from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_retinanet import models
from keras_retinanet.callbacks.common import Evaluation
from keras_retinanet.callbacks.counters import KeepCounters
from keras_retinanet.callbacks.divergence import StopOnDivergence
from keras_retinanet.callbacks.snapshots import SaveSnapshots
from keras_retinanet.callbacks.states import ContinueEpoch, SaveState
from keras_retinanet.optimizers import current_rate
from keras_retinanet.system.interrupts import Interrupts
from keras_retinanet.system.workers import this_worker
from keras_retinanet.training import output_folder
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.record import PREVIOUS_STATE, STATE, RunRecord
from keras_retinanet.training.same_settings import check_same
from keras_retinanet.training.settings import SettingError
from keras_retinanet.training.state import State, StateWriter, find_state

Log = Callable[[str], None]


def start(plan: TrainingPlan, log: Log) -> State | None:
    """Return the state from which a run goes on; None for a new run. Say which it is.

    Raises:
        OSError: if a state cannot be read.
        SettingError: if a setting is not that of the state.
        ValueError: if all states are damaged.
    """
    folder = Path(plan.snapshot_path)
    if not plan.resume:
        earlier = RunRecord.of_state_file(folder / STATE) if plan.snapshots else None
        if earlier is not None and not earlier.is_done:
            log(
                f"{folder / STATE} is of a run that was interrupted in epoch {earlier.epoch + 1}; "
                "this new run will replace it (--resume goes on instead)"
            )
        return None
    state = find_state(folder)
    if state is None:
        log(f"No state in {folder}: a new run")
        return None
    record = state.record
    check_same(plan.fixed_settings(), record)
    inside = f" and {record.step} steps" if record.step else ""
    log(f"Going on from {state.path} after {record.epoch}{inside} of {plan.epochs} epochs")
    return state


def is_done(plan: TrainingPlan, state: State) -> bool:
    """Return whether the run of a state has ended, and the plan does not ask for more epochs."""
    return state.record.is_done and plan.epochs <= max(
        state.record.epoch, state.record.settings.get("epochs", 0)
    )


def load_model(plan: TrainingPlan, state: State) -> models.RetinaNet:
    """Return the training model of a state, not compiled.

    Raises:
        OSError: if the file cannot be read.
        SettingError: if the plan has other anchors or pyramid levels than the model.
        ValueError: if it holds no model.
    """
    model = state.load_model()
    info = model.info
    if info is None:
        raise ValueError(f"{state.path}: expected a model of this package")
    anchors, levels = plan.config.anchor_params, plan.config.pyramid_levels
    if anchors and info.anchors:
        anchors = anchors.with_layout(info.anchors.layout)
    if (anchors and anchors != info.anchors) or (levels and levels != info.pyramid_levels):
        raise SettingError(
            "config", f"expected the anchors and pyramid levels of {state.path}, got others"
        )
    return model


def check_data(data: Mapping[str, Any], state: State) -> None:
    """Check that a run goes on with its data.

    Args:
        data: what `describe_data` says.
        state: the state.

    Raises:
        ValueError: if the data are others.
    """
    before = state.record.data
    if data == before:
        return
    now, then = (
        f"{each.get('images')} images of {each.get('classes')} classes" for each in (data, before)
    )
    kind = f"{now} instead of {then}" if now != then else "others of the same number"
    raise ValueError(
        f"the data are not those of {state.path}: {kind}. Begin a new run without --resume, or "
        "continue a snapshot (--snapshot)"
    )


def check_room(
    plan: TrainingPlan,
    model: models.RetinaNet,
    callbacks: Sequence[keras.callbacks.Callback],
    epochs_done: int,
) -> str:
    """Check that all that a run keeps can be written; return a line that says how much it is.

    Args:
        plan: the plan.
        model: the compiled model.
        callbacks: those of the run.
        epochs_done: number of epochs done.

    Raises:
        OSError: naming the folder, if there is no room.
    """
    (snapshots,) = (callback for callback in callbacks if isinstance(callback, SaveSnapshots))
    evaluates = any(isinstance(callback, Evaluation) for callback in callbacks)
    epochs = range(epochs_done + 1, plan.epochs + 1)
    files = [Path(snapshots.path.format(epoch=epoch)).name for epoch in epochs]
    return output_folder.check_room(
        plan.snapshot_path,
        (min(plan.keep, len(epochs)) if plan.keep else len(epochs)) + evaluates,
        output_folder.snapshot_size(model),
        output_folder.state_size(model),
        [STATE, PREVIOUS_STATE, *snapshots.written, *files],
    )


def with_state(
    plan: TrainingPlan,
    model: models.RetinaNet,
    callbacks: list[keras.callbacks.Callback],
    interrupts: Interrupts,
    steps: int,
    *,
    evaluates: bool,
    data: Mapping[str, Any] | None,
    state: State | None,
    deadline: float = math.inf,
) -> list[keras.callbacks.Callback]:
    """Return callbacks with those that save states, and that go on inside an epoch.

    Args:
        plan: the plan.
        model: the compiled model.
        callbacks: those of the run.
        interrupts: the signals that may end it.
        steps: steps per epoch.
        evaluates: whether there is an evaluation at the end of an epoch.
        data: what `describe_data` says.
        state: the state from which the run goes on; None for none.
        deadline: when the run has to stop, in seconds of `time.monotonic`.
    """
    checks = [callback for callback in callbacks if isinstance(callback, StopOnDivergence)]
    snapshots = [callback for callback in callbacks if isinstance(callback, SaveSnapshots)]
    counters = [callback for callback in callbacks if isinstance(callback, KeepCounters)]
    writer = StateWriter(plan.snapshot_path, continues=state is not None)
    done = (plan.initial_epoch, 0) if state is None else (state.record.epoch, state.record.step)

    def save(epoch: int, step: int, is_done: bool) -> None:
        for check in checks:
            check.check_weights()
        if not this_worker().is_chief:
            for variable in model.metrics_variables:  # as the chief does: all workers add them up
                np.asarray(variable)
            return
        record = RunRecord(
            epoch,
            plan.fixed_settings(),
            counters[0].values() if counters else {},
            step,
            current_rate(model.optimizer),
            is_done,
            data or {},
            snapshots[0].written if snapshots else {},
        )
        writer.write(model, record)

    saving = SaveState(
        save,
        interrupts,
        epochs=plan.epochs,
        steps=steps,
        first_epoch=done[0],
        first_step=done[1],
        every=plan.save_steps,
        evaluates=evaluates,
        deadline=deadline,
    )
    # The history that Keras adds comes last: an epoch that ends in time would be missing in it.
    callbacks = [*callbacks, keras.callbacks.History(), saving]
    if state is None or not state.record.step:
        return callbacks
    left = steps - state.record.step
    return [ContinueEpoch(left, lambda: state.restore_metrics(model)), *callbacks]
