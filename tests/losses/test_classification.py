from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import losses
from keras_retinanet.geometry import targets
from keras_retinanet.losses.classification import CLASSIFICATION_LOSSES
from keras_retinanet.models.heads import default_classification_model
from tests.goldens import GOLDENS, predictions, targets_input

_, PROBABILITIES, _ = predictions()
_, COMPACT = targets.anchor_targets_compact(*targets_input(), num_classes=3)
DENSE = GOLDENS["classification"]
FORMS = {"compact": COMPACT, "dense": DENSE}
# What a gradient may be off where it is next to 0. TensorFlow derives that of dense targets as
# sigmoid - label.
TINY = {"compact": 1e-30, "dense": 1e-7}


@pytest.mark.parametrize("y_true", FORMS.values(), ids=FORMS)
def test_focal_is_the_old_one(y_true):
    found = losses.focal()(y_true, PROBABILITIES)
    np.testing.assert_allclose(found, GOLDENS["focal"], rtol=1e-6)
    found = losses.focal(alpha=0.5, gamma=1.5)(y_true, PROBABILITIES)
    np.testing.assert_allclose(found, GOLDENS["focal_1_5"], rtol=1e-6)


def test_focal_of_targets_in_half_the_bytes():
    _, y_true = targets.anchor_targets_compact(
        *targets_input(), num_classes=3, dtypes=targets.HALF_PRECISION
    )
    np.testing.assert_allclose(losses.focal()(y_true, PROBABILITIES), GOLDENS["focal"], rtol=1e-6)


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.6])
def test_both_forms_have_the_same_gradient(alpha, gamma):
    probabilities = PROBABILITIES.copy()
    probabilities[:, ::5] = [0.0, 1e-7, 0.5]
    probabilities[:, 1::5] = [1.0, 1 - 1e-7, 1e-30]
    found = []
    for labels in FORMS.values():
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


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("probability", [0.0, 1.0, 1e-30])
@pytest.mark.parametrize("state", [-1, 0, 1])
@pytest.mark.parametrize("loss", [*map(losses.focal, [0.25] * 3, [0, 0.5, 2]), losses.focal_star()])
def test_certain_predictions_have_finite_loss_and_gradient(loss, state, probability, dtype):
    prediction = tf.constant([[[probability]]], dtype)
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        value = loss(tf.constant([[[state]]]), prediction)
    assert np.isfinite(value)
    assert np.isfinite(tape.gradient(value, prediction)).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
def test_half_precision_is_that_of_the_predictions_only(name, dtype):
    rounded, loss = tf.cast(tf.constant(PROBABILITIES), dtype), losses.classification_loss(name)
    value = loss(COMPACT, rounded)
    assert value.dtype == tf.float32
    assert float(value) == float(loss(COMPACT, tf.cast(rounded, "float32")))


# From here on against the paper's formulas, in float64 NumPy: those of x, of x_t and of p_t.
def log_sigmoid(x):
    return np.where(x < 0, x - np.log1p(np.exp(-np.abs(x))), -np.log1p(np.exp(-np.abs(x))))


def paper_focal(x_t, alpha_t, gamma):
    """Return FL and its derivative by x_t, each element."""
    log_p, log_rest = log_sigmoid(x_t), log_sigmoid(-x_t)
    weight, p = alpha_t * np.exp(gamma * log_rest), np.exp(log_p)
    return -weight * log_p, weight * (gamma * p * log_p - np.exp(log_rest))


def paper_focal_star(x_t, gamma, beta):
    """Return FL* and its derivative by x_t, each element."""
    p_star = gamma * x_t + beta
    return -log_sigmoid(p_star) / gamma, -np.exp(log_sigmoid(-p_star))


