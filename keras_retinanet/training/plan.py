"""A training run as a value: what to train, on what, how, and where to write.

Nothing here imports TensorFlow, so that the command can check its options at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from keras_retinanet.augmentation.settings import FLIP_ONLY, AugmentationSettings
from keras_retinanet.config import Config
from keras_retinanet.preprocessing.data import CocoData, ShapesData, TrainingData
from keras_retinanet.system.limits import MAX_PIXELS
from keras_retinanet.system.machine import cores
from keras_retinanet.system.types import StrPath
from keras_retinanet.training.record import RunRecord, is_whole_detector

# What is used where neither the plan nor a snapshot says otherwise.
DEFAULT_BACKBONE = "resnet50"
DEFAULT_MIN_SIDE, DEFAULT_MAX_SIDE = 800, 1333

# What suits the small pictures of `shapes`.
SHAPES_SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "backbone": "resnet18_0.5",
        "imagenet_weights": False,
        "feature_size": 64,
        "batch_size": 4,
        "epochs": 3,
        "lr": 1.5e-3,
        "image_min_side": 128,
        "image_max_side": 192,
    }
)
# Settings that follow from the model in a snapshot.
KNOWN_BY_SNAPSHOT = frozenset({"backbone", "feature_size", "image_min_side", "image_max_side"})
# Settings that a run keeps when it is continued from a snapshot, unless they are given.
KEPT_BY_RUN = (
    *("batch_size", "epochs", "steps", "lr", "lr_schedule", "reduce_lr_patience"),
    *("reduce_lr_factor", "optimizer_clipnorm", "early_stopping", "compute_val_loss", "seed"),
    *("no_resize", "group_method", "pad_to_buckets", "augmentation", "weighted_average"),
    *("freeze_backbone", "max_detections", "val_share"),
)


class SettingError(ValueError):
    """A setting of a plan has a wrong value.

    Attributes:
        name: the setting.
        problem: what was expected and what came.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


