"""The parts of a training run, for scripts that put them together themselves.

Names and arguments are those of the training script of keras-retinanet 1.0.0.
"""

from __future__ import annotations

import argparse
import configparser
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from keras_retinanet.bin.train_options import make_plan
from keras_retinanet.config import Config
from keras_retinanet.system.types import StrPath

if TYPE_CHECKING:
    import keras

    from keras_retinanet.preprocessing.generator import Generator


def makedirs(path: StrPath) -> None:
    """Make a folder and those above it, unless it exists."""
    os.makedirs(path, exist_ok=True)


def create_generators(
    args: argparse.Namespace, preprocess_image: Callable
) -> tuple[Generator, Generator | None]:
    """Return the generator to train on and the one to evaluate on, which may be None.

    Args:
        args: what `parse_args` returned; its `config` may be a file name, what `read_config_file`
            returned, or None.
        preprocess_image: function that normalises a BGR image.
    """
    from keras_retinanet.geometry.coders import CornerCoder
    from keras_retinanet.training.data_sets import open_generators
    from keras_retinanet.training.plan import DEFAULT_MAX_SIDE, DEFAULT_MIN_SIDE

    plan = make_plan(args)
    return open_generators(
        plan,
        preprocess_image,
        config=plan.config,
        coder=CornerCoder(),
        image_min_side=DEFAULT_MIN_SIDE,
        image_max_side=DEFAULT_MAX_SIDE,
        normalise_on_device=plan.normalise_on_device,
    )


def model_with_weights(
    model: keras.Model, weights: StrPath | None, skip_mismatch: bool
) -> keras.Model:
    """Return a model after loading the weights of a file that fit.

    Args:
        model: any model of named layers.
        weights: path of a file; None for none.
        skip_mismatch: whether tensors of another shape are left as they are.

    Raises:
        OSError: if there is no such file.
        ValueError: if no tensor fits, or one has another shape and `skip_mismatch` is false.
    """
    if weights is None:
        return model
    from keras_retinanet import models

    report = models.load_weights(model, weights, skip_mismatch=skip_mismatch)
    print(f"{weights}: {report.summary()}")
    return model


def create_models(
    backbone_retinanet: Callable,
    num_classes: int,
    weights: StrPath | None,
    multi_gpu: int = 0,
    freeze_backbone: bool = False,
    lr: float = 1e-5,
    optimizer_clipnorm: float = 0.001,
    config: configparser.ConfigParser | Config | None = None,
) -> tuple[keras.Model, keras.Model, keras.Model]:
    """Return a new model, the same compiled for training, and its inference model.

    Args:
        backbone_retinanet: the method `retinanet` of a `Backbone`.
        num_classes: number of classes.
        weights: path of a file of weights; None for none.
        multi_gpu: number of GPUs to train on; 0 or 1 for the one device there is.
        freeze_backbone: whether to train the new layers only.
        lr: learning rate of Adam.
        optimizer_clipnorm: maximum norm of the gradient of a tensor of weights.
        config: what `read_config_file` returned, a `Config`, or None.

    Returns:
        The model as it is saved, the model as it is trained (they are one), and the inference
        model, which shares its weights.
    """
    from keras_retinanet import models
    from keras_retinanet.models.freeze import freeze
    from keras_retinanet.training.compiling import compile_model
    from keras_retinanet.training.distribution import strategy

    config = Config.of(config)
    anchors = config.anchor_params
    with strategy(multi_gpu).scope():
        model = backbone_retinanet(
            num_classes,
            num_anchors=anchors.num_anchors() if anchors else None,
            modifier=freeze if freeze_backbone else None,
            pyramid_levels=config.pyramid_levels,
        )
        model_with_weights(model, weights, skip_mismatch=True)
        compile_model(model, lr, optimizer_clipnorm)
    prediction_model = models.convert_model(
        model, anchor_params=anchors, pyramid_levels=config.pyramid_levels
    )
    return model, model, prediction_model


def create_callbacks(
    model: keras.Model | None,
    training_model: keras.Model | None,
    prediction_model: keras.Model,
    validation_generator: Generator | None,
    args: argparse.Namespace,
) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a training run.

    Args:
        model: what snapshots are made of; None for the model that is trained.
        training_model: what is trained; not used.
        prediction_model: what is evaluated.
        validation_generator: what it is evaluated on; None for no evaluation.
        args: what `parse_args` returned.
    """
    from keras_retinanet.callbacks.common import Evaluation, RedirectModel
    from keras_retinanet.callbacks.snapshots import SaveSnapshots
    from keras_retinanet.training.run_callbacks import make_callbacks

    redirected = []
    for callback in make_callbacks(make_plan(args), args.backbone, validation_generator):
        if isinstance(callback, Evaluation):
            callback = RedirectModel(callback, prediction_model)
        elif isinstance(callback, SaveSnapshots) and model is not None:
            callback = RedirectModel(callback, model)
        redirected.append(callback)
    return redirected
