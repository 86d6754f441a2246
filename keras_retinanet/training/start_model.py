"""The model that a run starts with: that of a snapshot, or a new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from keras_retinanet import models
from keras_retinanet.geometry.anchors import (
    DEFAULT_LEVELS,
    AnchorParameters,
    make_shapes_callback,
    matches_default_shapes,
)
from keras_retinanet.images import IN_NETWORK
from keras_retinanet.models.retinanet import extract_training_model
from keras_retinanet.models.snapshots import check_backbone
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.training import detector_start
from keras_retinanet.training.plan import DEFAULT_BACKBONE, TrainingPlan
from keras_retinanet.training.record import class_names_of
from keras_retinanet.training.settings import SettingError

Log = Callable[[str], None]

# The box loss of a new model, which weighs about as much as the classification loss. Smooth L1 is
# many times as large, so that the pyramid learns classes late: see benchmarks/small_sets.py.
NEW_BOX_LOSS = "giou"


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
    names = None if weights is None else class_names_of(weights)
    anchors = generator.config.anchor_params
    model = backbone.retinanet(
        num_classes=len(names) if names else generator.num_classes(),
        num_anchors=anchors.num_anchors() if anchors else None,
        pyramid_levels=generator.config.pyramid_levels,
        # Batch norm of trained weights keeps its statistics; without weights it must learn them.
        freeze_bn=weights is not None,
        feature_size=plan.feature_size,
        group_norm=plan.head_norm == "group",
        hidden_initializer=plan.hidden_initializer,
        normalise_on_device=plan.normalise_on_device,
    )
    models.set_info(model, replace(info_of(model), box_loss=NEW_BOX_LOSS))
    if weights is None:
        return model
    if names:
        models.set_info(model, replace(info_of(model), class_names=names))
    report = models.load_weights(model, weights)
    log(f"{weights}: {report.summary()}")
    return detector_start.match_classes(model, report, generator, log) if names else model


def describe_model(
    info: models.ModelInfo, generator: Generator, box_loss: str | None = None
) -> models.ModelInfo:
    """Return what the snapshots of a model should know, now that it has met its data.

    Args:
        info: what the model knows.
        generator: the training set.
        box_loss: setting of the plan; None to keep that of the model.
    """
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
        box_loss=info.box_loss if box_loss is None else box_loss.replace("-", "_"),
    )


def use_model_shapes(model: models.RetinaNet, info: models.ModelInfo, generator: Generator) -> None:
    """Let a generator ask a model for the shapes of its levels where they are not the usual ones.

    New models round strides up; some snapshots of keras-retinanet 1.0.0 round down. A model that
    pads images gets them padded.
    """
    if info.pad_multiple == 1 and not matches_default_shapes(model, info.pyramid_levels):
        generator.compute_shapes = make_shapes_callback(model)
