"""Continue a run from a snapshot: its optimizer, its learning rate, and what has changed since."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable

from keras_retinanet import models
from keras_retinanet.models.freeze import backbone_is_frozen
from keras_retinanet.training import compiling
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.record import RunRecord

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
) -> None:
    """Compile a model for the plan; a run that is continued keeps the state of its optimizer.

    Args:
        plan: the plan.
        model: the model, with the optimizer of its snapshot, if it has one.
        data_length: steps per epoch, where the plan has none.
        earlier: what the snapshot knows of its run; None if nothing.
    """
    steps = plan.steps or data_length
    optimizer = getattr(model, "optimizer", None)
    compiling.compile_model(
        model,
        learning_rate(plan.lr_schedule, plan.lr, steps * plan.epochs),
        plan.optimizer_clipnorm,
        jit_compile=plan.jit_compile,
    )
    if not plan.initial_epoch:
        return
    done = steps * plan.initial_epoch
    state = optimizer.variables if optimizer is not None else None
    if not compiling.restore_optimizer(model, state, done) and plan.snapshot is not None:
        warnings.warn(
            f"{plan.snapshot} has no state of the optimizer that fits: it starts anew",
            stacklevel=2,
        )
    if earlier is not None and optimizer is not None:
        keep_learning_rate(plan, model, float(optimizer.learning_rate), earlier, steps)


def learning_rate(schedule: str, rate: float, total_steps: int) -> compiling.LearningRate:
    """Return what an optimizer takes as its rate; arguments are those of the plan."""
    return compiling.cosine_schedule(rate, total_steps) if schedule == "cosine" else rate


def keep_learning_rate(
    plan: TrainingPlan,
    model: models.RetinaNet,
    rate_of_snapshot: float,
    earlier: RunRecord,
    steps: int,
) -> None:
    """Keep the rate that a plateau has reduced, and warn if the rate jumps for another reason.

    Args:
        plan: the plan of the run that goes on.
        model: the compiled model.
        rate_of_snapshot: rate of the snapshot's optimizer.
        earlier: what the snapshot knows of its run.
        steps: steps per epoch.
    """
    schedule, rate, epochs = (earlier.settings.get(k) for k in ("lr_schedule", "lr", "epochs"))
    if plan.lr_schedule == schedule == "plateau" and plan.lr == rate:
        model.optimizer.learning_rate = rate_of_snapshot
        return
    before = rate_of_snapshot
    if schedule == "cosine" and rate and epochs:
        cosine = compiling.cosine_schedule(rate, steps * epochs)
        before = float(cosine(steps * plan.initial_epoch))
    now = float(model.optimizer.learning_rate)
    if not math.isclose(now, before, rel_tol=1e-3):
        warnings.warn(
            f"the learning rate goes on at {now:.3g} instead of {before:.3g}, as other settings "
            "ask for",
            stacklevel=2,
        )
