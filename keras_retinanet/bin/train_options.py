"""The options of `retinanet-train`."""

import argparse
import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from keras_retinanet.augmentation.settings import FLIP_ONLY, SETTING_SPECS, USUAL
from keras_retinanet.bin import augmentation_options, common, datasets
from keras_retinanet.bin.list_backbones import print_backbones
from keras_retinanet.config import Config, load_config
from keras_retinanet.system.machine import cores
from keras_retinanet.training.loss_settings import parse_class_weights
from keras_retinanet.training.plan import (
    DEFAULT_BACKBONE,
    DEFAULT_MAX_SIDE,
    DEFAULT_MIN_SIDE,
    KEPT_BY_RUN,
    KNOWN_BY_SNAPSHOT,
    SETTING_NAMES,
    SettingError,
    SettingWarning,
    TrainingPlan,
)
from keras_retinanet.training.recipes import RECIPES
from keras_retinanet.training.record import RunRecord, is_whole_detector
from keras_retinanet.training.same_settings import is_fixed
from keras_retinanet.training.settings import CHOICES
from keras_retinanet.zoo.fetching import check_name


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that may stand before or after the data set's name."""
    _add_start_options(parser.add_argument_group("where to start"))
    _add_run_options(parser.add_argument_group("the run"))
    _add_loss_options(parser.add_argument_group("losses"))
    _add_image_options(parser.add_argument_group("images"))
    augmentation_options.add_options(parser)
    _add_output_options(parser.add_argument_group("output"))
    _add_machine_options(parser.add_argument_group("machine"))


def _add_start_options(group: argparse._ArgumentGroup) -> None:
    start = group.add_mutually_exclusive_group()
    start.add_argument(
        "--snapshot",
        help="continue the run that wrote a snapshot, with its options unless others are given; or "
        "begin with an old .h5, or with --initial-epoch 0, a new run",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on from the state in --snapshot-path, as after a kill; begin anew if there is "
        "none. The other options are those of the interrupted command, or left out",
    )
    start.add_argument(
        "--imagenet-weights",
        action="store_const",
        const=True,
        help="start from ImageNet weights, downloaded once (default; not for shapes)",
    )
    start.add_argument(
        "--weights",
        help="start from the weights in a file, or from a detector such as coco, which is kept but "
        "for its last classification layer (retinanet-detect --list-models)",
    )
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
    group.add_argument(
        "--list-backbones",
        action=common.PrintAndExit,
        const=print_backbones,
        help="print all backbones and end",
    )
    group.add_argument("--freeze-backbone", action="store_true", help="train the new layers only")
    group.add_argument(
        "--no-freeze-bn",
        dest="freeze_bn",
        action="store_const",
        const=False,
        help="train the backbone's batch normalisation too, as torchvision did for its RetinaNet "
        "v2; few images per step give it noisy statistics (default: frozen if it starts from "
        "weights)",
    )
    group.add_argument(
        "--head-norm",
        choices=CHOICES["head_norm"],
        help="group normalisation in new heads, or none (default)",
    )
    group.add_argument(
        "--hidden-initializer",
        choices=CHOICES["hidden_initializer"],
        help="how the hidden layers of new heads start: he_normal (default), or normal with a "
        "deviation of 0.01 as in the paper",
    )
    group.add_argument(
        "--config", help=".ini file with anchor parameters, pyramid levels and augmentation"
    )