# Functions that make a loss, and the same from `x_t` and whether a class is present.
CASES = {
    "ce": (losses.cross_entropy, lambda x_t, present: paper_focal(x_t, 1, 0)),
    "balanced ce": (
        partial(losses.balanced_cross_entropy, 0.75),
        lambda x_t, present: paper_focal(x_t, np.where(present, 0.75, 0.25), 0),
    ),
    "focal": (
        losses.focal,
        lambda x_t, present: paper_focal(x_t, np.where(present, 0.25, 0.75), 2),
    ),
    "focal 0.5": (
        partial(losses.focal, None, 0.5),
        lambda x_t, present: paper_focal(x_t, 1, 0.5),
    ),
    "focal 5": (
        partial(losses.focal, 0.5, 5.0),
        lambda x_t, present: paper_focal(x_t, 0.5, 5),
    ),
    "star 2, 1": (losses.focal_star, lambda x_t, present: paper_focal_star(x_t, 2, 1)),
    "star 4, 0": (
        partial(losses.focal_star, 4, 0),
        lambda x_t, present: paper_focal_star(x_t, 4, 0),
    ),
}
LOSSES = pytest.mark.parametrize(("make", "paper"), CASES.values(), ids=CASES)

# Two images of 40 anchors and 3 classes, with 9 and 2 positive anchors.
STATES = np.zeros((2, 40, 1), int)
STATES[0, :9, 0], STATES[1, 38:, 0] = [1, 2, 3] * 3, [2, 2]
STATES[:, 10:15] = -1
POSITIVES = np.array([9, 2])


def dense(states, classes=3):
    """Return compact targets in the dense form."""
    present = states == np.arange(1, classes + 1)
    return np.concatenate([present, np.minimum(states, 1)], axis=-1).astype("float32")


def logits(scale):
    """Return logits (2, 40, 3); all that are beyond a scale of 30 are so on both sides."""
    return np.random.default_rng(1).normal(0, scale, (2, 40, 3)).astype("float32")


def in_graph(loss, y_true, x, jit_compile=False, dtype="float32"):
    """Return loss and gradient by the logits, as `fit` computes them from the probabilities."""

    @tf.function(jit_compile=jit_compile)
    def step(y_true, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            first, second = tf.split(tf.cast(x, dtype), 2, axis=1)
            # Levels, joined, as in a model.
            p = tf.cast(tf.concat([tf.sigmoid(first), tf.sigmoid(second)], 1), dtype)
            value = loss(y_true, p)
        return value, tape.gradient(value, x)

    value, gradient = step(tf.constant(y_true), tf.constant(x))
    return float(value), np.array(gradient, "float64")


def expected(paper, x, share):
    """Return loss and gradient by the logits from the paper's formulas."""
    present = np.arange(1, 4) == STATES
    values, slopes = paper(np.where(present, x, -x).astype("float64"), present)
    share = share * (STATES != -1)
    return np.sum(share * values), np.where(present, slopes, -slopes) * share


@LOSSES
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [2, 40])
def test_loss_and_gradient_are_the_papers(make, paper, form, scale):
    y_true, x = STATES if form == "compact" else dense(STATES), logits(scale)
    value, gradient = in_graph(make(), y_true, x)
    total, slopes = expected(paper, x, 1 / POSITIVES.sum())
    assert value == pytest.approx(total, rel=1e-5)
    np.testing.assert_allclose(gradient, slopes, rtol=2e-5, atol=TINY[form])
    if scale == 40:
        return
    # Outside a graph, from the probabilities alone.
    prediction = tf.Variable(x)
    with tf.GradientTape() as tape:
        value = make()(y_true, tf.sigmoid(prediction))
    assert float(value) == pytest.approx(total, rel=1e-5)
    np.testing.assert_allclose(tape.gradient(value, prediction), slopes, rtol=1e-3, atol=1e-6)


@LOSSES
@pytest.mark.parametrize("form", FORMS)
def test_certain_errors_are_corrected(make, paper, form):
    # Logits whose probabilities are 0 or 1 in float32, or nearly: present, then absent.
    x = np.array([-30.0, -60, -100, 30, 60, 100, 0, -2] * 2, "float32").reshape(1, 16, 1)
    state = np.repeat([1, 0], 8).reshape(1, 16, 1)
    y_true = state if form == "compact" else dense(state, 1)
    value, gradient = in_graph(make(), y_true, x)
    values, slopes = paper(np.where(state, x, -x).astype("float64"), state == 1)
    assert value == pytest.approx(values.sum() / 8, rel=1e-6)
    slopes = np.where(state, slopes, -slopes) / 8
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=TINY[form])
    # Six errors, of which the smallest weighs a quarter; each is pushed as hard as it may be.
    assert value * 8 > 0.25 * 2 * (30 + 60 + 100)
    assert np.abs(gradient[0, [0, 1, 2, 11, 12, 13]]).min() >= 0.25 / 8 * 0.999


