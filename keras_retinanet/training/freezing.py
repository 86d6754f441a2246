"""Which layers of a model's backbone train, as the plan says."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import keras
import numpy as np

from keras_retinanet import models
from keras_retinanet.models.freeze import (
    backbone_batch_norms,
    backbone_is_frozen,
    backbone_layers,
)
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.settings import SettingError, SettingWarning

Log = Callable[[str], None]


def freeze_layers(plan: TrainingPlan, model: models.RetinaNet, log: Log) -> None:
    """Freeze layers of the backbone, or let its batch normalisation train, if the plan says so.

    The model is changed; its snapshots remember which layers train.

    Args:
        plan: the plan.
        model: the training model, with its weights.
        log: gets a line about batch normalisation that trains.

    Raises:
        SettingError: if batch normalisation should train that cannot.
    """
    if plan.freeze_backbone:
        for layer in backbone_layers(model):
            layer.trainable = False
    if plan.freeze_bn is None:
        return
    norms = backbone_batch_norms(model)
    if not norms:
        problem = (
            "has no effect: the network has no batch normalisation (a converted model has it in "
            "its convolutions)"
        )
        warnings.warn(SettingWarning("freeze_bn", problem), stacklevel=2)
        return
    if not plan.freeze_bn:
        _check_can_train(plan, model, [norm for norm in norms if not norm.trainable])
        log(f"Batch normalisation of the backbone trains: {len(norms)} layers")
    for norm in norms:
        norm.trainable = not plan.freeze_bn


def _check_can_train(
    plan: TrainingPlan,
    model: models.RetinaNet,
    frozen: Sequence[keras.layers.BatchNormalization],
) -> None:
    """Check that frozen batch normalisation computes about the same when it trains.

    Raises:
        SettingError: if it does not, or all of the backbone is frozen.
    """
    start = plan.snapshot or plan.weights or "the ImageNet weights"
    if frozen and backbone_is_frozen(model):
        raise SettingError(
            "freeze_bn", f"the backbone of {start} is frozen, and batch normalisation with it"
        )
    # ImageNet weights from Caffe have their statistics in scale and offset. torchvision sets the
    # epsilon of its first weights to 0: a channel that is equal everywhere would be divided by 0.
    if any(not np.any(norm.moving_mean) or not norm.epsilon for norm in frozen):
        raise SettingError(
            "freeze_bn",
            f"the batch normalisation of {start} is a scale and an offset, without statistics or "
            "epsilon: it cannot train",
        )
