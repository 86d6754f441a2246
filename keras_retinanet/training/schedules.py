"""The learning rate over the steps of a run, and a description of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TypeAlias

import keras

from keras_retinanet.augmentation.settings import AugmentationSettings
from keras_retinanet.optimizers import StepDecay
from keras_retinanet.training.loss_settings import SOME_LOSSES_HAVE
from keras_retinanet.training.plan import TrainingPlan

# The rate warms up over this many updates of the weights, or a tenth of a shorter run, so that the
# first gradients of the new layers do not spoil the backbone. So it does in Detectron's runs.
WARMUP_STEPS = 500
# Share of the rate that is left at the end of a cosine schedule.
FINAL_SHARE = 0.01
# Factor on the rate at each drop of a step schedule, and where the drops are: the paper has them
# after 60,000 and 80,000 of 90,000 steps.
DROP_FACTOR = 0.1
_DROPS = ((2, 3), (8, 9))

LearningRate: TypeAlias = "float | keras.optimizers.schedules.LearningRateSchedule"


def learning_rate(plan: TrainingPlan, total_steps: int) -> LearningRate:
    """Return what an optimizer takes as its rate: a number, or a schedule by steps.

    Args:
        plan: the plan.
        total_steps: steps of the full run.
    """
    warmup = warmup_length(plan, total_steps)
    if plan.lr_schedule == "cosine":
        return cosine_schedule(plan.lr, total_steps, warmup)
    if plan.lr_schedule == "step":
        return StepDecay(plan.lr, drop_steps(plan, total_steps), DROP_FACTOR, warmup)
    return StepDecay(plan.lr, warmup_steps=warmup) if warmup else plan.lr


def warmup_length(plan: TrainingPlan, total_steps: int) -> int:
    """Return the number of steps over which the rate of a run rises to its maximum.

    By default those that `cosine` and `step` need; `constant` and `plateau`, whose rate is for the
    callback that reduces it to set, start at the maximum.
    """
    if plan.lr_schedule == "plateau":
        return 0
    if plan.warmup_steps is None and plan.lr_schedule == "constant":
        return 0
    if plan.warmup_steps is not None:
        return plan.warmup_steps
    return default_warmup(total_steps, plan.accumulate)


def default_warmup(total_steps: int, accumulate: int = 1) -> int:
    """Return the steps of the usual warm-up: 500 updates, or a tenth of a shorter run.

    Args:
        total_steps: steps of the full run.
        accumulate: number of steps that make one update of the weights.
    """
    return max(1, min(WARMUP_STEPS * accumulate, total_steps // 10))


def drop_steps(plan: TrainingPlan, total_steps: int) -> tuple[int, ...]:
    """Return the steps, counted from 0, from which on the rate of a step schedule is smaller."""
    if plan.lr_drops is not None:
        return plan.lr_drops
    return tuple(round(total_steps * part / whole) for part, whole in _DROPS)


def cosine_schedule(
    rate: float, total_steps: int, warmup_steps: int | None = None
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a learning rate that warms up and then falls along a half cosine to 1 %.

    Args:
        rate: maximum learning rate.
        total_steps: steps of the full run.
        warmup_steps: the step at which the maximum is reached; None for `default_warmup`.
    """
    warmup = default_warmup(total_steps) if warmup_steps is None else warmup_steps
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=rate / warmup if warmup else rate,
        decay_steps=max(1, total_steps - warmup),
        alpha=FINAL_SHARE,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )


def unreached(plan: TrainingPlan, total_steps: int) -> dict[str, str]:
    """Return the settings of the schedule whose steps a run does not reach: name -> why.

    Args:
        plan: the plan.
        total_steps: steps of the full run.
    """
    end = f"the run ends after {total_steps:,} steps"
    found = {}
    if plan.lr_schedule == "step" and any(drop >= total_steps for drop in plan.lr_drops or ()):
        found["lr_drops"] = f"not all of them have an effect: {end}"
    if plan.lr_schedule != "plateau" and (plan.warmup_steps or 0) >= total_steps:
        found["warmup_steps"] = f"the learning rate does not reach {plan.lr:g}: {end}"
    return found


def describe(plan: TrainingPlan, total_steps: int) -> str:
    """Return lines on how a run trains: its optimizer, learning rate, images and new heads.

    Args:
        plan: the plan.
        total_steps: steps of the full run.
    """
    optimizer = [plan.optimizer]
    if plan.optimizer == "sgd":
        optimizer.append(f"momentum {plan.momentum:g}")
    if plan.weight_decay:
        optimizer.append(f"weight decay {plan.weight_decay:g}")
    clip = plan.optimizer_clipnorm
    optimizer.append(f"gradients clipped to a norm of {clip:g}" if clip else "no clipping")
    rate = [f"{plan.lr:g}", plan.lr_schedule]
    warmup = warmup_length(plan, total_steps)
    if warmup:
        rate.append(f"warm-up over {warmup:,} steps")
    if plan.lr_schedule == "step":
        drops = " and ".join(f"{step:,}" for step in drop_steps(plan, total_steps))
        rate.append(f"times {DROP_FACTOR:g} after {drops} of {total_steps:,} steps")
    lines = {
        "Optimizer": optimizer,
        "Learning rate": rate,
        "Images": [f"{plan.batch_size} per step", *_changes(plan.augmentation_settings())],
        "Losses": _losses(plan),
    }
    if plan.accumulate > 1:
        images = plan.batch_size * plan.accumulate
        optimizer.append(f"an update of {images} images every {plan.accumulate} steps")
    if plan.ema is not None:
        lines["Weights"] = [f"a moving average with a decay of {plan.ema:g} is evaluated and saved"]
    if plan.mixed_precision != "none":
        lines["Precision"] = [plan.mixed_precision, "with weights, outputs and losses in float32"]
    heads = []
    if plan.head_norm == "group":
        heads.append("group normalisation")
    if plan.hidden_initializer != TrainingPlan.hidden_initializer:
        heads.append(f"hidden layers start {plan.hidden_initializer}")
    if heads and plan.snapshot is None:
        lines["Heads"] = heads
    return "\n".join(f"{name}: {', '.join(values)}" for name, values in lines.items())


def _losses(plan: TrainingPlan) -> list[str]:
    """Return the losses with what is given of their settings, as texts such as "gamma 3"."""
    texts = [plan.loss]
    for name in SOME_LOSSES_HAVE:
        value = getattr(plan, name)
        if value is not None:
            texts.append(f"{name} {value:g}")
    if plan.class_weights is not None:
        texts += [f"{name} weighs {weight:g}" for name, weight in plan.class_weights.items()]
    if plan.box_loss is not None:
        texts.append(f"{plan.box_loss} for boxes")
    return [*texts, f"divided by the positive anchors of each {plan.loss_normaliser}"]


def _changes(augmentation: AugmentationSettings) -> list[str]:
    """Return the settings that change images, as texts such as "scale_range 0.8 1"."""
    neutral, texts = asdict(AugmentationSettings()), []
    for name, value in asdict(augmentation).items():
        if value != neutral[name]:
            numbers = value if isinstance(value, tuple) else (value,)
            texts.append(f"{name} {' '.join(f'{number:g}' for number in numbers)}")
    return texts