@LOSSES
@pytest.mark.parametrize("form", FORMS)
def test_xla_computes_the_same(make, paper, form):
    y_true, x = STATES if form == "compact" else dense(STATES), logits(40)
    value, gradient = in_graph(make(), y_true, x, jit_compile=True)
    total, slopes = expected(paper, x, 1 / POSITIVES.sum())
    assert value == pytest.approx(total, rel=1e-5)
    np.testing.assert_allclose(gradient, slopes, rtol=2e-5, atol=TINY[form])


def test_half_precision_logits_are_not_rounded_further():
    x = np.array([[[30.0], [-20.0]]], "float32")
    y_true = np.array([[[0], [1]]])
    value, gradient = in_graph(losses.cross_entropy(), y_true, x, dtype="float16")
    assert value == pytest.approx(50)
    np.testing.assert_allclose(gradient.ravel(), [1, -1])


@pytest.mark.parametrize("y_true", FORMS.values(), ids=FORMS)
def test_the_losses_are_special_cases_of_each_other(y_true):
    def values(loss):
        prediction = tf.constant(PROBABILITIES)
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            value = loss(y_true, prediction)
        return value.numpy(), tape.gradient(value, prediction).numpy()

    for first, second in [
        (losses.focal(0.3, 0), losses.balanced_cross_entropy(0.3)),
        (losses.focal(None, 0), losses.cross_entropy()),
        (losses.focal(), losses.focal(0.25, 2)),
    ]:
        for one, other in zip(values(first), values(second), strict=True):
            np.testing.assert_array_equal(one, other)
    half, whole = values(losses.balanced_cross_entropy(0.5)), values(losses.cross_entropy())
    for one, other in zip(half, whole, strict=True):
        np.testing.assert_allclose(2 * one, other, rtol=1e-6)


def test_focal_star_is_near_the_focal_loss():
    # The paper's figure of both: at beta 1 and gamma 2 they differ little where x_t is above 0.
    assert float(losses.focal_star_terms(0.0)) == pytest.approx(np.log1p(np.exp(-1)) / 2)
    assert float(losses.focal_star_terms(0.0, 4.0, 0.0)) == pytest.approx(np.log(2) / 4)
    assert float(losses.focal_terms(0.0)) == pytest.approx(np.log(2) / 4)
    x_t = np.linspace(0.5, 5, 10).astype("float32")
    difference = losses.focal_star_terms(x_t) - losses.focal_terms(x_t)
    assert np.abs(difference).max() < 0.06


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5])
def test_terms_are_the_papers(gamma):
    x_t = np.array([-100, -30, -2, 0, 0.3, 5, 30, 80], "float32")
    wide = x_t.astype("float64")
    np.testing.assert_allclose(
        losses.focal_terms(x_t, gamma), paper_focal(wide, 1, gamma)[0], rtol=1e-5, atol=1e-37
    )
    if gamma:
        np.testing.assert_allclose(
            losses.focal_star_terms(x_t, gamma, 1),
            paper_focal_star(wide, gamma, 1)[0],
            rtol=1e-5,
            atol=1e-37,
        )


@LOSSES
@pytest.mark.parametrize("form", FORMS)
def test_class_weights_are_factors_on_classes(make, paper, form):
    weights = [0.5, 3, 0]
    y_true, x = STATES if form == "compact" else dense(STATES), logits(2)
    total, slopes = expected(paper, x, np.array(weights) / POSITIVES.sum())
    loss = make(class_weights=weights)
    value, gradient = in_graph(loss, y_true, x)
    np.testing.assert_allclose(gradient, slopes, rtol=2e-5, atol=TINY[form])
    assert value == pytest.approx(total, rel=1e-5)
    assert float(loss(y_true, tf.sigmoid(x))) == pytest.approx(total, rel=1e-5)


