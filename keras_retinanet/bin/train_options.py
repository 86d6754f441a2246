"""The options of `retinanet-train`."""

import argparse
import warnings

from keras_retinanet.bin import augmentation_options, common, datasets
from keras_retinanet.bin.list_backbones import ListBackbones
from keras_retinanet.system.machine import cores

# What a data set takes where nothing is given: for photos, and for the small drawn images.
DEFAULTS = {
    "backbone": "resnet50",
    "batch_size": 1,
    "epochs": 50,
    "lr": 1e-4,
    "image_min_side": 800,
    "image_max_side": 1333,
    "imagenet_weights": True,
    "feature_size": 256,
    "op_threads": None,
}
SHAPES_DEFAULTS = {
    "backbone": "resnet18_0.5",
    "batch_size": 4,
    "epochs": 3,
    "lr": 1.5e-3,
    "image_min_side": 128,
    "image_max_side": 192,
    "imagenet_weights": False,
    "feature_size": 64,
    # Small operations gain nothing from two threads each, but two of them can run side by side: a
    # step took 135 ms instead of 175 on two cores.
    "op_threads": 1,
}

ABOVE_ZERO = (
    *("batch_size", "epochs", "steps", "image_min_side", "image_max_side"),
    *("lr", "optimizer_clipnorm", "workers", "max_queue_size"),
)
NOT_NEGATIVE = ("initial_epoch", "multi_gpu", "reduce_lr_patience", "seed")


def add_options(parser) -> None:
    """Add the options that may stand before or after the data set's name."""
    _add_start_options(parser.add_argument_group("where to start"))
    _add_run_options(parser.add_argument_group("the run"))
    _add_image_options(parser.add_argument_group("images"))
    augmentation_options.add_options(parser)
    _add_output_options(parser.add_argument_group("output"))
    _add_machine_options(parser.add_argument_group("machine"))


def _add_start_options(group):
    start = group.add_mutually_exclusive_group()
    start.add_argument("--snapshot", help="go on from a snapshot, ours or an old .h5")
    start.add_argument(
        "--imagenet-weights",
        action="store_const",
        const=True,
        help="start from ImageNet weights, downloaded once (default; not for shapes)",
    )
    start.add_argument("--weights", help="start from the weights in a file")
    start.add_argument(
        "--no-weights",
        dest="imagenet_weights",
        action="store_const",
        const=False,
        help="start from random weights",
    )
    group.add_argument(
        "--backbone", help="the network under the pyramid (default: resnet50; shapes: resnet18_0.5)"
    )
    group.add_argument("--list-backbones", action=ListBackbones, help="print all backbones and end")
    group.add_argument("--freeze-backbone", action="store_true", help="train the new layers only")
    group.add_argument(
        "--config", help=".ini file with anchor parameters, pyramid levels and augmentation"
    )


def _add_run_options(group):
    group.add_argument("--batch-size", type=int, help="images a step (default: 1; shapes: 4)")
    group.add_argument("--initial-epoch", type=int, default=0, help="epochs already done")
    group.add_argument("--epochs", type=int, help="epochs to reach (default: 50; shapes: 3)")
    group.add_argument("--steps", type=int, help="steps an epoch (default: the whole data set)")
    group.add_argument("--lr", type=float, help="learning rate (default: 1e-4; shapes: 1.5e-3)")
    group.add_argument(
        "--lr-schedule",
        choices=["cosine", "plateau"],
        help="fall along a cosine after a warm-up (default), or stay until the loss stalls as "
        "--reduce-lr-patience says",
    )
    group.add_argument("--reduce-lr-patience", type=int, help="epochs to wait (default: 2)")
    group.add_argument("--reduce-lr-factor", type=float, help="factor on the rate (default: 0.1)")
    group.add_argument("--optimizer-clipnorm", type=float, default=0.001, help="longest gradient")
    group.add_argument("--early-stopping", action="store_true", help="stop when mAP stalls")
    group.add_argument("--compute-val-loss", action="store_true", help="also on held-out images")
    group.add_argument("--strict", action="store_true", help="stop at an image that is unreadable")
    group.add_argument("--seed", type=int, default=0, help="where random draws start")


