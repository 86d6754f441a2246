import keras
import numpy as np
import pytest

from keras_retinanet.callbacks.divergence import MAX_LOSS, StopOnDivergence


def images(step):
    return [f"{step}a.png", f"{step}b.png"]


def train(losses, callbacks, **settings):
    """Train on batches whose losses are given; nothing is learned."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", lambda y, output: keras.ops.mean(y) + 0 * keras.ops.mean(output))
    model.optimizer.learning_rate = 0.125
    y = np.array(losses, "float32").reshape(-1, 1)
    model.fit(
        *(np.ones_like(y), y),
        batch_size=1,
        shuffle=False,
        callbacks=callbacks,
        verbose=0,
        **settings,
    )


@pytest.mark.parametrize(
    ("losses", "loss", "step"),
    [
        ([1, np.nan, 1], "nan", 2),
        ([1, 1, np.inf], "inf", 3),
        ([-np.inf, 1, 1], "-inf", 1),
        # The mean over the epoch is below the bound.
        ([0, 0, 1.001 * MAX_LOSS], r"1e\+10", 3),
        ([0.9 * MAX_LOSS, 0.9 * MAX_LOSS, 2 * MAX_LOSS], r"2e\+10", 3),
    ],
)
def test_a_lost_loss_stops_the_run_and_says_where(losses, loss, step):
    text = f"^the loss became {loss} at step {step} of epoch 1, with a learning rate of 0.125: the "
    with pytest.raises(ValueError, match=text) as error:
        train(losses, [StopOnDivergence(0, images)])
    assert str(error.value).endswith(f". The images of this step: {step - 1}a.png, {step - 1}b.png")


def test_steps_are_counted_over_epochs():
    class Ruin(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 5:
                logs["loss"] = np.nan

    with pytest.raises(ValueError, match=r"at step 2 of epoch 2.*: 4a.png, 4b.png$"):
        train([1, 2, 3], [Ruin(), StopOnDivergence(0, images)], epochs=2)


class Restore(keras.callbacks.Callback):
    """Gives the model the mean loss of the steps that an earlier run has done."""

    def __init__(self, mean, count):
        super().__init__()
        self.mean, self.count = mean, count

    def on_epoch_begin(self, epoch, logs=None):
        if not epoch:
            self.model.metrics[0].update_state(self.mean, sample_weight=self.count)


def test_an_epoch_that_goes_on_has_the_losses_of_its_first_steps():
    callbacks = [Restore(0.8 * MAX_LOSS, 7), StopOnDivergence(7)]
    train([0.9 * MAX_LOSS, 0.9 * MAX_LOSS], callbacks, epochs=2)
    callbacks = [Restore(0.8 * MAX_LOSS, 7), StopOnDivergence(7)]
    with pytest.raises(ValueError, match=r"1.1e\+10 at step 9 of epoch 1.*in the data$"):
        train([0.9 * MAX_LOSS, 1.1 * MAX_LOSS], callbacks)


@pytest.mark.parametrize("ruined", ["kernel", "momentum"])
def test_weights_that_a_finite_loss_has_ruined_end_the_run_with_the_epoch(ruined):
    class Ruin(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            of = self.model.weights if ruined == "kernel" else self.model.optimizer.variables
            variable = next(each for each in of if ruined in each.path)
            variable.assign(np.full(variable.shape, np.inf))

    class Save(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise AssertionError

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.5, momentum=0.5), "mse")
    x = np.ones((1, 1))
    callbacks = [Ruin(), StopOnDivergence(), Save()]
    with pytest.raises(ValueError, match=rf"{ruined} is no longer finite at step 1 of epoch 1"):
        model.fit(*(x, x), callbacks=callbacks, verbose=0)
