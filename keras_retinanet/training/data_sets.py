"""Open the data of a training run: the sets there are, or two made by holding out a share."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keras_retinanet import models
from keras_retinanet.annotations.image_lists import (
    read_image_list,
    relative_names,
    select_images,
    write_image_list,
)
from keras_retinanet.config import Config
from keras_retinanet.evaluation import measure
from keras_retinanet.geometry.anchor_fit import fit_anchors
from keras_retinanet.geometry.coders import BoxCoder, CornerCoder
from keras_retinanet.images import IN_NETWORK
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.held_out import group_images, hold_out
from keras_retinanet.preprocessing.labelled import LabelledGenerator
from keras_retinanet.system.files import atomic_write
from keras_retinanet.system.messages import describe_classes, shorten
from keras_retinanet.system.types import StrPath
from keras_retinanet.training.anchor_choice import sample_boxes
from keras_retinanet.training.plan import (
    DEFAULT_BACKBONE,
    DEFAULT_MAX_SIDE,
    DEFAULT_MIN_SIDE,
    SettingError,
    SettingWarning,
    TrainingPlan,
)

TRAINING_LIST, VALIDATION_LIST = "train-images.txt", "val-images.txt"
CLASSES_FILE = "classes.csv"
# Classes that a line names at most.
MAX_NAMED = 20

Log = Callable[[str], None]


def open_data(
    plan: TrainingPlan, info: models.ModelInfo | None, log: Log
) -> tuple[Generator, Generator | None]:
    """Return the sets to train on and to evaluate on; None if there is none to evaluate on.

    Args:
        plan: the plan.
        info: what the snapshot to continue from, or the detector to start from, knows; None for a
            new model.
        log: gets lines about the images held out, the classes and the anchors.

    Raises:
        OSError: if a file cannot be read.
        ValueError: if the data are malformed or do not fit the snapshot.
    """
    source = info or models.backbone(plan.backbone or DEFAULT_BACKBONE)
    continues = info if plan.snapshot is not None else None
    training, validation = open_generators(
        plan,
        source.preprocess_image,
        known_classes=continues.known_classes() if continues else None,
        log=log,
        config=choose_config(plan, info),
        coder=info.coder if info else CornerCoder(),
        image_min_side=info.image_min_side if info else DEFAULT_MIN_SIDE,
        image_max_side=info.image_max_side if info else DEFAULT_MAX_SIDE,
        no_resize=info.no_resize if info else False,
        resize_rule=info.resize_rule if info else models.ModelInfo.resize_rule,
        pad_multiple=info.pad_multiple if info else 1,
        match_every_box=matches_every_box(plan, info),
        normalise_on_device=plan.normalise_on_device
        or (info is not None and info.normalisation == IN_NETWORK),
    )
    if validation is None and (plan.evaluation or plan.compute_val_loss):
        log("No data to evaluate on: --val-share 0.2 holds some out")
    if plan.batch_size > training.size():
        raise SettingError(
            "batch_size",
            f"expected at most {training.size()}, the number of images, got {plan.batch_size}",
        )
    if continues is not None:
        check_classes(plan, training, continues)
    if not (plan.allow_empty or training.has_boxes()):
        raise SettingError(
            "allow_empty",
            f"expected a data set with boxes to train on, got none ({training.why_no_boxes()}): "
            "add this to go on all the same",
        )
    if training.config.anchor_params is None and not training.config.pyramid_levels:
        training.config = choose_anchors(training, log)
    if validation is not None:
        measure.warn_if_empty(validation)
        validation.config = training.config
    return training, validation


def matches_every_box(plan: TrainingPlan, info: models.ModelInfo | None) -> bool:
    """Return whether each box is matched to an anchor: by the plan, else as before, else yes."""
    if plan.match_every_box is not None:
        return plan.match_every_box
    return info is None or info.match_every_box


def open_generators(
    plan: TrainingPlan,
    preprocess_image: Callable,
    *,
    config: Config,
    coder: BoxCoder,
    image_min_side: int,
    image_max_side: int,
    no_resize: bool = False,
    resize_rule: str = models.ModelInfo.resize_rule,
    pad_multiple: int = 1,
    match_every_box: bool = False,
    normalise_on_device: bool,
    known_classes: Mapping[str, int] | None = None,
    log: Log = print,
) -> tuple[Generator, Generator | None]:
    """Return the sets of a plan, prepared for a model.

    Args:
        plan: the plan.
        preprocess_image: function that normalises a BGR image.
        config: anchors and pyramid levels.
        coder: how the model codes boxes.
        image_min_side: pixels of the shorter side, where the plan has none.
        image_max_side: maximum pixels of the longer side, where the plan has none.
        no_resize: whether images keep their size, where the plan has no sides.
        resize_rule: how they are resized, a key of `images.RESIZE_RULES`.
        pad_multiple: batches are padded to a multiple of so many pixels.
        match_every_box: whether each box is matched to an anchor.
        normalise_on_device: whether images stay uint8.
        known_classes: class name -> label of the model, for formats whose class names are found in
            the files; None to find them.
        log: gets lines about classes that were found and images that are held out.
    """
    has_sides = plan.image_min_side is not None or plan.image_max_side is not None
    arguments = {
        "image_min_side": plan.image_min_side or image_min_side,
        "image_max_side": plan.image_max_side or image_max_side,
        "no_resize": plan.no_resize or (no_resize and not has_sides),
        "max_pixels": plan.max_pixels,
        "preprocess_image": preprocess_image,
        "batch_size": plan.batch_size,
        "group_method": plan.group_method,
        "config": config,
        "coder": coder,
        "resize_rule": resize_rule,
        "pad_multiple": pad_multiple,
        "match_every_box": match_every_box,
        "normalise_on_device": normalise_on_device,
        "pad_to_buckets": plan.pad_to_buckets,
        "seed": plan.seed,
        "strict": plan.strict,
    }
    return open_sets(plan, known_classes, arguments, log)


def choose_anchors(generator: Generator, log: Log) -> Config:
    """Return the generator's config with anchor sizes that match its boxes, and say which."""
    fit = fit_anchors(*sample_boxes(generator))
    sizes = " ".join(f"{size:.0f}" for size in fit.params.sizes)
    log(f"Anchor sizes {sizes}: {fit.matched:.0%} of the boxes match one (classes weigh alike)")
    if fit.matched_before != fit.matched:
        log(f"  ({fit.matched_before:.0%} with the usual sizes; --config sets others)")
    return replace(generator.config, anchor_params=fit.params)


