import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import losses
from keras_retinanet.geometry import targets
from keras_retinanet.geometry.coders import CentreCoder, CornerCoder
from tests.goldens import GOLDENS, predictions, targets_input

OFFSETS, _, _ = predictions()
COMPACT, _ = targets.anchor_targets_compact(*targets_input(), num_classes=3)


@pytest.mark.parametrize("y_true", [COMPACT, GOLDENS["regression"]], ids=["compact", "dense"])
def test_smooth_l1_is_the_old_one(y_true):
    found = losses.smooth_l1()(y_true, OFFSETS)
    np.testing.assert_allclose(found, GOLDENS["smooth_l1"], rtol=1e-6)


def test_smooth_l1_of_targets_in_half_the_bytes():
    y_true, _ = targets.anchor_targets_compact(
        *targets_input(), num_classes=3, dtypes=targets.HALF_PRECISION
    )
    found = losses.smooth_l1()(y_true, OFFSETS)
    np.testing.assert_allclose(found, GOLDENS["smooth_l1"], rtol=1e-3)


def test_smooth_l1_by_hand():
    y_true = np.array([[[0.0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]])
    y_pred = np.array([[[1.0, 0.1, 0, 0], [9, 9, 9, 9]]], "float32")
    # sigma 3: 1 - 1/18 beyond 1/9, and 0.5 * 9 * 0.1**2 within it; the second anchor is background.
    assert float(losses.smooth_l1()(y_true, y_pred)) == pytest.approx(1 - 1 / 18 + 0.045)


def test_ignored_anchors_do_not_count():
    assert float(losses.smooth_l1()(np.full((1, 2, 5), -1.0), np.ones((1, 2, 4)))) == 0


CODERS = [CentreCoder(), CentreCoder(0.8, clamp_below=True), CornerCoder()]
BOX_LOSSES = [losses.smooth_l1(), losses.l1(), losses.giou(CentreCoder()), losses.giou(CODERS[2])]


def giou_of_boxes(box, other):
    """Return GIoU as the paper's algorithm 1 puts it, of two boxes."""
    (x1, y1, x2, y2), (left, top, right, bottom) = box, other
    shared = max(0, min(x2, right) - max(x1, left)) * max(0, min(y2, bottom) - max(y1, top))
    union = (x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - shared
    hull = (max(x2, right) - min(x1, left)) * (max(y2, bottom) - min(y1, top))
    return shared / union - (hull - union) / hull


def some_offsets(coder, count=60):
    """Return anchors in an image, boxes decoded on them, and the offsets of both of these boxes."""
    rng = np.random.default_rng(8)
    corners = rng.uniform(-50, 900, (count, 2))
    anchors = np.concatenate([corners, corners + rng.uniform(5, 700, (count, 2))], axis=1)
    # The second offsets: some equal, some near, some far off, so that boxes do not meet.
    true = rng.normal(0, 0.4, (count, 4))
    found = true + rng.normal(0, 1, (count, 4)) * rng.choice([0, 0.1, 1], (count, 1))
    found[::7, 0] += 9
    if isinstance(coder, CornerCoder):
        found[::7, 2] += 9
    return anchors, true, found


def batch(true, found, states=None):
    """Return `y_true` and `y_pred` of two images, from offsets `(2n, 4)`."""
    states = np.ones(len(true)) if states is None else states
    y_true = np.concatenate([true, np.asarray(states, float)[:, None]], axis=1)
    return (
        tf.constant(y_true.reshape(2, -1, 5), "float32"),
        tf.constant(np.reshape(found, (2, -1, 4)), "float32"),
    )


def with_gradient(loss, y_true, y_pred):
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = loss(y_true, y_pred)
    return float(value), tape.gradient(value, y_pred).numpy()


@pytest.mark.parametrize("coder", CODERS)
def test_giou_is_that_of_the_boxes_in_the_image(coder):
    anchors, true, found = some_offsets(coder)
    pairs = list(zip(coder.decode(anchors, true), coder.decode(anchors, found), strict=True))
    values = np.array([giou_of_boxes(*pair) for pair in pairs])
    assert (values < 0).sum() > 5
    assert (values > 0.5).sum() > 5
    loss = losses.giou(coder)
    assert float(loss(*batch(true, found))) == pytest.approx(np.mean(1 - values), rel=1e-5)
    for i in range(0, 60, 3):
        one = batch(true[[i, i]], found[[i, i]])
        assert float(loss(*one)) == pytest.approx(1 - values[i], rel=1e-4, abs=1e-5)


def test_giou_by_hand():
    coder = CornerCoder((0,) * 4, (1,) * 4)
    # On the anchor 10, 20, 14, 22 these are the boxes 10, 20, 12, 22 and 11, 20, 13, 22; they share
    # 2 of 6 pixels, and fill the box around both.
    true, found = [[0, 0, -0.5, 0]] * 2, [[0.25, 0, -0.25, 0]] * 2
    assert float(losses.giou(coder)(*batch(true, found))) == pytest.approx(1 - 1 / 3)
    # Two of the four quarters of a square, across the corner: no shared area, half of it empty.
    true, found = [[0, 0, -0.5, -0.5]] * 2, [[0.5, 0.5, 0, 0]] * 2
    assert float(losses.giou(coder)(*batch(true, found))) == pytest.approx(1.5)
    # A box of 3 x 3 pixels on an anchor of 512 x 512, predicted a pixel too far right: 6 of 12.
    true, found = [[0, 0, -509 / 512, -509 / 512]] * 2, [[1 / 512, 0, -508 / 512, -509 / 512]] * 2
    assert float(losses.giou(coder)(*batch(true, found))) == pytest.approx(0.5, rel=1e-4)


def test_l1_by_hand():
    true, found = [[0, 0, 0, 0], [1, 2, 3, 4]], [[1, -0.1, 0, 0], [1, 2, 3.5, 2]]
    assert float(losses.l1()(*batch(true, found))) == pytest.approx((1.1 + 2.5) / 2)
    assert float(losses.l1()(*batch(true, found, [1, 0]))) == pytest.approx(1.1)


@pytest.mark.parametrize("loss", BOX_LOSSES)
def test_box_losses_are_zero_at_equality_and_without_positives(loss):
    _, true, found = some_offsets(CODERS[2], 20)
    value, gradient = with_gradient(loss, *batch(true, true))
    assert value == 0
    assert np.isfinite(gradient).all()
    states = [0, -1] * 10
    value, gradient = with_gradient(loss, *batch(true, found, states))
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("loss", BOX_LOSSES)
def test_box_losses_are_means_over_positives(loss):
    _, true, found = some_offsets(CODERS[2], 20)
    states = np.arange(20) % 3 - 1
    kept = states == 1
    value, gradient = with_gradient(loss, *batch(true, found, states))
    expected, wanted = with_gradient(loss, *batch(true[kept], found[kept]))
    assert value == pytest.approx(expected, rel=1e-5)
    gradient = gradient.reshape(20, 4)
    np.testing.assert_allclose(gradient[kept], wanted.reshape(-1, 4), rtol=1e-4, atol=1e-6)
    assert not gradient[~kept].any()


@pytest.mark.parametrize("loss", BOX_LOSSES)
@pytest.mark.parametrize("distance", [1e-6, 1, 30, 1e4, 1e15])
def test_box_losses_and_gradients_are_finite_however_far_off(loss, distance):
    true = np.zeros((32, 4))
    # All combinations of signs; the first half of the anchors is positive.
    signs = np.stack(np.meshgrid(*[[-1, 1]] * 4), axis=-1).reshape(16, 4)
    value, gradient = with_gradient(
        loss, *batch(true, np.tile(signs, (2, 1)) * distance, [1] * 16 + [0] * 8 + [-1] * 8)
    )
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("coder", [CentreCoder(), CornerCoder()])
def test_gradients_are_those_of_finite_differences(coder):
    # Boxes that meet at a corner, contain each other, cross, and lie apart in x or in both.
    anchors = np.tile([20.0, 30, 60, 60], (6, 1))
    true = np.tile([15.0, 32, 55, 63], (6, 1))
    found = np.array(
        [
            [25.0, 40, 65, 70],
            [18, 35, 51, 60],
            [10, 25, 58, 80],
            [10, 35, 90, 60],
            [70, 36, 95, 66],
            [60, 70, 99, 85],
        ]
    )
    y_true, y_pred = batch(coder.encode(anchors, true), coder.encode(anchors, found))
    steps = 1e-3 * np.eye(24, dtype="float32").reshape(24, 2, 3, 4)
    for loss in (losses.giou(coder), losses.l1()):
        _, gradient = with_gradient(loss, y_true, y_pred)
        assert np.abs(gradient).max() > 0.02
        numeric = [
            (float(loss(y_true, y_pred + step)) - float(loss(y_true, y_pred - step))) / 2e-3
            for step in steps
        ]
        np.testing.assert_allclose(gradient.ravel(), numeric, rtol=0.02, atol=2e-4)


def test_beyond_a_clamp_of_the_coder_the_gradient_is_zero():
    # torchvision decodes with `clamp(dw, max=...)`, whose derivative is 1 at the bound, 0 beyond.
    bound = CentreCoder().max_log
    true, found = np.zeros((2, 4)), np.array([[0.1, 0, bound + 0.5, 0.3], [0.1, 0, 1, -bound - 1]])
    _, (first, second) = with_gradient(losses.giou(CentreCoder()), *batch(true, found))
    assert first[0, 2] == 0
    assert first[0, 3] != 0
    assert second[0, 3] != 0
    clamped = losses.giou(CentreCoder(clamp_below=True))
    _, (_, second) = with_gradient(clamped, *batch(true, found))
    assert second[0, 3] == 0
    assert second[0, 2] != 0


def test_a_box_whose_corners_have_changed_places_is_empty():
    loss = losses.giou(CornerCoder((0,) * 4, (1,) * 4))
    # From x = 0.75 back to 0.25, inside the true box: nothing is shared, nothing is around.
    true, found = np.zeros((2, 4)), [[0.75, 0, -0.75, 0]] * 2
    assert float(loss(*batch(true, found))) == 1


def test_giou_of_boxes_without_area_is_finite():
    # Offsets of 0 stand for an empty box here; two empty boxes share nothing.
    loss = losses.giou(CornerCoder((1, 1, 0, 0)))
    value, gradient = with_gradient(loss, *batch(np.zeros((2, 4)), np.zeros((2, 4))))
    assert value == 1
    assert np.isfinite(gradient).all()
    value, _ = with_gradient(loss, *batch(np.zeros((2, 4)), np.zeros((2, 4)), [0, -1]))
    assert value == 0


@pytest.mark.parametrize("loss", BOX_LOSSES[1:3])
def test_box_losses_compile_for_any_number_of_anchors(loss):
    _, true, found = some_offsets(CODERS[2], 20)
    y_true, y_pred = batch(true, found, [1, 1, 0, -1] * 5)

    @tf.function(
        jit_compile=True,
        input_signature=[
            tf.TensorSpec((None, None, 5), "float16"),
            tf.TensorSpec((None, None, 4), "float32"),
        ],
    )
    def compiled(y_true, y_pred):
        value = loss(y_true, y_pred)
        return value, tf.gradients(value, y_pred)[0]

    halves = tf.cast(y_true, "float16")
    value, gradient = compiled(halves, y_pred)
    expected, wanted = with_gradient(loss, halves, y_pred)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-6)


def test_box_losses_by_name():
    _, true, found = some_offsets(CODERS[0], 20)
    pair = batch(true, found)
    expected = {
        "smooth_l1": losses.smooth_l1(),
        "l1": losses.l1(),
        "giou": losses.giou(CODERS[1], weight=2),
    }
    values = {name: float(losses.box_loss(name, CODERS[1])(*pair)) for name in expected}
    assert values == {name: float(loss(*pair)) for name, loss in expected.items()}
    plain = float(losses.giou(CODERS[1])(*pair))
    assert values["giou"] == pytest.approx(2 * plain)
    assert plain != float(losses.giou(CODERS[0])(*pair))
    with pytest.raises(ValueError, match="one of smooth_l1, l1, giou, got ciou"):
        losses.box_loss("ciou", CODERS[0])


@pytest.mark.parametrize("name", losses.BOX_LOSSES)
def test_each_image_can_be_normalised_by_itself(name):
    coder = CODERS[0]
    _, true, found = some_offsets(coder, 20)
    # Three positive anchors in the first image, seven in the second.
    y_true, y_pred = batch(true, found, [1] * 3 + [0] * 5 + [-1] * 2 + [1] * 7 + [0] * 3)
    loss = losses.box_loss(name, coder, normaliser="image")
    alone = [
        float(losses.box_loss(name, coder)(y_true[i : i + 1], y_pred[i : i + 1])) for i in (0, 1)
    ]
    value, gradient = with_gradient(loss, y_true, y_pred)
    assert value == pytest.approx(np.mean(alone), rel=1e-5)
    by_batch, of_batch = with_gradient(losses.box_loss(name, coder), y_true, y_pred)
    assert by_batch == pytest.approx(np.dot(alone, [0.3, 0.7]), rel=1e-5)
    # 1 / (2 * 3) and 1 / (2 * 7) instead of 1 / 10.
    np.testing.assert_allclose(gradient[0], of_batch[0] * 10 / 6, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gradient[1], of_batch[1] * 10 / 14, rtol=1e-4, atol=1e-6)


def test_an_unknown_normaliser_is_refused():
    for make in (losses.smooth_l1, losses.l1, lambda **k: losses.giou(CODERS[0], **k)):
        with pytest.raises(ValueError, match="^normaliser: expected one of batch, image, got mean"):
            make(normaliser="mean")