def _add_run_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--batch-size", type=int, help="images per step (default: 1; shapes: 4)")
    group.add_argument(
        "--match-every-box",
        action=argparse.BooleanOptionalAction,
        help="match a box that no anchor overlaps enough to its best one (default: as the snapshot "
        "or detector was trained, else yes)",
    )
    group.add_argument(
        "--initial-epoch",
        type=int,
        help="epochs already done (default: those of the snapshot, else 0)",
    )
    group.add_argument("--epochs", type=int, help="epochs to reach (default: 50; shapes: 3)")
    group.add_argument(
        "--steps", type=int, help="steps per epoch (default: the length of the data set)"
    )
    group.add_argument(
        "--recipe",
        choices=list(RECIPES),
        help="train as the paper does: 90,000 steps of SGD for 16 images each (more of fewer "
        "images, at a lower rate), or for long 1.5 times as many and at varying scales; other "
        "options take precedence, --epochs or --steps alone divides the steps otherwise",
    )
    group.add_argument("--optimizer", choices=CHOICES["optimizer"], help="default: adam")
    group.add_argument("--momentum", type=float, help="of sgd (default: 0.9)")
    group.add_argument(
        "--weight-decay",
        type=float,
        help="of adamw (default: 0.05) and sgd (default: 0); biases and normalisation do not decay",
    )
    group.add_argument(
        "--lr",
        type=float,
        help="learning rate (default: 1e-4 times the square root of the images per step of the "
        "optimizer; shapes: 1.5e-3; sgd: 0.01 for 16 images, in proportion)",
    )
    group.add_argument(
        "--lr-schedule",
        choices=CHOICES["lr_schedule"],
        help="after a warm-up, fall along a cosine (default) or in steps, see --lr-drops; stay "
        "constant; or be reduced when the loss stalls for --reduce-lr-patience epochs (plateau)",
    )
    group.add_argument(
        "--warmup-steps",
        type=int,
        metavar="N",
        help="steps over which the rate rises from almost 0 (default: 500 of the optimizer, or a "
        "tenth of a shorter run; constant: 0)",
    )
    group.add_argument(
        "--lr-drops",
        type=int,
        nargs="+",
        metavar="STEP",
        help="steps of the run after which the rate is a tenth, as in --lr-drops 60000 80000, "
        "behind the name of the data set (default: 2/3 and 8/9 of the run)",
    )
    group.add_argument(
        "--reduce-lr-patience",
        type=int,
        help="epochs without progress before the rate is reduced (default: 2)",
    )
    group.add_argument(
        "--reduce-lr-factor", type=float, help="factor by which the rate is reduced (default: 0.1)"
    )
    group.add_argument(
        "--optimizer-clipnorm",
        type=_maximum,
        metavar="NORM",
        help="maximum norm of the gradient of a tensor of weights, or none (default: 0.001; sgd: "
        "none)",
    )
    group.add_argument(
        "--accumulate",
        type=int,
        metavar="N",
        help="batches whose gradients make one step of the optimizer, as if they were one "
        "(default: 1); a step of the other options stays a batch",
    )
    group.add_argument(
        "--ema",
        type=float,
        metavar="DECAY",
        help="evaluate and save a moving average of the weights with this decay, such as 0.999",
    )
    group.add_argument("--early-stopping", action="store_true", help="stop when mAP stalls")
    group.add_argument(
        "--compute-val-loss", action="store_true", help="compute the loss on held-out images too"
    )
    group.add_argument(
        "--val-share",
        type=float,
        metavar="SHARE",
        help="hold out this share of the images, such as 0.2, of a data set without a set to "
        "evaluate on; the lists of images are written beside the snapshots",
    )
    group.add_argument("--strict", action="store_true", help="stop at an unreadable image")
    group.add_argument(
        "--allow-empty", action="store_true", help="train on a data set without any box"
    )
    group.add_argument("--seed", type=int, help="seed of all random numbers (default: 0)")


def _add_loss_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--loss",
        choices=CHOICES["loss"],
        help="the classification loss: the focal loss (default), FL* of the paper's appendix, "
        "cross entropy balanced by --alpha, or cross entropy",
    )
    group.add_argument(
        "--alpha",
        type=float,
        help="of focal and balanced-ce: weight of a class that is present, 1 - alpha is that of "
        "one that is not (default: 0.25)",
    )
    group.add_argument(
        "--gamma",
        type=float,
        help="of focal and focal-star: how much less easy examples count (default: 2)",
    )
    group.add_argument("--beta", type=float, help="of focal-star: shift of logits (default: 1)")
    group.add_argument(
        "--class-weights",
        type=_class_weights,
        metavar="NAME=WEIGHT,...",
        help="factors on the parts of the classification loss, as in cat=2,dog=0.5 (default: 1)",
    )
    group.add_argument(
        "--box-loss",
        choices=CHOICES["box_loss"],
        help="the loss of the boxes, of their overlap (giou) or of their offsets (default: that "
        "of the snapshot or detector, else giou)",
    )
    group.add_argument(
        "--loss-normaliser",
        choices=CHOICES["loss_normaliser"],
        help="divide the losses by the positive anchors of the batch (default), or those of each "
        "image by its own, as the paper and torchvision do",
    )


