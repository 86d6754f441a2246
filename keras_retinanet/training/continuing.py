"""Continue a run from a snapshot: its optimizer, its learning rate, and what has changed since."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable

from keras_retinanet import models
from keras_retinanet.models.freeze import backbone_is_frozen
from keras_retinanet.models.precision import set_precision
from keras_retinanet.optimizers import current_rate
from keras_retinanet.training import compiling, schedules
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.record import RunRecord
from keras_retinanet.training.settings import SettingError
from keras_retinanet.training.state import State

Log = Callable[[str], None]


def log_start(plan: TrainingPlan, earlier: RunRecord | None, log: Log) -> None:
    """Say whether a run from a snapshot is continued, and which of its settings have changed.

    Args:
        plan: the plan, with a snapshot.
        earlier: what the snapshot knows of its run; None if nothing.
        log: gets the line.
    """
    if not plan.initial_epoch:
        done = f" after {earlier.epoch} epochs of another run" if earlier else ""
        log(f"A new run begins with the model in {plan.snapshot}{done}")
        return
    log(f"Continuing {plan.snapshot} after epoch {plan.initial_epoch} of {plan.epochs}")
    if earlier is None:
        return
    if plan.initial_epoch != earlier.epoch:
        warnings.warn(
            f"initial_epoch: going on after epoch {plan.initial_epoch}, but the snapshot was "
            f"written after epoch {earlier.epoch}",
            stacklevel=2,
        )
    now = json.loads(json.dumps(plan.kept_settings()))  # with lists for tuples, as in the snapshot
    changed = [
        f"{name} {now[name]} (was {value})"
        for name, value in earlier.settings.items()
        if name in now and now[name] != value
    ]
    if changed:
        log(f"Changed since then: {', '.join(changed)}")


def describe_trained_weights(model: models.RetinaNet) -> str:
    """Return a line that says how many weights train, and whether the backbone is frozen."""
    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    total = sum(math.prod(weight.shape) for weight in model.weights)
    start = "backbone frozen: " if backbone_is_frozen(model) else ""
    return f"{start}{trained:,} of {total:,} weights train"


def compile_model(
    plan: TrainingPlan,
    model: models.RetinaNet,
    data_length: int,
    earlier: RunRecord | None = None,
    state: State | None = None,
) -> None:
    """Compile a model for the plan; a run that is continued keeps the state of its optimizer.

    Args:
        plan: the plan.
        model: the model, with the optimizer of its snapshot, if it has one.
        data_length: steps per epoch, where the plan has none.
        earlier: what the snapshot knows of its run; None if nothing.
        state: the state from which the run goes on; None for none.

    Raises:
        SettingError: if the run has no step of the optimizer.
    """
    steps = plan.steps or data_length
    if plan.accumulate > steps * plan.epochs:
        raise SettingError(
            "accumulate",
            f"expected at most the {steps * plan.epochs} steps of the run, got {plan.accumulate}",
        )
    if plan.mixed_precision != "none":
        set_precision(model, plan.mixed_precision)
    optimizer = getattr(model, "optimizer", None)
    compiling.compile_model(
        model,
        optimizer=compiling.make_optimizer(
            plan.optimizer,
            schedules.learning_rate(plan, steps * plan.epochs),
            clipnorm=plan.optimizer_clipnorm,
            momentum=plan.momentum,
            weight_decay=plan.weight_decay,
            accumulate=plan.accumulate,
            ema=plan.ema,
            scale_loss=plan.mixed_precision == "float16",
        ),
        jit_compile=plan.jit_compile,
        classification_loss=compiling.make_classification_loss(plan, model.info),
        loss_normaliser=plan.loss_normaliser,
    )
    if state is not None:
        state.restore(model)
        return
    if not plan.initial_epoch:
        return
    done = steps * plan.initial_epoch
    if not compiling.restore_optimizer(model, optimizer, done) and plan.snapshot is not None:
        warnings.warn(
            f"{plan.snapshot} has no state of the optimizer that fits: it starts anew (resume goes "
            "on with it, from the state of the run)",
            stacklevel=2,
        )
    if earlier is None:
        return
    rate = earlier.learning_rate
    if rate is None and optimizer is not None:  # snapshots used to hold their optimizer
        rate = current_rate(optimizer)
    if rate is not None:
        keep_learning_rate(plan, model, rate, earlier)


def keep_learning_rate(
    plan: TrainingPlan,
    model: models.RetinaNet,
    rate_of_snapshot: float,
    earlier: RunRecord,
) -> None:
    """Keep the rate that a plateau has reduced, and warn if the rate jumps for another reason.

    Args:
        plan: the plan of the run that goes on.
        model: the compiled model.
        rate_of_snapshot: rate when the snapshot was written.
        earlier: what the snapshot knows of its run.
    """
    schedule, rate = (earlier.settings.get(name) for name in ("lr_schedule", "lr"))
    if plan.lr_schedule == schedule == "plateau" and plan.lr == rate:
        model.optimizer.learning_rate = rate_of_snapshot
        return
    now = current_rate(model.optimizer)
    if not math.isclose(now, rate_of_snapshot, rel_tol=1e-3):
        warnings.warn(
            f"the learning rate goes on at {now:.3g} instead of {rate_of_snapshot:.3g}, as other "
            "settings ask for",
            stacklevel=2,
        )
