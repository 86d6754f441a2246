"""The optimizer and the losses of a training model."""

from typing import Any

import keras
import numpy as np

from keras_retinanet import losses
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.optimizers import SGD, Adam, AdamW, LossScaleOptimizer
from keras_retinanet.system.messages import shorten
from keras_retinanet.training.loss_settings import LOSS_SETTINGS, weights_in_order
from keras_retinanet.training.plan import TrainingPlan
from keras_retinanet.training.schedules import LearningRate

# A gradient of 600,000 weights that is clipped to a norm of 0.001 has elements of 1e-6. Beside
# Adam's usual epsilon, 1e-7, most of them would hardly move their weight.
EPSILON = 1e-10


def make_optimizer(
    name: str,
    learning_rate: LearningRate,
    *,
    clipnorm: float = 0.001,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    accumulate: int = 1,
    ema: float | None = None,
    scale_loss: bool = False,
) -> keras.optimizers.Optimizer:
    """Return an optimizer.

    Args:
        name: "adam", "adamw" or "sgd".
        learning_rate: a number or a Keras schedule.
        clipnorm: maximum norm of the gradient of a tensor of weights; a longer one is scaled down.
            0 for no maximum.
        momentum: for "sgd".
        weight_decay: decay of kernels: for "adamw" apart from the gradient, for "sgd" as a penalty.
        accumulate: number of batches of whose gradients the mean is clipped and applied. A schedule
            counts batches.
        ema: decay of a moving average of the weights, which is kept in the state; None for none.
        scale_loss: whether the loss is scaled for float16, whose least number is 6e-8. The
            optimizer gets gradients without the scale; a step where one is not finite is left out.

    Raises:
        ValueError: if there is no such optimizer, or it has no weight decay.
    """
    usual: dict[str, Any] = {
        "clipnorm": clipnorm or None,
        "gradient_accumulation_steps": accumulate if accumulate > 1 else None,
    }
    if ema is not None:
        usual |= {"use_ema": True, "ema_momentum": ema}
    if name == "sgd":
        made = SGD(learning_rate, weight_decay, momentum=float(momentum), **usual)
    elif name == "adamw":
        made = AdamW(learning_rate, weight_decay=weight_decay, epsilon=EPSILON, **usual)
    elif name == "adam" and not weight_decay:
        made = Adam(learning_rate, epsilon=EPSILON, **usual)
    else:
        raise ValueError(
            "optimizer: expected adam without weight decay, adamw or sgd, got "
            f"{shorten(name)} with {weight_decay}"
        )
    return LossScaleOptimizer(made) if scale_loss else made


def make_classification_loss(plan: TrainingPlan, info: ModelInfo | None) -> losses.Loss:
    """Return the classification loss of a plan.

    Args:
        plan: the plan.
        info: of the model to train, whose class names `class_weights` are for.

    Raises:
        SettingError: if `class_weights` names a class that there is not.
    """
    settings = {name: getattr(plan, name) for name in LOSS_SETTINGS[plan.loss]}
    if plan.class_weights is not None:
        class_names = (info.class_names if info else None) or ()
        settings["class_weights"] = weights_in_order(plan.class_weights, class_names)
    given = {name: value for name, value in settings.items() if value is not None}
    return losses.classification_loss(plan.loss, normaliser=plan.loss_normaliser, **given)


def compile_model(
    model: keras.Model,
    learning_rate: LearningRate = 1e-4,
    clipnorm: float = 0.001,
    jit_compile: bool = False,
    *,
    optimizer: keras.optimizers.Optimizer | None = None,
    classification_loss: losses.Loss | None = None,
    loss_normaliser: str = "batch",
) -> None:
    """Compile a training model with the box loss of its info, or else smooth L1.

    Args:
        model: a model with the outputs `regression` and `classification`.
        learning_rate: a number or a Keras schedule, for Adam.
        clipnorm: maximum norm of the gradient of a tensor of weights, for Adam; 0 for no maximum.
        jit_compile: whether XLA compiles the step.
        optimizer: such as that of `make_optimizer`; None for Adam with these two.
        classification_loss: such as that of `make_classification_loss`; None for the focal loss.
        loss_normaliser: normaliser of the box loss, "batch" or "image".

    Raises:
        ValueError: if there is no such normaliser.
    """
    info: ModelInfo | None = getattr(model, "info", None)
    if info:
        box_loss = losses.box_loss(info.box_loss, info.coder, normaliser=loss_normaliser)
    else:
        box_loss = losses.smooth_l1(normaliser=loss_normaliser)
    model.compile(
        optimizer=optimizer or make_optimizer("adam", learning_rate, clipnorm=clipnorm),
        loss={"regression": box_loss, "classification": classification_loss or losses.focal()},
        jit_compile=jit_compile,
    )
    # TensorFlow traces a function that creates variables twice, which takes longer than a hundred
    # steps of a small network: create those of optimizer and losses now.
    model.optimizer.build(model.trainable_variables)
    predictions = [np.zeros((1, 1, output.shape[-1]), "float32") for output in model.outputs]
    model.compute_loss(y=[np.zeros((1, 1, 5)), np.zeros((1, 1, 1))], y_pred=predictions)


def restore_optimizer(
    model: keras.Model, earlier: keras.optimizers.Optimizer | None, iterations: int
) -> bool:
    """Give a newly compiled model the optimizer state of an earlier run.

    Args:
        model: a compiled model.
        earlier: the earlier run's optimizer; None if there is none.
        iterations: number of batches already done, on which the learning rate depends.

    Returns:
        Whether the state was restored.
    """
    model.optimizer.build(model.trainable_variables)
    # Scaling of the loss, which is around an optimizer, soon finds its scale again.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    earlier = getattr(earlier, "inner_optimizer", earlier)
    # The momentum of SGD, which is a step, is no moment of Adam, which is a gradient.
    kind = keras.optimizers.SGD if isinstance(optimizer, SGD) else keras.optimizers.Adam
    variables = earlier.variables if isinstance(earlier, kind) else []
    values = {variable.path.split("/", 1)[-1]: variable for variable in variables}
    state = {variable.path.split("/", 1)[-1]: variable for variable in optimizer.variables}
    # The learning rate belongs to this run, not to the state.
    state.pop("learning_rate", None)
    fits = all(name in values and values[name].shape == state[name].shape for name in state)
    if fits:
        for name, variable in state.items():
            variable.assign(values[name])
    state["iteration"].assign(iterations)
    return fits