def _class_weights(text: str) -> dict[str, float]:
    """Return the weights of classes in a text, see `parse_class_weights`."""
    try:
        return parse_class_weights(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_image_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--image-min-side", type=int, help="pixels of the shorter side (default: 800; shapes: 128)"
    )
    group.add_argument(
        "--image-max-side",
        type=int,
        help="maximum pixels of the longer side (default: 1333; shapes: 192)",
    )
    group.add_argument("--no-resize", action="store_true", help="keep the size of images")
    common.add_max_pixels(group)
    group.add_argument(
        "--group-method",
        choices=["none", "random", "ratio"],
        help="which images share a batch (default: ratio, those of similar aspect ratio)",
    )
    group.add_argument(
        "--normalise-on-device",
        action="store_true",
        help="feed images as uint8, a quarter of the size, to a network that normalises them; its "
        "snapshots do so too",
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


def _add_output_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--snapshot-path", default="./snapshots", help="folder of all output (./snapshots)"
    )
    group.add_argument("--snapshot-format", default="keras", choices=["keras", "h5"])
    group.add_argument("--no-snapshots", dest="snapshots", action="store_false")
    group.add_argument(
        "--save-steps",
        type=int,
        metavar="N",
        help="save the state for --resume after every N steps of an epoch, too (default: after "
        "each epoch)",
    )
    group.add_argument(
        "--keep",
        type=_count_or_all,
        metavar="N",
        help="keep the last N snapshots and the best one, or all (default: 3)",
    )
    group.add_argument(
        "--max-time",
        type=float,
        metavar="HOURS",
        help="save the state and stop after so many hours; --resume goes on",
    )
    group.add_argument("--no-evaluation", dest="evaluation", action="store_false")
    group.add_argument(
        "--max-detections",
        type=int,
        help="maximum number of detections per image in the evaluation (default: 100, or the "
        "number of objects in the image that has most)",
    )
    group.add_argument(
        "--weighted-average", action="store_true", help="weigh the classes of mAP by their boxes"
    )
    group.add_argument("--tensorboard-dir", default="", help="folder for TensorBoard's logs")
    group.add_argument(
        "--tensorboard-freq", default="epoch", type=_frequency, help="'epoch', 'batch' or steps"
    )
    group.add_argument(
        "--wandb", action="store_true", help="log to Weights & Biases (pip install wandb)"
    )
    group.add_argument("--mlflow", action="store_true", help="log to MLflow (pip install mlflow)")


def _count_or_all(text: str) -> int:
    """Return a number; 0 for "all".

    Raises:
        argparse.ArgumentTypeError: if it is neither.
    """
    if text == "all":
        return 0
    if text.isdecimal() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number above 0 or all, got {text!r}")


def _maximum(text: str) -> float:
    """Return a number; 0 for "none".

    Raises:
        argparse.ArgumentTypeError: if it is neither.
    """
    try:
        return 0.0 if text == "none" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number or none, got {text!r}") from None


def _frequency(text: str) -> str | int:
    """Return "epoch", "batch" or a number of steps."""
    return text if text in ("epoch", "batch") else int(text)


def _add_machine_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--gpu", help="number of the GPU to use, or cpu")
    group.add_argument(
        "--multi-gpu", type=int, default=0, help="number of GPUs, which share each batch"
    )
    group.add_argument("--multi-gpu-force", action="store_true", help="has no effect")
    group.add_argument(
        "--jit-compile",
        action="store_true",
        help="compile the training step with XLA, once for each shape of a batch",
    )
    group.add_argument(
        "--mixed-precision",
        choices=CHOICES["mixed_precision"],
        help="compute in bfloat16 or float16, with weights, outputs and losses in float32; auto "
        "takes bfloat16 where the processor or GPU has it fast (default: auto)",
    )
    group.add_argument(
        "--deterministic",
        action="store_true",
        help="give the same weights again, bit for bit, and after --resume; takes longer",
    )
    group.add_argument(
        "--workers",
        type=int,
        default=cores(),
        help="threads that make batches (default: one for each core)",
    )
    group.add_argument(
        "--max-queue-size", type=int, default=10, help="maximum number of prefetched batches"
    )
    group.add_argument(
        "--multiprocessing", action="store_true", help="no effect: threads make the batches"
    )


