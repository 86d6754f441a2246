"""The parts of a training run, for scripts that put them together themselves.

Names and arguments are those of the training script of keras-retinanet 1.0.0.
"""

import os

from keras_retinanet.bin import augmentation_options, datasets


def makedirs(path) -> None:
    """Make a folder, with those above it, unless it is there."""
    os.makedirs(path, exist_ok=True)


def strategy(multi_gpu):
    """Return the distribution strategy: several GPUs, or the one device there is."""
    import tensorflow as tf

    if multi_gpu > 1:
        return tf.distribute.MirroredStrategy([f"/gpu:{i}" for i in range(multi_gpu)])
    return tf.distribute.get_strategy()


def create_generators(args, preprocess_image, *, config=None):
    """Return the generator to train on and the one to evaluate on, which may be None.

    Args:
        args: what `parse_args` returned; its `config` may be a file name, what `read_config_file`
            returned, or None.
        preprocess_image: function that normalises a BGR image.
        config: a `Config`, which wins over `args.config`.
    """
    from keras_retinanet.config import Config, load_config

    if config is None:
        config = load_config(args.config) if isinstance(args.config, str) else args.config
    config = Config.of(config)
    arguments = {
        "image_min_side": args.image_min_side,
        "image_max_side": args.image_max_side,
        "no_resize": args.no_resize,
        "preprocess_image": preprocess_image,
        "batch_size": args.batch_size,
        "group_method": args.group_method,
        "config": config,
        "normalise_on_device": args.normalise_on_device,
        "pad_to_buckets": args.pad_to_buckets,
        "seed": args.seed,
        "strict": args.strict,
    }
    changes = augmentation_options.settings(args, config.augmentation).generator_arguments()
    training = datasets.open_training(args, cache=args.cache, **arguments, **changes)
    return training, datasets.open_validation(args, shuffle_groups=False, **arguments)


def model_with_weights(model, weights, skip_mismatch):
    """Return a model after reading into it the weights of a file that fit.

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
    backbone_retinanet,
    num_classes,
    weights,
    multi_gpu=0,
    freeze_backbone=False,
    lr=1e-5,
    optimizer_clipnorm=0.001,
    config=None,
):
    """Return a new model, the same compiled for training, and its inference model.

    Args:
        backbone_retinanet: the method `retinanet` of a `Backbone`.
        num_classes: number of classes.
        weights: path of a file of weights; None for none.
        multi_gpu: number of GPUs to train on; 0 or 1 for the one device there is.
        freeze_backbone: whether to train the new layers only.
        lr: learning rate of Adam.
        optimizer_clipnorm: longest gradient of a tensor of weights.
        config: what `read_config_file` returned, a `Config`, or None.

    Returns:
        The model, once as it is saved and once as it is trained (they are one), and the model
        that detects, which shares its weights.
    """
    from keras_retinanet import models
    from keras_retinanet.config import Config
    from keras_retinanet.models.freeze import freeze
    from keras_retinanet.training import compiling

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
        compiling.compile_model(model, lr, optimizer_clipnorm)
    prediction_model = models.convert_model(
        model, anchor_params=anchors, pyramid_levels=config.pyramid_levels
    )
    return model, model, prediction_model


def create_callbacks(model, training_model, prediction_model, validation_generator, args) -> list:
    """Return the callbacks of a training run.

    Args:
        model: what snapshots are made of.
        training_model: what is trained; not used.
        prediction_model: what is evaluated.
        validation_generator: what it is evaluated on; None for no evaluation.
        args: what `parse_args` returned.
    """
    from keras_retinanet.bin.train_output import make_callbacks
    from keras_retinanet.callbacks import RedirectModel
    from keras_retinanet.callbacks.common import Evaluation
    from keras_retinanet.callbacks.snapshots import SaveSnapshots

    others = {Evaluation: prediction_model, SaveSnapshots: model}

    def redirected(callback):
        other = next((m for kind, m in others.items() if isinstance(callback, kind)), None)
        return RedirectModel(callback, other) if other is not None else callback

    return [redirected(call) for call in make_callbacks(args, model, validation_generator)]