def choose_config(plan: TrainingPlan, info: models.ModelInfo | None) -> Config:
    """Return anchors and levels: those of the plan, else of the start, else unset.

    Raises:
        ValueError: if they do not fit the snapshot.
    """
    if info is None:
        return plan.config
    given, start = plan.config, plan.snapshot or plan.weights
    anchors = given.anchor_params or info.anchors
    if given.anchor_params and info.anchors:  # a config has sizes, and says nothing of the layout
        anchors = given.anchor_params.with_layout(info.anchors.layout)
    if anchors is None:
        raise ValueError(
            f"{start} does not hold its anchors: give those it was trained with (--config)"
        )
    if given.pyramid_levels and given.pyramid_levels != info.pyramid_levels:
        raise ValueError(
            f"expected the pyramid levels of {start}, {list(info.pyramid_levels)}, which "
            f"cannot change, got {list(given.pyramid_levels)} (--config)"
        )
    if info.anchors is not None and anchors != info.anchors:
        if anchors.num_anchors() != info.anchors.num_anchors():
            raise ValueError(
                f"expected {info.anchors.num_anchors()} anchors per location, as "
                f"{start} has, got {anchors.num_anchors()} (--config)"
            )
        warnings.warn(f"the given anchors are not those of {start}", stacklevel=2)
    return replace(given, anchor_params=anchors, pyramid_levels=info.pyramid_levels)


def check_classes(plan: TrainingPlan, generator: Generator, info: models.ModelInfo) -> None:
    """Raise ValueError if a snapshot has another number of classes; warn about other names."""
    if info.num_classes != generator.num_classes():
        raise ValueError(
            f"{plan.snapshot} has {info.num_classes} classes, the data set has "
            f"{generator.num_classes()}: start a new model from it instead (--weights)"
        )
    names = generator.class_names()
    if info.class_names is not None and list(info.class_names) != names:
        warnings.warn(
            f"the snapshot's classes are {list(info.class_names)}, the data set's {names}",
            stacklevel=2,
        )