@LOSSES
@pytest.mark.parametrize("form", FORMS)
def test_each_image_can_be_normalised_by_itself(make, paper, form):
    y_true, x = STATES if form == "compact" else dense(STATES), logits(2)
    total, slopes = expected(paper, x, 1 / (POSITIVES * len(POSITIVES)).reshape(2, 1, 1))
    loss = make(normaliser="image")
    value, gradient = in_graph(loss, y_true, x)
    assert value == pytest.approx(total, rel=1e-5)
    np.testing.assert_allclose(gradient, slopes, rtol=2e-5, atol=TINY[form])
    alone = [float(loss(y_true[[i]], tf.sigmoid(x[[i]]))) for i in (0, 1)]
    assert value == pytest.approx(np.mean(alone), rel=1e-5)
    by_batch = float(make()(y_true, tf.sigmoid(x)))
    assert by_batch == pytest.approx(np.average(alone, weights=POSITIVES), rel=1e-5)


@pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
def test_an_image_without_positives_counts_whole(name):
    y_true, y_pred = np.zeros((2, 5, 1)), np.full((2, 5, 1), 0.3, "float32")
    y_true[0, 0] = 1
    loss = losses.classification_loss(name, normaliser="image")
    alone = [float(loss(y_true[[i]], y_pred[[i]])) for i in (0, 1)]
    assert float(loss(y_true, y_pred)) == pytest.approx(np.mean(alone))
    assert float(loss(np.full((2, 5, 1), -1), y_pred)) == 0


@pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
def test_wrong_settings_are_refused_by_name(name):
    make = partial(losses.classification_loss, name)
    with pytest.raises(ValueError, match="^normaliser: expected one of batch, image, got anchors"):
        make(normaliser="anchors")
    for wrong in ([1, -1], [1, np.inf], [np.nan, 1]):
        with pytest.raises(ValueError, match="^class_weights: expected finite numbers of at least"):
            make(class_weights=wrong)
    for y_true in FORMS.values():
        with pytest.raises(ValueError, match="^class_weights: .* each of the 3 classes, got 2"):
            make(class_weights=[1, 2])(y_true, PROBABILITIES)


def test_gamma_of_focal_star_is_above_zero():
    for gamma in (0, -1, np.nan):
        with pytest.raises(ValueError, match="^gamma: expected a number above 0, got"):
            losses.focal_star(gamma)


def test_losses_by_name():
    usual = {
        "focal": losses.focal(),
        "focal-star": losses.focal_star(),
        "balanced-ce": losses.balanced_cross_entropy(),
        "ce": losses.cross_entropy(),
    }
    values = {name: float(loss(COMPACT, PROBABILITIES)) for name, loss in usual.items()}
    assert len(set(values.values())) == 4
    for name, value in values.items():
        assert float(losses.classification_loss(name)(COMPACT, PROBABILITIES)) == value
    other = losses.classification_loss("focal", alpha=None, gamma=0)
    assert float(other(COMPACT, PROBABILITIES)) == values["ce"]
    with pytest.raises(ValueError, match="one of focal, focal-star, balanced-ce, ce, got huber"):
        losses.classification_loss("huber")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
def test_of_a_head_in_half_precision_the_logits_are_seen(name, policy):
    keras.config.set_dtype_policy(policy)
    try:
        head = default_classification_model(1, 1, 4, classification_feature_size=4)
    finally:
        keras.config.set_dtype_policy("float32")
    last = head.get_layer("pyramid_classification")
    loss, features = losses.classification_loss(name), tf.ones((1, 1, 1, 4))
    # A certain error has its whole derivative, though its probability is 0 or 1 in float32.
    for bias, state in ((-60.0, 1), (60.0, 0)):
        last.bias.assign([bias])

        @tf.function
        def step(state=state):
            value = loss(tf.constant([[[state]]]), head(features))
            return value, tf.gradients(value, last.bias.value)[0]

        value, gradient = step()
        assert value.dtype == tf.float32
        weight = {"focal": 0.25, "balanced-ce": 0.25}.get(name, 1)
        weight = 0.75 if weight < 1 and not state else weight
        assert float(gradient[0]) == pytest.approx(-weight if state else weight, rel=1e-2)
        assert float(value) >= weight * 59