def parse_args(args: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, with what depends on the data set filled in.

    Args:
        args: command line arguments; None for those of the program.

    Raises:
        ValueError: naming the flag, if a value is wrong or options do not go together.
    """
    parser = argparse.ArgumentParser(
        prog="retinanet-train",
        description="Train a detector on a data set and report how good it is.",
    )
    parent = common.with_options(parser, add_options)
    datasets.add_dataset_parsers(parser, [parent], "train")
    options = datasets.parse(parser, args, "train")
    options.given = {  # a flag that is not given is False, or None where False can be given
        name
        for name, value in vars(options).items()
        if value is not None and (value is not False or parser.get_default(name) is None)
    }
    if getattr(options, "export", None):
        changed = {
            name for name in options.given if vars(options)[name] != parser.get_default(name)
        }
        void = sorted(map(common.flag, changed - {"dataset_type", "export"}))
        if void:
            warnings.warn(f"{', '.join(void)}: no effect beside --export", stacklevel=2)
    if options.lr_schedule is None:
        if options.lr_drops:
            options.lr_schedule = "step"
        elif {"reduce_lr_patience", "reduce_lr_factor"} & options.given:
            options.lr_schedule = "plateau"
        if options.lr_schedule:
            options.given.add("lr_schedule")
    return check_args(options)


def check_args(parsed_args: argparse.Namespace) -> argparse.Namespace:
    """Return options that have been checked, with the defaults of the data set filled in.

    Raises:
        ValueError: naming the flag, if a value is wrong or options do not go together.
    """
    options = parsed_args
    if options.multi_gpu_force and options.multi_gpu < 2:
        warnings.warn("--multi-gpu-force has no effect without --multi-gpu", stacklevel=2)
    if options.multiprocessing:
        warnings.warn("--multiprocessing has no effect: threads make the batches", stacklevel=2)
    for model in filter(None, (options.weights, options.snapshot)):
        check_name(model)
        if os.path.isdir(model):
            common.check_model(model)  # which says what the folder hides
    with naming_flags():
        plan = make_plan(options)
    defaults = {
        "backbone": DEFAULT_BACKBONE,
        "image_min_side": DEFAULT_MIN_SIDE,
        "image_max_side": DEFAULT_MAX_SIDE,
    }
    for name in SETTING_NAMES:
        if name != "config" and getattr(options, name, "") is None:
            known = getattr(plan, name)
            setattr(options, name, defaults.get(name) if known is None else known)
    return options


def make_plan(options: argparse.Namespace) -> TrainingPlan:
    """Return the plan that parsed options ask for.

    Args:
        options: what the parser returned; its `config` may be a file name, what
            `read_config_file` returned, a `Config`, or None.

    Raises:
        OSError: if the config file cannot be read.
        SettingError: if a value is wrong, or two do not go together.
        ValueError: if the config file or an option of augmentation is malformed.
    """
    config = options.config
    config = Config.of(load_config(config) if isinstance(config, str) else config)
    settings = {
        name: getattr(options, name)
        for name in SETTING_NAMES
        if name != "data" and getattr(options, name, None) is not None
    }
    settings["config"] = config
    settings["tensorboard_dir"] = options.tensorboard_dir or None
    in_file = config.augmentation
    recipe = getattr(options, "recipe", None)
    if recipe is not None:
        settings["recipe"] = recipe
        if not options.no_resize:  # with which the plan refuses a recipe that changes the scale
            in_file = {**RECIPES[recipe].augmentation, **in_file}
    # The paper, whose recipes they are, only flips images.
    usual = USUAL if recipe is None else FLIP_ONLY
    settings["augmentation"] = augmentation_options.settings(options, in_file, usual)
    resumes = options.resume and RunRecord.of_state(options.snapshot_path) is not None
    if options.snapshot or resumes:
        # What was filled in, not given, is for the snapshot to say.
        given = set(options.given)
        if config.augmentation or given & {"random_transform", *SETTING_SPECS}:
            given.add("augmentation")
        kept = {"initial_epoch", *KNOWN_BY_SNAPSHOT, *KEPT_BY_RUN}
        if resumes:
            kept = set(filter(is_fixed, SETTING_NAMES))
        for name in kept - given:
            settings.pop(name, None)
    elif options.weights and is_whole_detector(options.weights):
        for name in KNOWN_BY_SNAPSHOT - set(options.given):
            settings.pop(name, None)
    return TrainingPlan.for_data(datasets.named_data(options), **settings)


@contextlib.contextmanager
def naming_flags() -> Iterator[None]:
    """Name the flag where an error or a warning names a setting of a plan."""
    show = warnings.showwarning

    def show_flag(message: Warning | str, *place: Any) -> None:
        if isinstance(message, SettingWarning):
            message = UserWarning(f"{common.flag(message.name)}: {message.problem}")
        show(message, *place)

    warnings.showwarning = show_flag  # type: ignore[assignment]  # typeshed names each argument
    try:
        yield
    except SettingError as error:
        raise ValueError(f"{common.flag(error.name)}: {error.problem}") from None
    finally:
        warnings.showwarning = show
