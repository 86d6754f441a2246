"""Settings that belong together: those of an optimizer, and the recipes of the paper.

The paper is arXiv 1708.02002, section 4.1. What it does not say is taken from Detectron, the code
that it was written with: https://github.com/facebookresearch/Detectron.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from keras_retinanet.augmentation.settings import FLIP_ONLY
from keras_retinanet.system.messages import shorten
from keras_retinanet.training.settings import SettingError, check_number

# The rate of SGD in the paper, and the images in a batch that it is for. It is proportional to the
# batch, and the steps of a run to its reciprocal, so that a run sees as many images at any batch
# (arXiv 1706.02677). For the rate, batches whose gradients are accumulated count as one.
PAPER_RATE = 0.01
PAPER_BATCH = 16
# The rate of Adam and AdamW for one image in a batch. It grows with the square root of the number
# of images, as the mean of n gradients varies 1 / sqrt(n) times as much as one (arXiv 2205.10287).
ADAM_RATE = 1e-4
# Settings that suit one optimizer and not another.
OF_OPTIMIZER = ("lr", "momentum", "weight_decay", "optimizer_clipnorm")
# How torchvision trained the second version of its RetinaNet, with a rate of 1e-4:
# https://github.com/pytorch/vision/pull/5756.
ADAMW_WEIGHT_DECAY = 0.05


@dataclass(frozen=True)
class Recipe:
    """A run of the paper.

    Attributes:
        steps: steps of `PAPER_BATCH` images.
        epochs: number of snapshots and evaluations on the way; all that an epoch is here.
        augmentation: the settings of augmentation that differ from the usual horizontal flip.
    """

    steps: int
    epochs: int
    augmentation: Mapping[str, Any] = field(default_factory=dict)

    def length(
        self, batch_size: int, epochs: int | None = None, steps: int | None = None
    ) -> tuple[int, int]:
        """Return epochs, and steps per epoch, that make up the run at a size of batches.

        Args:
            batch_size: images per step of the run; several may make one of the optimizer.
            epochs: number of epochs; None for what follows from `steps`, or those of the recipe.
            steps: steps per epoch; None for what follows from `epochs`.
        """
        total = math.ceil(self.steps * PAPER_BATCH / batch_size)
        if epochs is None:
            epochs = self.epochs if steps is None else math.ceil(total / steps)
        return epochs, steps or math.ceil(total / epochs)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        # An epoch of 7500 steps has 120,000 images: about the 118,287 of COCO.
        "paper": Recipe(steps=90_000, epochs=12),
        # Behind the paper's 39.1 and 40.8. It does not say how far the scale is changed: Detectron
        # samples a shorter side from 640, 672, ..., 800 in all its runs with "multi-scale jitter"
        # (MODEL_ZOO.md), here it is any number of pixels between them.
        "long": Recipe(steps=135_000, epochs=18, augmentation={"scale_range": (0.8, 1.0)}),
    }
)


def recipe_settings(
    name: str,
    batch_size: int,
    epochs: int | None = None,
    steps: int | None = None,
    *,
    accumulate: int = 1,
) -> dict[str, Any]:
    """Return the settings of a plan that a recipe stands for, but for its augmentation.

    What the paper has in common with the defaults of a plan is not among them: warm-up (500 steps,
    as in Detectron), the focal loss with an alpha of 0.25 and a gamma of 2, and a prior of 0.01.

    Args:
        name: name of the recipe.
        batch_size: images per step.
        epochs: number of epochs, if it has been chosen.
        steps: steps per epoch, if they have been chosen.
        accumulate: number of batches that make one step of the optimizer. Each is a step of the
            run: 720,000 batches of 2 with `accumulate` 8 make the paper's 90,000 updates.
    """
    epochs, steps = RECIPES[name].length(batch_size, epochs, steps)
    return {
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        **optimizer_settings("sgd", batch_size * accumulate),
        "lr_schedule": "step",
        "lr_drops": None,  # at 2/3 and 8/9 of the run: 60,000 and 80,000 of 90,000 steps
        "warmup_steps": None,
        "epochs": epochs,
        "steps": steps,
        "hidden_initializer": "normal",
        "box_loss": "smooth-l1",
        "match_every_box": False,
    }


def optimizer_settings(name: str, batch_size: int) -> dict[str, Any]:
    """Return the settings of a plan that suit an optimizer better than those of the plan's class.

    Args:
        name: name of the optimizer.
        batch_size: images per step of the optimizer.
    """
    if name == "sgd":
        # The norm to which gradients are clipped would be that of the step, too: 0.001 hardly
        # moves a tensor of weights. Adam divides a step by the size of the gradients.
        return {"lr": PAPER_RATE * batch_size / PAPER_BATCH, "optimizer_clipnorm": 0}
    decay = {"weight_decay": ADAMW_WEIGHT_DECAY} if name == "adamw" else {}
    return {"lr": ADAM_RATE * math.sqrt(batch_size), **decay}


def combine(
    defaults: Mapping[str, Any],
    kept: Mapping[str, Any],
    recipe: str | None,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the settings of a plan: those given, of a recipe, of an earlier run, the defaults.

    Each takes precedence over those after it. What a recipe or an earlier run says of an optimizer
    is left out where the plan has another one.

    Args:
        defaults: what suits the data; has `optimizer`, `batch_size` and `accumulate`.
        kept: settings of the run that is continued; empty for none.
        recipe: name of a recipe; None for none.
        settings: those given.

    Raises:
        SettingError: if there is no such recipe, it does not go with the settings, or a number that
            others follow from is wrong.
    """
    chosen = {**defaults, **kept, **settings}
    for name in ("batch_size", "accumulate", "epochs", "steps"):
        check_number(name, chosen.get(name), optional=name in ("epochs", "steps"))
    of_recipe = {} if recipe is None else _checked_recipe(recipe, chosen, settings)
    optimizer = {**chosen, **of_recipe, **settings}["optimizer"]
    images = chosen["batch_size"] * chosen["accumulate"]
    of_optimizer = optimizer_settings(optimizer, images)
    if optimizer != "sgd" and "lr" in defaults:  # what suits the data is a rate of Adam
        del of_optimizer["lr"]
    combined = {**defaults, **of_optimizer}
    for layer in (kept, of_recipe):
        is_other = layer.get("optimizer", defaults["optimizer"]) != optimizer
        combined |= {k: v for k, v in layer.items() if not (is_other and k in OF_OPTIMIZER)}
    return {**combined, **settings}


def _checked_recipe(
    name: str, chosen: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings of a recipe, with its augmentation.

    Args:
        name: name of the recipe.
        chosen: the settings without it.
        given: those of them that take precedence over the recipe.

    Raises:
        SettingError: if there is no such recipe, or it does not go with the settings.
    """
    if name not in RECIPES:
        raise SettingError("recipe", f"expected one of {', '.join(RECIPES)}, got {shorten(name)}")
    changes = RECIPES[name].augmentation
    if "scale_range" in changes and chosen.get("no_resize"):
        raise SettingError(
            "recipe", f"{name} changes the scale of images, which cannot go with no_resize"
        )
    in_file = given["config"].augmentation if "config" in given else {}
    length = given.get("epochs"), given.get("steps")
    return {
        **recipe_settings(name, chosen["batch_size"], *length, accumulate=chosen["accumulate"]),
        "augmentation": replace(FLIP_ONLY, **{**changes, **in_file}),
    }
