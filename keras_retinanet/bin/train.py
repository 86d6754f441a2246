"""`retinanet-train`: train a detector on a data set and report how good it is."""

import os
import warnings
from dataclasses import replace

from keras_retinanet.bin import common, train_output
from keras_retinanet.bin.legacy_api import (
    create_callbacks,
    create_generators,
    create_models,
    makedirs,
    model_with_weights,
    strategy,
)
from keras_retinanet.bin.train_options import check_args, parse_args
from keras_retinanet.system import devices

__all__ = [
    "check_args",
    "create_callbacks",
    "create_generators",
    "create_models",
    "main",
    "makedirs",
    "model_with_weights",
    "parse_args",
]


@common.report_errors
def main(args=None) -> None:
    """Run the command."""
    options = parse_args(args)
    devices.quiet_tensorflow(options.op_threads)
    if getattr(options, "export", None):
        from keras_retinanet.preprocessing import shapes

        shapes.export(options.export)
        print(f"wrote the data set to {options.export}")
        return
    devices.setup_gpu(options.gpu)
    train(options)


def train(options) -> None:
    """Train, evaluate and write snapshots, history and pictures."""
    import keras

    keras.utils.set_random_seed(options.seed)
    snapshot = load_snapshot(options)
    training, validation = open_data(options, snapshot)
    with strategy(options.multi_gpu).scope():
        model = snapshot or build_model(options, training)
        set_info(options, model, training)
        if snapshot is not None:  # the backbones of the table round up
            use_model_shapes(model, training)
        compile_model(options, model, len(training))
    callbacks = train_output.make_callbacks(options, model, validation)
    fit(options, model, training, validation, callbacks)
    if training.skipped:
        warnings.warn(
            f"skipped {len(training.skipped)} of {training.size()} images, unreadable: "
            f"{', '.join(sorted(training.skipped))}",
            stacklevel=2,
        )
    train_output.draw_history(options)
    if validation is not None and options.evaluation:
        train_output.report(options, callbacks, validation)


def use_model_shapes(model, generator):
    """Let a generator ask a model for the shapes of its levels if they are not the usual ones."""
    from keras_retinanet.geometry.anchors import make_shapes_callback, matches_default_shapes

    if not matches_default_shapes(model, model.info.pyramid_levels):
        generator.compute_shapes = make_shapes_callback(model)


def load_snapshot(options):
    """Return the training model to go on with, or None to build a new one."""
    if not options.snapshot:
        return None
    from keras_retinanet import models
    from keras_retinanet.images import IN_NETWORK
    from keras_retinanet.models.retinanet import extract_training_model

    print("Loading model, this may take a second...")
    given = {"backbone_name": options.backbone} if "backbone" in options.given else {}
    model = models.load_model(options.snapshot, compile=True, **given)
    if not models.is_training_model(model):
        print("A converted model: going on with the training model inside it")
        model = extract_training_model(model)
    details = model.info
    options.backbone = details.backbone
    on_device = details.normalisation == IN_NETWORK
    if options.normalise_on_device and not on_device:
        raise ValueError(
            f"--normalise-on-device: the model of --snapshot {options.snapshot} takes normalised "
            "images; use --weights to start a new one from it"
        )
    options.normalise_on_device = on_device
    for side in ("image_min_side", "image_max_side"):
        if side not in options.given:
            setattr(options, side, getattr(details, side))
    return model


def open_data(options, snapshot):
    """Return the generators to train on and to evaluate on (None if there is none)."""
    from keras_retinanet import models
    from keras_retinanet.config import Config, load_config

    given = load_config(options.config) if options.config else Config()
    details = snapshot.info if snapshot else None
    source = details or models.backbone(options.backbone)
    training, validation = create_generators(
        options, source.preprocess_image, config=choose_config(options, given, details)
    )
    if options.batch_size > training.size():
        raise ValueError(
            f"--batch-size {options.batch_size}: expected at most {training.size()}, the number of "
            "images"
        )
    check_classes(options, training, details)
    if training.config.anchor_params is None and not training.config.pyramid_levels:
        training.config = fit_anchors(training)
        if validation is not None:
            validation.config = training.config
    return training, validation


def choose_config(options, given, details):
    """Return anchors and levels: those of --config, else of the snapshot, else unset."""
    from keras_retinanet.config import Config

    if details is None:
        return given
    if details.anchors is None and given.anchor_params is None:
        raise ValueError(
            f"--snapshot {options.snapshot} does not hold its anchors: give them by --config"
        )
    known = Config(details.anchors, details.pyramid_levels)
    chosen = replace(
        given,
        anchor_params=given.anchor_params or known.anchor_params,
        pyramid_levels=given.pyramid_levels or known.pyramid_levels,
    )
    if chosen.pyramid_levels != known.pyramid_levels:
        raise ValueError(
            f"--config {options.config}: the snapshot has the pyramid levels "
            f"{list(known.pyramid_levels)}, which cannot change"
        )
    if known.anchor_params is None:
        return chosen
    if chosen.anchor_params.num_anchors() != known.anchor_params.num_anchors():
        raise ValueError(
            f"--config {options.config}: the snapshot has {known.anchor_params.num_anchors()} "
            f"anchors a place, got {chosen.anchor_params.num_anchors()}"
        )
    if chosen.anchor_params != known.anchor_params:
        warnings.warn("--config has other anchors than the snapshot", stacklevel=2)
    return chosen


