"""The optimizer, the losses and the learning rate of a training model."""

from collections.abc import Sequence
from typing import TypeAlias

import keras
import numpy as np

from keras_retinanet import losses
from keras_retinanet.models.info import ModelInfo
from keras_retinanet.optimizers import Adam

# The rate warms up over this many steps, or a tenth of a shorter run, so that the first gradients
# of the new layers do not spoil the backbone.
WARMUP_STEPS = 500
# A gradient of 600,000 weights that is clipped to a norm of 0.001 has elements of 1e-6. Beside
# Adam's usual epsilon, 1e-7, most of them would hardly move their weight.
EPSILON = 1e-10
# Share of the rate that is left at the end of a cosine schedule.
FINAL_SHARE = 0.01

LearningRate: TypeAlias = "float | keras.optimizers.schedules.LearningRateSchedule"


def cosine_schedule(
    rate: float, total_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a learning rate that warms up and then falls along a half cosine to 1 %.

    Args:
        rate: maximum learning rate.
        total_steps: steps of the full run.
    """
    warmup = max(1, min(WARMUP_STEPS, total_steps // 10))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=rate / warmup,
        decay_steps=max(1, total_steps - warmup),
        alpha=FINAL_SHARE,
        warmup_target=rate,
        warmup_steps=warmup,
    )


def compile_model(
    model: keras.Model,
    learning_rate: LearningRate = 1e-4,
    clipnorm: float = 0.001,
    jit_compile: bool = False,
) -> None:
    """Compile a training model with Adam, focal loss, and the box loss of its info or smooth L1.

    Args:
        model: a model with the outputs `regression` and `classification`.
        learning_rate: a number or a Keras schedule.
        clipnorm: maximum norm of the gradient of a tensor of weights; a longer one is scaled down.
        jit_compile: whether XLA compiles the step.
    """
    optimizer = Adam(learning_rate=learning_rate, clipnorm=clipnorm, epsilon=EPSILON)
    info: ModelInfo | None = getattr(model, "info", None)
    box_loss = losses.box_loss(info.box_loss, info.coder) if info else losses.smooth_l1()
    model.compile(
        optimizer=optimizer,
        loss={"regression": box_loss, "classification": losses.focal()},
        jit_compile=jit_compile,
    )
    # TensorFlow traces a function that creates variables twice, which takes longer than a hundred
    # steps of a small network: create those of optimizer and losses now.
    model.optimizer.build(model.trainable_variables)
    predictions = [np.zeros((1, 1, output.shape[-1]), "float32") for output in model.outputs]
    model.compute_loss(y=[np.zeros((1, 1, 5)), np.zeros((1, 1, 1))], y_pred=predictions)


def restore_optimizer(
    model: keras.Model, variables: Sequence[keras.Variable] | None, iterations: int
) -> bool:
    """Give a newly compiled model the optimizer state of an earlier run.

    Args:
        model: a compiled model.
        variables: the earlier optimizer's variables; None if there are none.
        iterations: number of steps already done, on which the learning rate depends.

    Returns:
        Whether the variables were restored.
    """
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    values = {variable.path.split("/", 1)[-1]: variable for variable in variables or []}
    state = {variable.path.split("/", 1)[-1]: variable for variable in optimizer.variables}
    # The learning rate belongs to this run, not to the state.
    state.pop("learning_rate", None)
    fits = all(name in values and values[name].shape == state[name].shape for name in state)
    if fits:
        for name, variable in state.items():
            variable.assign(values[name])
    optimizer.iterations.assign(iterations)
    return fits
