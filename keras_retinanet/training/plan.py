"""A training run as a value: what to train, on what, how, and where to write.

Nothing here imports TensorFlow, so that the command can check its options at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from keras_retinanet.augmentation.settings import USUAL, AugmentationSettings
from keras_retinanet.config import Config
from keras_retinanet.preprocessing.data import ShapesData, TrainingData
from keras_retinanet.system.limits import MAX_PIXELS
from keras_retinanet.system.machine import cores
from keras_retinanet.system.types import StrPath
from keras_retinanet.training.loss_settings import (
    SOME_LOSSES_HAVE,
    check_class_weights,
    check_loss,
    without_other_loss,
)
from keras_retinanet.training.recipes import ADAM_RATE, combine
from keras_retinanet.training.record import RunRecord, is_whole_detector
from keras_retinanet.training.same_settings import check_same, is_fixed, plain
from keras_retinanet.training.settings import (
    CHOICES,
    RANGES,
    SHAPES_SETTINGS,
    SettingError,
    SettingWarning,
    check_drops,
    check_number,
)
from keras_retinanet.training.void_settings import find_void_settings

__all__ = [
    "DEFAULT_BACKBONE",
    "DEFAULT_MAX_SIDE",
    "DEFAULT_MIN_SIDE",
    "KEPT_BY_RUN",
    "KNOWN_BY_SNAPSHOT",
    "SETTING_NAMES",
    "SHAPES_SETTINGS",
    "SettingError",
    "SettingWarning",
    "TrainingPlan",
]

# What is used where neither the plan nor a snapshot says otherwise.
DEFAULT_BACKBONE = "resnet50"
DEFAULT_MIN_SIDE, DEFAULT_MAX_SIDE = 800, 1333

# Settings that follow from the model in a snapshot.
KNOWN_BY_SNAPSHOT = frozenset({"backbone", "feature_size", "image_min_side", "image_max_side"})
# Settings of a recipe that a model to start from has of its own.
OF_ANY_MODEL = frozenset({"hidden_initializer", "head_norm", "box_loss", "match_every_box"})
# Settings that a run keeps when it is continued from a snapshot, unless they are given.
KEPT_BY_RUN = (
    *("loss", "alpha", "gamma", "beta", "class_weights", "loss_normaliser"),
    *("batch_size", "epochs", "steps", "optimizer", "momentum", "weight_decay"),
    *("lr", "lr_schedule", "warmup_steps", "lr_drops", "reduce_lr_patience"),
    *("reduce_lr_factor", "optimizer_clipnorm", "accumulate", "ema", "mixed_precision"),
    *("early_stopping", "compute_val_loss", "seed", "keep"),
    *("no_resize", "group_method", "pad_to_buckets", "augmentation", "weighted_average"),
    *("freeze_backbone", "freeze_bn", "max_detections", "val_share", "deterministic"),
)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Everything that `training.run.train` needs to know; checked when it is made.

    Attributes:
        data: what to train and evaluate on.
        snapshot: file of a training or inference model to continue from; None to start a new one.
        weights: file of weights to start a new model from, or the name or file of a published
            detector, which is kept but for its last classification layer; None for none.
        resume: whether to go on from the state in `snapshot_path`, if there is one.
        imagenet_weights: whether a new model without `weights` starts from ImageNet weights, which
            are downloaded once.
        backbone: name of the backbone; None for that of the snapshot or detector, or "resnet50".
        freeze_backbone: whether to train the new layers only.
        feature_size: channels of the pyramid and the heads of a new model.
        head_norm: what the hidden layers of a new model's heads have instead of a bias: "none" for
            the bias, or "group" for group normalisation (arXiv 1803.08494).
        freeze_bn: whether batch normalisation of the backbone keeps its statistics and factors;
            None for yes if the model starts from weights, and as it is with a snapshot.
        hidden_initializer: how the hidden layers of a new model's heads start: "he_normal", or
            "normal" with a standard deviation of 0.01, as in the paper.
        config: anchors and pyramid levels; where it has none, those of the snapshot, or anchors
            that suit the boxes.
        batch_size: images per step.
        initial_epoch: number of epochs already done.
        epochs: number of epochs to reach.
        steps: steps per epoch; None for the length of the data set.
        loss: the classification loss: "focal", "focal-star", "balanced-ce" or "ce", see
            `losses.CLASSIFICATION_LOSSES`.
        alpha: for "focal" and "balanced-ce": weight of a class that is present, between 0 and 1;
            one that is not has 1 - alpha. None for 0.25.
        gamma: for "focal" and "focal-star": how much less easy examples count; None for 2.
        beta: for "focal-star": shift of the logits; None for 1.
        class_weights: name of a class -> factor on its part of the classification loss, of which
            the others have 1; None for 1 for all.
        box_loss: the loss of the box offsets: "smooth-l1", "l1" or "giou"; None for that of the
            snapshot or detector, or "giou".
        loss_normaliser: what both losses are divided by: the positive anchors of the "batch", or of
            each "image", which then all weigh the same.
        optimizer: "adam", "adamw" or "sgd".
        momentum: for "sgd".
        weight_decay: how much kernels decay: for "adamw" apart from their gradient, for "sgd" as a
            penalty that passes through the momentum. Biases and normalisation layers do not.
        lr: maximum learning rate. With `for_data` it follows from the optimizer and the images in
            its step.
        lr_schedule: "cosine" (warm up, then fall to 1 %), "step" (warm up, then fall to a tenth at
            each of `lr_drops`), "constant", or "plateau" (reduce the rate when the loss stalls).
        warmup_steps: the step of the run at which the rate has risen to `lr`; None for 500 times
            `accumulate`, or a tenth of a shorter run, with "cosine" and "step", and 0 with
            "constant".
        lr_drops: for "step": steps of the run, counted from 0, from which on the rate is a tenth;
            None for those at 2/3 and 8/9 of the run.
        reduce_lr_patience: for "plateau": epochs without progress.
        reduce_lr_factor: for "plateau": factor on the rate.
        optimizer_clipnorm: maximum norm of the gradient of a tensor of weights; 0 for no maximum.
        accumulate: number of batches whose gradients make one step of the optimizer, which is that
            of one batch of all their images. Each is a step of the run: `steps`, `warmup_steps` and
            `lr_drops` count batches. An update may run over the end of an epoch; batches at the end
            of the run that make up no full update are not used.
        ema: decay of a moving average of the weights, such as 0.999; the average is what is
            evaluated and saved, also by `compute_val_loss`. The decay rises to it over the first
            steps of the optimizer. Statistics of batch normalisation are not averaged. None for
            none.
        mixed_precision: "none" for float32; "bfloat16" or "float16" to compute in that, with
            weights, outputs and losses in float32; "auto" for bfloat16 where the processor or GPU
            has it fast.
        early_stopping: whether to stop when mAP stalls.
        compute_val_loss: whether to compute the loss on the set to evaluate on.
        val_share: share of the images to hold out, between 0 and 1, if the data have no set to
            evaluate on; None for none. Which ones follows from the seed.
        strict: whether an unreadable image stops the run.
        allow_empty: whether to train on a data set without any box.
        match_every_box: whether a box that no anchor overlaps enough is matched to its best one;
            None for what the snapshot or detector was trained with, or yes.
        seed: what all random numbers follow from.
        image_min_side: pixels of the shorter side after resizing; None for what the snapshot was
            trained with, or 800.
        image_max_side: maximum pixels of the longer side; None as above, or 1333.
        no_resize: whether images keep their size.
        max_pixels: maximum number of pixels that an image may declare.
        group_method: which images share a batch: "ratio", "random" or "none".
        normalise_on_device: whether images stay uint8 and a new model normalises them.
        pad_to_buckets: whether batches are padded to one of a few shapes.
        cache: where decoded images are kept: "none", "ram" or "disk".
        augmentation: how images are changed at random; None for horizontal flips, mosaics and what
            `config` says in its section [augmentation].
        snapshot_path: folder of all output.
        snapshot_format: "keras" or "h5".
        snapshots: whether to save a snapshot, and the state of the run, after each epoch.
        save_steps: steps from one state to the next inside an epoch; None for none there.
        keep: number of snapshots that are kept, the last ones, beside the best; 0 for all.
        max_time: hours after which the run saves its state and stops; None for no limit.
        evaluation: whether to evaluate after each epoch.
        max_detections: maximum number of detections per image in mAP; None for 100, or the maximum
            number of objects in an image to evaluate on if that is higher.
        weighted_average: whether mAP weighs the classes by their number of boxes.
        tensorboard_dir: folder for TensorBoard's logs; None for none.
        tensorboard_freq: "epoch", "batch" or a number of steps.
        wandb: whether to log to Weights & Biases.
        mlflow: whether to log to MLflow.
        multi_gpu: number of GPUs to train on; 0 or 1 for one device.
        jit_compile: whether XLA compiles the training step.
        deterministic: whether the same plan gives the same weights, bit for bit, on the same
            machine, which takes longer; TensorFlow must not have run anything before.
        workers: threads that make batches.
        max_queue_size: maximum number of prefetched batches.
    """

    data: TrainingData
    snapshot: StrPath | None = None
    resume: bool = False
    weights: StrPath | None = None
    imagenet_weights: bool = True
    backbone: str | None = None
    freeze_backbone: bool = False
    feature_size: int = 256
    head_norm: str = "none"
    freeze_bn: bool | None = None
    hidden_initializer: str = "he_normal"
    config: Config = Config()
    batch_size: int = 1
    initial_epoch: int = 0
    epochs: int = 50
    steps: int | None = None
    loss: str = "focal"
    alpha: float | None = None
    gamma: float | None = None
    beta: float | None = None
    class_weights: Mapping[str, float] | None = None
    box_loss: str | None = None
    loss_normaliser: str = "batch"
    optimizer: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    lr: float = ADAM_RATE
    lr_schedule: str = "cosine"
    warmup_steps: int | None = None
    lr_drops: tuple[int, ...] | None = None
    reduce_lr_patience: int = 2
    reduce_lr_factor: float = 0.1
    optimizer_clipnorm: float = 0.001
    accumulate: int = 1
    ema: float | None = None
    mixed_precision: str = "auto"
    early_stopping: bool = False
    compute_val_loss: bool = False
    val_share: float | None = None
    strict: bool = False
    allow_empty: bool = False
    match_every_box: bool | None = None
    seed: int = 0
    image_min_side: int | None = None
    image_max_side: int | None = None
    no_resize: bool = False
    max_pixels: int = MAX_PIXELS
    group_method: str = "ratio"
    normalise_on_device: bool = False
    pad_to_buckets: bool = False
    cache: str = "none"
    augmentation: AugmentationSettings | None = None
    snapshot_path: StrPath = "./snapshots"
    snapshot_format: str = "keras"
    snapshots: bool = True
    save_steps: int | None = None
    keep: int = 3
    max_time: float | None = None
    evaluation: bool = True
    max_detections: int | None = None
    weighted_average: bool = False
    tensorboard_dir: StrPath | None = None
    tensorboard_freq: str | int = "epoch"
    wandb: bool = False
    mlflow: bool = False
    multi_gpu: int = 0
    jit_compile: bool = False
    deterministic: bool = False
    workers: int = field(default_factory=cores)
    max_queue_size: int = 10

    @classmethod
    def for_data(
        cls, data: TrainingData, *, recipe: str | None = None, **settings: Any
    ) -> TrainingPlan:
        """Return a plan whose defaults suit the data and the optimizer.

        `ShapesData` have those of small pictures. With a `snapshot` of this package the plan
        continues the run that wrote it: after the epoch of the snapshot, with the settings of that
        run. With `initial_epoch=0` it is a new run that starts from the model in the snapshot.
        With `resume` and a state to go on from, its settings are those of the state.

        Args:
            data: what to train and evaluate on.
            recipe: "paper" for the training of the paper, "long" for the longer one behind its best
                numbers, see `recipes`; None for neither. Its number of steps follows from the batch
                size, its learning rate from that times `accumulate`.
            **settings: attributes of the plan; they take precedence. With another `optimizer` than
                that of the recipe, its learning rate, weight decay and clipping are those that suit
                that optimizer.

        Raises:
            SettingError: if a value is wrong, two do not go together, or one is not that of the
                state to go on from.
        """
        names = ("optimizer", "batch_size", "accumulate")
        defaults = {name: getattr(cls, name) for name in names}
        if isinstance(data, ShapesData):
            defaults |= SHAPES_SETTINGS
        kept: dict[str, Any] = {}
        of_model: frozenset[str] = frozenset()
        state = None
        if settings.get("resume"):
            state = RunRecord.of_state(settings.get("snapshot_path", cls.snapshot_path))
        if state is not None:
            fixed = [setting.name for setting in fields(cls) if is_fixed(setting.name)]
            kept = _known(state, fixed)
        elif settings.get("snapshot"):
            of_model = KNOWN_BY_SNAPSHOT | OF_ANY_MODEL
            record = RunRecord.read(settings["snapshot"])
            if record is not None and settings.get("initial_epoch") != 0:
                kept = without_other_loss(_kept(record), settings.get("loss"))
        elif settings.get("weights") and is_whole_detector(settings["weights"]):
            of_model = OF_ANY_MODEL | {"backbone", "feature_size"}
        combined = combine(defaults, kept, recipe, settings)
        for name in of_model - set(settings):
            combined.pop(name, None)
        plan = cls(data=data, **combined)
        if state is not None:
            check_same(plan.fixed_settings(), state)
        return plan

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            SettingError: naming the setting, what was expected and what came.
        """
        for _, names in RANGES.values():
            for name in names:
                optional = getattr(type(self), name, 0) is None  # by default
                check_number(name, getattr(self, name), optional=optional)
        for name, choices in CHOICES.items():
            if getattr(self, name) is None and getattr(type(self), name) is None:
                continue  # the usual one
            if getattr(self, name) not in choices:
                raise SettingError(
                    name, f"expected one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )
        object.__setattr__(self, "lr_drops", check_drops(self.lr_drops))
        object.__setattr__(self, "class_weights", check_class_weights(self.class_weights))
        check_loss(self.loss, {name: getattr(self, name) for name in SOME_LOSSES_HAVE})
        if self.optimizer == "adam" and self.weight_decay:
            raise SettingError(
                "weight_decay", f"adam has none, got {self.weight_decay:g}: the optimizer adamw has"
            )
        if self.epochs <= self.initial_epoch:
            hint = (
                ": the run of the snapshot is done; more epochs continue it, an initial_epoch of 0 "
                "begins a new run with its model"
            )
            raise SettingError(
                "epochs",
                f"expected more than initial_epoch ({self.initial_epoch}), got {self.epochs}"
                f"{hint if self.snapshot else ''}",
            )
        if self.freeze_backbone and self.freeze_bn is False:
            raise SettingError("freeze_bn", "cannot go with freeze_backbone, which freezes it too")
        if self.snapshot is not None and self.weights is not None:
            raise SettingError("weights", "cannot go with a snapshot, which has weights itself")
        shortest = DEFAULT_MIN_SIDE if self.image_min_side is None else self.image_min_side
        longest = DEFAULT_MAX_SIDE if self.image_max_side is None else self.image_max_side
        if longest < shortest and not self.snapshot:
            raise SettingError(
                "image_max_side", f"expected at least image_min_side ({shortest}), got {longest}"
            )
        if self.resume and not self.snapshots:
            raise SettingError("resume", "needs the state of a run, which is saved with snapshots")
        if self.max_time is not None and not self.snapshots:
            raise SettingError("max_time", "needs the state, which is saved with snapshots")
        if self.multi_gpu > 1 and self.batch_size < self.multi_gpu:
            raise SettingError(
                "batch_size",
                f"expected at least one image for each of the {self.multi_gpu} GPUs, "
                f"got {self.batch_size}",
            )

    def augmentation_settings(self) -> AugmentationSettings:
        """Return how images are changed at random.

        Raises:
            ValueError: if a value in the config is wrong.
        """
        if self.augmentation is not None:
            return self.augmentation
        return replace(USUAL, **self.config.augmentation)

    def starts_from_detector(self) -> bool:
        """Return whether the model is a published detector, or came from one, with new classes."""
        return self.weights is not None and is_whole_detector(self.weights)

    def void_settings(self, has_validation: bool) -> dict[str, str]:
        """Return the settings that were changed but have no effect: name -> why.

        Args:
            has_validation: whether there is a set to evaluate on.
        """
        return find_void_settings(self, has_validation)

    def kept_settings(self) -> dict[str, Any]:
        """Return the settings that a continued run keeps, as plain values for JSON."""
        settings = {name: getattr(self, name) for name in KEPT_BY_RUN}
        return {**settings, "augmentation": asdict(self.augmentation_settings())}

    def fixed_settings(self) -> dict[str, Any]:
        """Return the settings that cannot change when a run goes on, as plain values for JSON."""
        settings = {name: getattr(self, name) for name in SETTING_NAMES if is_fixed(name)}
        return plain({**settings, "augmentation": asdict(self.augmentation_settings())})


def _kept(record: RunRecord) -> dict[str, Any]:
    """Return the settings with which the run that wrote a snapshot is continued."""
    return {**_known(record, KEPT_BY_RUN), "initial_epoch": record.epoch}


def _known(record: RunRecord, names: Sequence[str]) -> dict[str, Any]:
    """Return those of some settings that a record holds.

    Raises:
        SettingError: if they are malformed.
    """
    known = {name: value for name, value in record.settings.items() if name in names}
    try:
        known["augmentation"] = AugmentationSettings(**known["augmentation"])
    except (KeyError, TypeError, ValueError) as error:
        raise SettingError("snapshot", f"its augmentation is malformed: {error}") from None
    return known


SETTING_NAMES = tuple(setting.name for setting in fields(TrainingPlan))