class SettingWarning(UserWarning):
    """A setting of a plan has no effect.

    Attributes:
        name: the setting.
        problem: why it has none.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Everything that `training.run.train` needs to know; checked when it is made.

    Attributes:
        data: what to train and evaluate on.
        snapshot: file of a training or inference model to continue from; None to start a new one.
        weights: file of weights to start a new model from, or the name or file of a published
            detector, which is kept but for its last classification layer; None for none.
        imagenet_weights: whether a new model without `weights` starts from ImageNet weights, which
            are downloaded once.
        backbone: name of the backbone; None for that of the snapshot or detector, or "resnet50".
        freeze_backbone: whether to train the new layers only.
        feature_size: channels of the pyramid and the heads of a new model.
        config: anchors and pyramid levels; where it has none, those of the snapshot, or anchors
            that suit the boxes.
        batch_size: images per step.
        initial_epoch: number of epochs already done.
        epochs: number of epochs to reach.
        steps: steps per epoch; None for the length of the data set.
        lr: maximum learning rate.
        lr_schedule: "cosine" (warm up, then fall to 1 %) or "plateau" (reduce the rate when the
            loss stalls).
        reduce_lr_patience: for "plateau": epochs without progress.
        reduce_lr_factor: for "plateau": factor on the rate.
        optimizer_clipnorm: maximum norm of the gradient of a tensor of weights.
        early_stopping: whether to stop when mAP stalls.
        compute_val_loss: whether to compute the loss on the set to evaluate on.
        val_share: share of the images to hold out, between 0 and 1, if the data have no set to
            evaluate on; None for none. Which ones follows from the seed.
        strict: whether an unreadable image stops the run.
        allow_empty: whether to train on a data set without any box.
        match_every_box: whether a box that no anchor overlaps enough is matched to its best one;
            None for what the snapshot or detector was trained with, or no.
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
        augmentation: how images are changed at random; None for horizontal flips and what `config`
            says in its section [augmentation].
        snapshot_path: folder of all output.
        snapshot_format: "keras" or "h5".
        snapshots: whether to save a snapshot after each epoch.
        evaluation: whether to evaluate after each epoch.
        max_detections: maximum number of detections per image in mAP; None for 100, or the maximum
            number of objects in an image to evaluate on if that is higher.
        weighted_average: whether mAP weighs the classes by their number of boxes.
        tensorboard_dir: folder for TensorBoard's logs; None for none.
        tensorboard_freq: "epoch", "batch" or a number of steps.
        multi_gpu: number of GPUs to train on; 0 or 1 for one device.
        jit_compile: whether XLA compiles the training step.
        workers: threads that make batches.
        max_queue_size: maximum number of prefetched batches.
    """

    data: TrainingData
    snapshot: StrPath | None = None
    weights: StrPath | None = None
    imagenet_weights: bool = True
    backbone: str | None = None
    freeze_backbone: bool = False
    feature_size: int = 256
    config: Config = Config()
    batch_size: int = 1
    initial_epoch: int = 0
    epochs: int = 50
    steps: int | None = None
    lr: float = 1e-4
    lr_schedule: str = "cosine"
    reduce_lr_patience: int = 2
    reduce_lr_factor: float = 0.1
    optimizer_clipnorm: float = 0.001
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
    evaluation: bool = True
    max_detections: int | None = None
    weighted_average: bool = False
    tensorboard_dir: StrPath | None = None
    tensorboard_freq: str | int = "epoch"
    multi_gpu: int = 0
    jit_compile: bool = False
    workers: int = field(default_factory=cores)
    max_queue_size: int = 10

    @classmethod
    def for_data(cls, data: TrainingData, **settings: Any) -> TrainingPlan:
        """Return a plan whose defaults suit the data: those of small pictures for `ShapesData`.

        With a `snapshot` of this package the plan continues the run that wrote it: after the epoch
        of the snapshot, with the settings of that run. With `initial_epoch=0` it is a new run that
        starts from the model in the snapshot.

        Args:
            data: what to train and evaluate on.
            **settings: attributes of the plan; they take precedence.

        Raises:
            SettingError: if a value is wrong, or two do not go together.
        """
        defaults = dict(SHAPES_SETTINGS) if isinstance(data, ShapesData) else {}
        if settings.get("snapshot"):
            for name in KNOWN_BY_SNAPSHOT:
                defaults.pop(name, None)
            record = RunRecord.read(settings["snapshot"])
            if record is not None and settings.get("initial_epoch") != 0:
                defaults |= _kept(record)
        elif settings.get("weights") and is_whole_detector(settings["weights"]):
            for name in ("backbone", "feature_size"):
                defaults.pop(name, None)
        return cls(data=data, **{**defaults, **settings})

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            SettingError: naming the setting, what was expected and what came.
        """
        for words, (holds, names) in _RANGES.items():
            for name in names:
                value = getattr(self, name)
                if value is not None and not (isinstance(value, (int, float)) and holds(value)):
                    raise SettingError(name, f"expected {words}, got {value}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingError(
                    name, f"expected one of {', '.join(choices)}, got {getattr(self, name)!r}"
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
        if self.snapshot is not None and self.weights is not None:
            raise SettingError("weights", "cannot go with a snapshot, which has weights itself")
        shortest = DEFAULT_MIN_SIDE if self.image_min_side is None else self.image_min_side
        longest = DEFAULT_MAX_SIDE if self.image_max_side is None else self.image_max_side
        if longest < shortest and not self.snapshot:
            raise SettingError(
                "image_max_side", f"expected at least image_min_side ({shortest}), got {longest}"
            )
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
        return replace(FLIP_ONLY, **self.config.augmentation)

    def starts_from_detector(self) -> bool:
        """Return whether the model is a published detector, or came from one, with new classes."""
        return self.weights is not None and is_whole_detector(self.weights)

    def void_settings(self, has_validation: bool) -> dict[str, str]:
        """Return the settings that were changed but have no effect: name -> why.

        Args:
            has_validation: whether there is a set to evaluate on.
        """
        evaluates, is_coco = has_validation and self.evaluation, isinstance(self.data, CocoData)
        void = {
            "early_stopping": (not evaluates, "there is no evaluation after an epoch"),
            "max_detections": (
                not evaluates or (is_coco and (self.max_detections or 100) < 100),
                "COCO's mAP counts 100 detections or more"
                if evaluates
                else "there is no evaluation after an epoch",
            ),
            "weighted_average": (
                not evaluates or is_coco,
                "mAP is not the mean over classes that it would weigh",
            ),
            "compute_val_loss": (not has_validation, "there are no data to evaluate on"),
            "reduce_lr_patience": (self.lr_schedule == "cosine", "the schedule is cosine"),
            "reduce_lr_factor": (self.lr_schedule == "cosine", "the schedule is cosine"),
            "snapshot_format": (not self.snapshots, "no snapshots are saved"),
            "tensorboard_freq": (self.tensorboard_dir is None, "there is no tensorboard_dir"),
            "feature_size": (
                self.snapshot is not None or self.starts_from_detector(),
                f"{self.snapshot or self.weights} has its own",
            ),
            "backbone": (
                self.snapshot is None and self.starts_from_detector(),
                f"{self.weights} has its own",
            ),
            "image_min_side": (self.no_resize, "images keep their size"),
            "image_max_side": (self.no_resize, "images keep their size"),
        }
        defaults = {setting.name: setting.default for setting in fields(self)}
        if isinstance(self.data, ShapesData) and self.snapshot is None:
            sizes = ("backbone", "feature_size") if self.starts_from_detector() else ()
            defaults |= {k: v for k, v in SHAPES_SETTINGS.items() if k not in sizes}
        found = {
            name: f"has no effect: {why}"
            for name, (is_void, why) in void.items()
            if is_void and getattr(self, name) != defaults[name]
        }
        if self.freeze_backbone and not (self.snapshot or self.weights or self.imagenet_weights):
            found["freeze_backbone"] = "the backbone keeps its random weights"
        return found

    def kept_settings(self) -> dict[str, Any]:
        """Return the settings that a continued run keeps, as plain values for JSON."""
        settings = {name: getattr(self, name) for name in KEPT_BY_RUN}
        return {**settings, "augmentation": asdict(self.augmentation_settings())}


def _kept(record: RunRecord) -> dict[str, Any]:
    """Return the settings with which the run that wrote a snapshot is continued.

    Raises:
        SettingError: if they are malformed.
    """
    known = {name: value for name, value in record.settings.items() if name in KEPT_BY_RUN}
    try:
        known["augmentation"] = AugmentationSettings(**known["augmentation"])
    except (KeyError, TypeError, ValueError) as error:
        raise SettingError("snapshot", f"its augmentation is malformed: {error}") from None
    return {**known, "initial_epoch": record.epoch}


# Ranges of settings that are numbers; None is always allowed.
_RANGES: dict[str, tuple[Callable[[float], bool], tuple[str, ...]]] = {
    "a number above 0": (
        lambda value: 0 < value < math.inf,
        (
            *("batch_size", "epochs", "steps", "image_min_side", "image_max_side"),
            *("lr", "optimizer_clipnorm", "workers", "max_queue_size", "feature_size"),
            *("max_detections", "max_pixels"),
        ),
    ),
    "a number of at least 0": (
        lambda value: value >= 0,
        ("initial_epoch", "multi_gpu", "reduce_lr_patience", "seed"),
    ),
    "a number between 0 and 1": (lambda value: 0 < value < 1, ("reduce_lr_factor", "val_share")),
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "lr_schedule": ("cosine", "plateau"),
    "group_method": ("none", "random", "ratio"),
    "cache": ("none", "ram", "disk"),
    "snapshot_format": ("keras", "h5"),
}

SETTING_NAMES = tuple(setting.name for setting in fields(TrainingPlan))