def open_sets(
    plan: TrainingPlan,
    known_classes: Mapping[str, int] | None,
    arguments: Mapping[str, Any],
    log: Log,
) -> tuple[Generator, Generator | None]:
    """Return the sets to train on and to evaluate on; None if there is none to evaluate on.

    With `plan.val_share` these are parts of the set to train on, and the lists of their images are
    written to `plan.snapshot_path`; so are classes that were found in the annotations.

    Args:
        plan: the plan.
        known_classes: class name -> label of the model, for formats whose class names are found in
            the files; None to find them.
        arguments: for `Generator`, for both sets.
        log: gets lines about classes that were found and images that are held out.

    Raises:
        OSError: if a file cannot be read or written.
        SettingError: if a share cannot be held out.
        ValueError: if the data are malformed.
    """

    def open_training(**more: Any) -> Generator:
        random = plan.augmentation_settings().generator_arguments()
        return plan.data.open_training(
            **{**arguments, "cache": plan.cache, "known_classes": known_classes, **random, **more}
        )

    # What is only divided needs no order, for which the sizes of all images might be read.
    training = open_training(**({} if plan.val_share is None else {"group_method": "none"}))
    if isinstance(training, LabelledGenerator) and training.found_classes:
        known_classes = training.classes
        path = _write_classes(plan.snapshot_path, known_classes)
        log(f"Classes found: {describe_classes(known_classes)} ({path})")
    evaluated = {**arguments, "shuffle_groups": False, "known_classes": known_classes}
    validation = plan.data.open_validation(**evaluated)
    if plan.val_share is None:
        return training, validation
    if validation is not None:
        own = f"the data set has its own set to evaluate on, of {validation.size()} images"
        if not plan.initial_epoch:
            raise SettingError("val_share", f"{own}: leave this out")
        # A run that goes on may have the share from its snapshot, and nobody could take it back.
        warnings.warn(SettingWarning("val_share", f"has no effect: {own}"), stacklevel=2)
        return open_training(), validation
    is_held = _choose(plan, training, log)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those about the data set have been given
        lists = [
            [training.image_path(index) for index in np.flatnonzero(mask).tolist()]
            for mask in (~is_held, is_held)
        ]
        return (
            open_training(image_list=lists[0]),
            plan.data.open_training(**evaluated, image_list=lists[1]),
        )


def _choose(plan: TrainingPlan, dataset: Generator, log: Log) -> np.ndarray:
    """Return a mask of the images to hold out; write the two lists, and say what was chosen."""
    assert plan.val_share is not None
    if not isinstance(dataset, LabelledGenerator):
        raise SettingError("val_share", "expected a data set of image files, as the readers open")
    names = relative_names(dataset.paths)
    labels = [dataset.load_annotations(index)["labels"] for index in range(dataset.size())]
    groups = group_images(names, dataset.classes, plan.val_share)
    try:
        is_held = hold_out(labels, groups, plan.val_share, plan.seed)
    except ValueError as error:
        raise SettingError("val_share", str(error)) from None
    _warn_of_another_split(plan, dataset.paths, is_held)
    for file, mask in ((TRAINING_LIST, ~is_held), (VALIDATION_LIST, is_held)):
        chosen = sorted({names[index] for index in np.flatnonzero(mask).tolist()})
        write_image_list(os.path.join(plan.snapshot_path, file), chosen)
    kept = groups.describe()
    log(
        f"Held out {is_held.sum()} of {len(is_held)} images ({VALIDATION_LIST}); boxes: "
        f"{_describe_shares(labels, is_held, dataset.labels)}{kept and f'; {kept}'}"
    )
    return is_held


def _describe_shares(
    labels: Sequence[np.ndarray], is_held: np.ndarray, class_names: Mapping[int, str]
) -> str:
    """Return how many of the boxes of each class are held out, in words.

    Where not all classes can be named, those are with the lowest share.
    """
    size = max(class_names) + 1
    chosen = [labels[index] for index in np.flatnonzero(is_held).tolist()]
    total, held = (np.bincount(np.concatenate(part), minlength=size) for part in (labels, chosen))
    shares = (held / np.maximum(1, total)).tolist()
    lowest = sorted(class_names, key=lambda label: (shares[label], label))
    texts = [
        f"{shorten(class_names[label], 40)} {held[label]} of {total[label]}"
        for label in sorted(lowest[:MAX_NAMED])
    ]
    others = len(class_names) - len(texts)
    return ", ".join(texts) + (f", and {others} more classes" if others else "")


def _warn_of_another_split(plan: TrainingPlan, paths: Sequence[str], is_held: np.ndarray) -> None:
    """Warn if a run that is continued holds out other images than before."""
    path = os.path.join(plan.snapshot_path, VALIDATION_LIST)
    if plan.snapshot is None or not plan.initial_epoch or not os.path.exists(path):
        return
    try:
        before = select_images(paths, read_image_list(path))
    except ValueError:  # images that are no longer there
        before = np.zeros(0, int)
    if not np.array_equal(before, np.flatnonzero(is_held)):
        warnings.warn(
            f"{path} is replaced: other images are held out than before, so that the model was "
            "trained on some of them (another data set, seed or share)",
            stacklevel=2,
        )


def _write_classes(folder: StrPath, classes: Mapping[str, int]) -> str:
    """Write `classes.csv` with rows `name,id` into a folder, atomically; return its path."""
    text = io.StringIO()
    by_label = sorted(classes.items(), key=lambda item: item[1])
    csv.writer(text, lineterminator="\n").writerows(by_label)
    path = os.path.join(folder, CLASSES_FILE)
    atomic_write(path, text.getvalue())
    return path