def _add_image_options(group):
    group.add_argument("--image-min-side", type=int, help="shortest side (default: 800)")
    group.add_argument("--image-max-side", type=int, help="longest side (default: 1333)")
    group.add_argument("--no-resize", action="store_true", help="leave images as they are")
    group.add_argument(
        "--group-method",
        default="ratio",
        choices=["none", "random", "ratio"],
        help="which images share a batch",
    )
    group.add_argument(
        "--normalise-on-device",
        action="store_true",
        help="hand images to the network as bytes, a quarter of the size, and let it normalise "
        "them; its snapshots do so too",
    )
    group.add_argument(
        "--pad-to-buckets",
        action="store_true",
        help="pad batches to one of a few fixed shapes (default: to the largest image)",
    )
    group.add_argument(
        "--cache",
        default="none",
        choices=["none", "ram", "disk"],
        help="keep decoded images of the training set in memory, or in files for later runs too "
        "(default: none)",
    )


def _add_output_options(group):
    group.add_argument("--snapshot-path", default="./snapshots", help="folder of all output")
    group.add_argument("--snapshot-format", default="keras", choices=["keras", "h5"])
    group.add_argument("--no-snapshots", dest="snapshots", action="store_false")
    group.add_argument("--no-evaluation", dest="evaluation", action="store_false")
    group.add_argument("--weighted-average", action="store_true", help="weigh mAP by class size")
    group.add_argument("--tensorboard-dir", default="", help="folder for TensorBoard's logs")
    group.add_argument(
        "--tensorboard-freq", default="epoch", type=_frequency, help="'epoch', 'batch' or steps"
    )


def _frequency(text) -> str | int:
    """Return "epoch", "batch" or a number of steps."""
    return text if text in ("epoch", "batch") else int(text)


def _add_machine_options(group):
    group.add_argument("--gpu", help="number of the GPU to use, or cpu")
    group.add_argument("--multi-gpu", type=int, default=0, help="number of GPUs to train on")
    group.add_argument("--multi-gpu-force", action="store_true", help="confirm --multi-gpu")
    group.add_argument(
        "--jit-compile",
        action="store_true",
        help="compile the training step with XLA, once for each shape of a batch",
    )
    group.add_argument(
        "--workers",
        type=int,
        default=cores(),
        help="threads that make batches (default: one for each core)",
    )
    group.add_argument("--max-queue-size", type=int, default=10, help="batches made ahead")
    group.add_argument(
        "--multiprocessing", action="store_true", help="no effect: threads make the batches"
    )


def parse_args(args) -> argparse.Namespace:
    """Return the options, with what depends on the data set filled in.

    Args:
        args: list of command line arguments; None for those of the program.

    Raises:
        ValueError: if options do not go together.
    """
    parser = argparse.ArgumentParser(
        prog="retinanet-train",
        description="Train a detector on a data set and report how good it is.",
    )
    parent = common.with_options(parser, add_options)
    datasets.add_dataset_parsers(parser, [parent], "train")
    options = parser.parse_args(args)
    defaults = SHAPES_DEFAULTS if options.dataset_type == "shapes" else DEFAULTS
    options.given = {name for name, value in vars(options).items() if value is not None}
    for name, value in defaults.items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    return check_args(options)


def check_args(parsed_args) -> argparse.Namespace:
    """Return options, with the schedule of the learning rate filled in, if they go together.

    Raises:
        ValueError: if they do not.
    """
    options = parsed_args
    common.check_range(options, "a number above 0", ABOVE_ZERO)
    common.check_range(options, "a number of at least 0", NOT_NEGATIVE)
    common.check_range(options, "a number between 0 and 1", ["reduce_lr_factor"])
    if options.epochs <= options.initial_epoch:
        raise ValueError(
            f"--epochs {options.epochs}: expected more than --initial-epoch {options.initial_epoch}"
        )
    if options.image_max_side < options.image_min_side:
        raise ValueError("--image-max-side: expected at least --image-min-side")
    augmentation_options.given(options)
    if options.multi_gpu > 1 and not options.multi_gpu_force:
        raise ValueError("--multi-gpu is experimental: add --multi-gpu-force to go on")
    if options.multi_gpu > 1 and options.batch_size < options.multi_gpu:
        raise ValueError(
            f"--batch-size {options.batch_size}: expected at least one image for each of the "
            f"{options.multi_gpu} GPUs"
        )
    plateau = {"reduce_lr_patience", "reduce_lr_factor"} & options.given
    options.lr_schedule = options.lr_schedule or ("plateau" if plateau else "cosine")
    if options.multiprocessing:
        warnings.warn("--multiprocessing has no effect: threads make the batches", stacklevel=2)
    return options
