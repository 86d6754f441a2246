import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import losses
from keras_retinanet.geometry import targets
from tests.goldens import GOLDENS, predictions, targets_input

OFFSETS, PROBABILITIES, _ = predictions()
COMPACT = targets.anchor_targets_compact(*targets_input(), num_classes=3)
DENSE = GOLDENS["regression"], GOLDENS["classification"]


@pytest.mark.parametrize("form", [COMPACT, DENSE], ids=["compact", "dense"])
def test_losses_are_the_old_ones(form):
    regression, classification = form
    np.testing.assert_allclose(
        losses.smooth_l1()(regression, OFFSETS), GOLDENS["smooth_l1"], rtol=1e-6
    )
    np.testing.assert_allclose(
        losses.focal()(classification, PROBABILITIES), GOLDENS["focal"], rtol=1e-6
    )
    np.testing.assert_allclose(
        losses.focal(alpha=0.5, gamma=1.5)(classification, PROBABILITIES),
        GOLDENS["focal_1_5"],
        rtol=1e-6,
    )


def test_losses_of_targets_in_half_the_bytes():
    regression, classification = targets.anchor_targets_compact(
        *targets_input(), num_classes=3, dtypes=targets.HALF_PRECISION
    )
    np.testing.assert_allclose(
        losses.smooth_l1()(regression, OFFSETS), GOLDENS["smooth_l1"], rtol=1e-3
    )
    np.testing.assert_allclose(
        losses.focal()(classification, PROBABILITIES), GOLDENS["focal"], rtol=1e-6
    )


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.6])
def test_both_forms_have_the_same_gradient(alpha, gamma):
    probabilities = PROBABILITIES.copy()
    probabilities[:, ::5] = [0.0, 1e-7, 0.5]
    probabilities[:, 1::5] = [1.0, 1 - 1e-7, 1e-30]
    found = []
    for labels in (COMPACT[1], DENSE[1]):
        prediction = tf.constant(probabilities)
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            loss = 3 * losses.focal(alpha=alpha, gamma=gamma)(labels, prediction)
        found.append(tape.gradient(loss, prediction))
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-9)


def one(state, probability, **knobs):
    """The focal loss of one anchor of one class."""
    y_true = np.array([[[state]]])
    y_pred = np.array([[[probability]]], "float32")
    return float(losses.focal(**knobs)(y_true, y_pred))


def test_without_gamma_and_alpha_it_is_cross_entropy():
    assert one(1, 0.3, alpha=None, gamma=0) == pytest.approx(-np.log(0.3), rel=1e-5)
    assert one(0, 0.3, alpha=None, gamma=0) == pytest.approx(-np.log(0.7), rel=1e-5)


@pytest.mark.parametrize(("p", "times"), [(0.9, 100), (0.968, 977), (0.5, 4)])
def test_easy_examples_weigh_less_as_in_the_paper(p, times):
    ratio = one(1, p, alpha=None, gamma=0) / one(1, p, alpha=None, gamma=2)
    assert ratio == pytest.approx(times, rel=0.01)


def test_alpha_weighs_present_and_absent_classes():
    assert one(1, 0.5) / one(0, 0.5) == pytest.approx(0.25 / 0.75)


def test_ignored_anchors_do_not_count():
    assert one(-1, 0.9) == 0
    assert float(losses.smooth_l1()(np.full((1, 2, 5), -1.0), np.ones((1, 2, 4)))) == 0


def test_smooth_l1_by_hand():
    y_true = np.array([[[0.0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]])
    y_pred = np.array([[[1.0, 0.1, 0, 0], [9, 9, 9, 9]]], "float32")
    # sigma 3: 1 - 1/18 beyond 1/9, and 0.5 * 9 * 0.1**2 within it; the second anchor is background.
    assert float(losses.smooth_l1()(y_true, y_pred)) == pytest.approx(1 - 1 / 18 + 0.045)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("probability", [0.0, 1.0, 1e-30])
@pytest.mark.parametrize("state", [-1, 0, 1])
@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_certain_predictions_have_finite_loss_and_gradient(probability, state, gamma, dtype):
    prediction = tf.constant([[[probability]]], dtype)
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        loss = losses.focal(gamma=gamma)(tf.constant([[[state]]]), prediction)
    assert np.isfinite(loss)
    assert np.isfinite(tape.gradient(loss, prediction)).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_that_of_the_predictions_only(dtype):
    rounded = tf.cast(tf.constant(PROBABILITIES), dtype)
    loss = losses.focal()(COMPACT[1], rounded)
    assert loss.dtype == tf.float32
    assert float(loss) == float(losses.focal()(COMPACT[1], tf.cast(rounded, "float32")))


def test_gradient_is_the_papers():
    x = tf.constant([[[0.7]]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = losses.focal(alpha=None, gamma=2)(tf.constant([[[1]]]), tf.sigmoid(x))
    p = 1 / (1 + np.exp(-0.7))
    expected = (1 - p) ** 2 * (2 * p * np.log(p) + p - 1)
    np.testing.assert_allclose(tape.gradient(loss, x)[0, 0, 0], expected, rtol=1e-5)
