"""Which settings of a plan have no effect, beside the others."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from keras_retinanet.preprocessing.data import CocoData, ShapesData
from keras_retinanet.training.settings import SHAPES_SETTINGS

if TYPE_CHECKING:
    from keras_retinanet.training.plan import TrainingPlan


def find_void_settings(plan: TrainingPlan, has_validation: bool) -> dict[str, str]:
    """Return the settings that were changed but have no effect: name -> why.

    Args:
        plan: the plan.
        has_validation: whether there is a set to evaluate on.
    """
    evaluates, is_coco = has_validation and plan.evaluation, isinstance(plan.data, CocoData)
    has_model = plan.snapshot is not None or plan.starts_from_detector()
    has_weights = bool(plan.snapshot or plan.weights or plan.imagenet_weights)
    schedule = f"the schedule is {plan.lr_schedule}"
    void = {
        "early_stopping": (not evaluates, "there is no evaluation after an epoch"),
        "max_detections": (
            not evaluates or (is_coco and (plan.max_detections or 100) < 100),
            "COCO's mAP counts 100 detections or more"
            if evaluates
            else "there is no evaluation after an epoch",
        ),
        "weighted_average": (
            not evaluates or is_coco,
            "mAP is not the mean over classes that it would weigh",
        ),
        "compute_val_loss": (not has_validation, "there are no data to evaluate on"),
        "momentum": (plan.optimizer != "sgd", f"the optimizer is {plan.optimizer}"),
        "warmup_steps": (plan.lr_schedule == "plateau", schedule),
        "lr_drops": (plan.lr_schedule != "step", schedule),
        "reduce_lr_patience": (plan.lr_schedule != "plateau", schedule),
        "reduce_lr_factor": (plan.lr_schedule != "plateau", schedule),
        "snapshot_format": (not plan.snapshots, "no snapshots are saved"),
        "save_steps": (not plan.snapshots, "no snapshots are saved"),
        "keep": (not plan.snapshots, "no snapshots are saved"),
        "tensorboard_freq": (plan.tensorboard_dir is None, "there is no tensorboard_dir"),
        "feature_size": (has_model, f"{plan.snapshot or plan.weights} has its own"),
        "hidden_initializer": (has_model, f"{plan.snapshot or plan.weights} has heads"),
        "head_norm": (has_model, f"{plan.snapshot or plan.weights} has heads"),
        "freeze_bn": (
            plan.freeze_bn is False and not has_weights,
            "without weights to start from, batch normalisation trains anyway",
        ),
        "backbone": (
            plan.snapshot is None and plan.starts_from_detector(),
            f"{plan.weights} has its own",
        ),
        "image_min_side": (plan.no_resize, "images keep their size"),
        "image_max_side": (plan.no_resize, "images keep their size"),
    }
    defaults = {setting.name: setting.default for setting in fields(plan)}
    if isinstance(plan.data, ShapesData) and plan.snapshot is None:
        sizes = ("backbone", "feature_size") if plan.starts_from_detector() else ()
        defaults |= {k: v for k, v in SHAPES_SETTINGS.items() if k not in sizes}
    found = {
        name: f"has no effect: {why}"
        for name, (is_void, why) in void.items()
        if is_void and getattr(plan, name) != defaults[name]
    }
    if plan.freeze_backbone and not has_weights:
        found["freeze_backbone"] = "the backbone keeps its random weights"
    return found