def check_classes(options, generator, details):
    """Raise ValueError if a snapshot does not fit the classes of the data; warn of other names."""
    if details is None:
        return
    if details.num_classes != generator.num_classes():
        raise ValueError(
            f"--snapshot {options.snapshot} has {details.num_classes} classes, the data set has "
            f"{generator.num_classes()}: use --weights to start a new model from it"
        )
    names = generator.class_names()
    if details.class_names is not None and list(details.class_names) != names:
        warnings.warn(
            f"the snapshot's classes are {list(details.class_names)}, the data set's {names}",
            stacklevel=2,
        )


def fit_anchors(generator):
    """Return the generator's config with anchor sizes that match its boxes, and say so."""
    from keras_retinanet.geometry import anchor_fit

    fit = anchor_fit.fit_anchors(*anchor_fit.sample_boxes(generator))
    sizes = " ".join(f"{size:.0f}" for size in fit.params.sizes)
    print(f"Anchor sizes {sizes}: {fit.matched:.0%} of the boxes match one (classes weigh alike)")
    if fit.matched_before != fit.matched:
        print(f"  ({fit.matched_before:.0%} with the usual sizes; --config sets others)")
    return replace(generator.config, anchor_params=fit.params)


def build_model(options, generator):
    """Return a new training model with the weights that the options name."""
    from keras_retinanet import models
    from keras_retinanet.utils.model import freeze

    print("Creating model, this may take a second...")
    backbone = models.backbone(options.backbone)
    weights = options.weights
    if weights is None and options.imagenet_weights:
        weights = backbone.download_imagenet()
    anchors = generator.config.anchor_params
    model = backbone.retinanet(
        num_classes=generator.num_classes(),
        num_anchors=anchors.num_anchors() if anchors else None,
        pyramid_levels=generator.config.pyramid_levels,
        modifier=freeze if options.freeze_backbone else None,
        # Batch norm of trained weights keeps its statistics; without weights it must learn them.
        freeze_bn=weights is not None,
        feature_size=options.feature_size,
        normalise_on_device=options.normalise_on_device,
    )
    if weights is not None:
        print(f"{weights}: {models.load_weights(model, weights).summary()}")
    return model


def set_info(options, model, generator):
    """Tell a model what its snapshots should know of the data set and the options."""
    from keras_retinanet import models
    from keras_retinanet.geometry.anchors import DEFAULT_LEVELS, AnchorParameters

    details = models.ModelInfo(
        backbone=options.backbone,
        num_classes=generator.num_classes(),
        class_names=tuple(generator.class_names()),
        anchors=generator.config.anchor_params or AnchorParameters.default,
        pyramid_levels=tuple(generator.config.pyramid_levels or DEFAULT_LEVELS),
        normalisation=model.info.normalisation,
        image_min_side=options.image_min_side,
        image_max_side=options.image_max_side,
        no_resize=options.no_resize,
    )
    models.set_info(model, details)


def compile_model(options, model, data_length):
    """Compile the model with the schedule that the options ask for; go on with earlier state."""
    from keras_retinanet.training import compiling

    steps = options.steps or data_length
    rate = options.lr
    if options.lr_schedule == "cosine":
        rate = compiling.cosine_schedule(options.lr, steps * options.epochs)
    earlier = getattr(model, "optimizer", None)
    compiling.compile_model(
        model, rate, options.optimizer_clipnorm, jit_compile=options.jit_compile
    )
    if options.snapshot:
        variables = earlier.variables if earlier is not None else None
        compiling.restore_optimizer(model, variables, steps * options.initial_epoch)


def fit(options, model, training, validation, callbacks):
    """Run `fit` on the pipeline of the training generator."""
    from keras_retinanet.preprocessing import pipeline

    devices.share_cores(options.workers)
    steps = options.steps or len(training)
    queue = {"workers": options.workers, "queue_size": options.max_queue_size}
    first = options.initial_epoch * steps
    held_out = None
    if options.compute_val_loss and validation is not None:
        held_out = pipeline.one_epoch(validation, **queue)
    print(
        f"Training {options.backbone} on {training.size()} images of {training.num_classes()} "
        f"classes: {options.epochs} epochs of {steps} steps"
    )
    with pipeline.unwrap_errors(training):
        model.fit(
            pipeline.batches(training, first_step=first, **queue),
            steps_per_epoch=steps,
            initial_epoch=options.initial_epoch,
            epochs=options.epochs,
            validation_data=held_out,
            callbacks=callbacks,
            shuffle=False,  # the pipeline does
            verbose="auto" if os.isatty(1) else 2,
        )


if __name__ == "__main__":
    main()
