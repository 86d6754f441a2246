"""The classification losses of the paper (Lin et al. 2017, https://arxiv.org/abs/1708.02002).

In their formulas, an anchor and a class have the logit `x` and the probability `p = sigmoid(x)`.
Where the class is present, `p_t` is `p`, `x_t` is `x` and `alpha_t` is `alpha`; elsewhere they are
`1 - p`, `-x` and `1 - alpha`.

They take probabilities. In `fit`, and wherever else model and loss are one graph, they go back to
the logits: loss and gradient are then right however certain a model is. Outside a graph they see
the probabilities alone, and keep them 1e-7 off 0 and 1.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from keras import ops

from keras_retinanet.losses.common import Loss, check_normaliser, divisor, joint
from keras_retinanet.losses.compact_focal import focal_of_logits, focal_of_probabilities
from keras_retinanet.losses.logits import find_logits, logits_of, within_margin
from keras_retinanet.system.messages import shorten


def focal(
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    cutoff: float = 0.5,
    *,
    class_weights: Sequence[float] | None = None,
    normaliser: str = "batch",
) -> Loss:
    """Return the focal loss: `-alpha_t (1 - p_t)**gamma log(p_t)` for each anchor and class.

    This is equation 5 of the paper, and equation 4 without `alpha`. Its derivative by `x_t` is
    `alpha_t (1 - p_t)**gamma (gamma p_t log(p_t) + p_t - 1)` (equation 10).

    Args:
        alpha: weight of a class that is present; 1 - alpha is the weight of one that is not.
            None means no weighting.
        gamma: how much less an easy example counts; 0 gives cross entropy.
        cutoff: a label of dense targets above this counts as present; labels may be fractions.
        class_weights: a factor for each class on its part of the loss, present or not; None means
            1 for all.
        normaliser: "batch" or "image", see `common.divisor`.

    Returns:
        Function of `y_true` (`(B, N, 1)` compact or `(B, N, C + 1)` dense) and `y_pred`
        `(B, N, C)` probabilities, that returns a scalar.

    Raises:
        ValueError: if a class weight or the normaliser is a wrong one; when the function is
            called, if the number of weights is not that of the classes.
    """
    weights = _checked(class_weights, normaliser)

    def _focal(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        labels, share = _labels_and_share(y_true, y_pred, weights, normaliser)
        logits, y_pred = find_logits(y_pred), ops.cast(y_pred, "float32")
        if labels.dtype == "bool":
            if logits is None:
                loss = focal_of_probabilities(labels, y_pred, share, alpha, gamma)
            else:
                loss = focal_of_logits(labels, logits, share, alpha, gamma)
            return joint(loss)
        present = labels > cutoff
        if logits is None:
            probability = within_margin(y_pred)
            entropy = ops.binary_crossentropy(labels, probability)
            factor = ops.where(present, 1 - probability, probability) ** gamma
        else:
            entropy = ops.binary_crossentropy(labels, logits, from_logits=True)
            # (1 - p_t)**gamma, whose derivative is finite for any gamma.
            factor = ops.exp(-gamma * ops.softplus(ops.where(present, logits, -logits)))
        if alpha is not None:
            factor = factor * ops.where(present, alpha, 1 - alpha)
        return joint(ops.sum(share * factor * entropy))

    return _focal


def focal_star(
    gamma: float = 2.0,
    beta: float = 1.0,
    *,
    class_weights: Sequence[float] | None = None,
    normaliser: str = "batch",
) -> Loss:
    """Return FL*: `-log(p_t*) / gamma` with `p_t* = sigmoid(gamma x_t + beta)`.

    These are equations 8 and 7 of the paper (appendix A). The derivative by `x_t` is `p_t* - 1`
    (equation 11). On COCO, 2 and 1 gave an AP of 33.8, 4 and 0 one of 33.9, the focal loss 34.0.

    With a `gamma` of 4, an absent class that has a score of 0.01, as at the start of training, has
    a derivative of 1e-8: until the scores have risen, present classes alone train.

    Args:
        gamma: steepness, above 0.
        beta: shift.
        class_weights: see `focal`.
        normaliser: see `focal`.

    Returns:
        Function as that of `focal`; a label of dense targets above 0.5 counts as present.

    Raises:
        ValueError: see `focal`; also if `gamma` is not above 0.
    """
    if not gamma > 0:
        raise ValueError(f"gamma: expected a number above 0, got {gamma}")
    weights = _checked(class_weights, normaliser)

    def _focal_star(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        labels, share = _labels_and_share(y_true, y_pred, weights, normaliser)
        present = labels if labels.dtype == "bool" else labels > 0.5
        logits = logits_of(y_pred)
        x_t = ops.where(present, logits, -logits)
        return joint(ops.sum(share * focal_star_terms(x_t, gamma, beta)))

    return _focal_star


def balanced_cross_entropy(
    alpha: float = 0.25,
    *,
    class_weights: Sequence[float] | None = None,
    normaliser: str = "batch",
) -> Loss:
    """Return the alpha-balanced cross entropy: `-alpha_t log(p_t)`, equation 3 of the paper.

    It is the focal loss with a `gamma` of 0. The derivative by `x_t` is `alpha_t (p_t - 1)`. On
    COCO, an alpha of 0.75 was best without gamma, with an AP of 31.1.

    Args:
        alpha: weight of a class that is present; 1 - alpha is the weight of one that is not.
        class_weights: see `focal`.
        normaliser: see `focal`.

    Returns:
        Function as that of `focal`.

    Raises:
        ValueError: see `focal`.
    """
    loss = focal(alpha, 0.0, class_weights=class_weights, normaliser=normaliser)

    def _balanced_cross_entropy(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return loss(y_true, y_pred)

    return _balanced_cross_entropy


def cross_entropy(
    *, class_weights: Sequence[float] | None = None, normaliser: str = "batch"
) -> Loss:
    """Return the cross entropy: `-log(p_t)`, equations 1 and 2 of the paper.

    It is the focal loss with a `gamma` of 0 and without `alpha`. The derivative by `x_t` is
    `p_t - 1`.

    Args:
        class_weights: see `focal`.
        normaliser: see `focal`.

    Returns:
        Function as that of `focal`.

    Raises:
        ValueError: see `focal`.
    """
    loss = focal(None, 0.0, class_weights=class_weights, normaliser=normaliser)

    def _cross_entropy(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return loss(y_true, y_pred)

    return _cross_entropy


def focal_terms(x_t: tf.Tensor, gamma: float = 2.0) -> tf.Tensor:
    """Return `-(1 - p_t)**gamma log(p_t)` of each element; a `gamma` of 0 gives cross entropy.

    Args:
        x_t: logits, negated where the class is not present; any shape.
        gamma: see `focal`.

    Returns:
        Tensor of the same shape, all at least 0. Nothing is weighed, normalised or summed.
    """
    return ops.exp(-gamma * ops.softplus(x_t)) * ops.softplus(-x_t)


def focal_star_terms(x_t: tf.Tensor, gamma: float = 2.0, beta: float = 1.0) -> tf.Tensor:
    """Return `-log(sigmoid(gamma x_t + beta)) / gamma` of each element; see `focal_terms`."""
    return ops.softplus(-(gamma * x_t + beta)) / gamma


def _checked(class_weights: Sequence[float] | None, normaliser: str) -> tuple[float, ...] | None:
    """Return the class weights as numbers.

    Raises:
        ValueError: if one is not finite or below 0, or the normaliser is unknown.
    """
    check_normaliser(normaliser)
    if class_weights is None:
        return None
    weights = tuple(float(weight) for weight in class_weights)
    if not all(0 <= weight < math.inf for weight in weights):
        raise ValueError(
            f"class_weights: expected finite numbers of at least 0, got {shorten(list(weights))}"
        )
    return weights


def _labels_and_share(
    y_true: tf.Tensor, y_pred: tf.Tensor, weights: tuple[float, ...] | None, normaliser: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return labels `(B, N, C)` and the factor on each anchor, or each anchor and class.

    Labels of compact targets are bools, whether a class is present; those of dense ones are
    float32. The factor is 0 on an ignored anchor, `(B, N, 1)`, or with class weights `(B, N, C)`.

    Raises:
        ValueError: if the number of weights is not that of the classes.
    """
    y_true, classes = ops.cast(y_true, "float32"), y_pred.shape[-1]
    compact = y_true.shape[-1] == 1 and classes is not None
    state = ops.minimum(y_true, 1.0) if compact else y_true[..., -1:]
    share = ops.cast(state != -1, "float32") / divisor(state, normaliser)
    if weights is not None:
        if classes != len(weights):
            raise ValueError(
                f"class_weights: expected one for each of the {classes} classes, got {len(weights)}"
            )
        share = share * ops.convert_to_tensor(weights, "float32")
    if compact:
        return y_true == ops.arange(1, classes + 1, dtype="float32"), share
    return y_true[..., :-1], share


# Classification losses by the names that `retinanet-train --loss` takes.
CLASSIFICATION_LOSSES: dict[str, Callable[..., Loss]] = {
    "focal": focal,
    "focal-star": focal_star,
    "balanced-ce": balanced_cross_entropy,
    "ce": cross_entropy,
}


def classification_loss(name: str, **settings: Any) -> Loss:
    """Return the classification loss of a name.

    Args:
        name: a key of `CLASSIFICATION_LOSSES`: `focal`, `focal-star`, `balanced-ce` or `ce`.
        **settings: arguments of the function.

    Raises:
        ValueError: if the name is another one, or a setting is wrong.
    """
    if name not in CLASSIFICATION_LOSSES:
        raise ValueError(
            f"expected the name of a classification loss, one of "
            f"{', '.join(CLASSIFICATION_LOSSES)}, got {shorten(name)}"
        )
    return CLASSIFICATION_LOSSES[name](**settings)
