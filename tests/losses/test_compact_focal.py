import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import losses
from keras_retinanet.losses import compact_focal

RNG = np.random.default_rng(4)
LOGITS = RNG.normal(0, 2, (2, 30, 3)).astype("float32")
PRESENT = RNG.random((2, 30, 3)) < 0.2
SHARES = [RNG.random(shape).astype("float32") for shape in ((2, 30, 1), (2, 30, 3), (1, 1, 1))]


@pytest.mark.parametrize("share", SHARES, ids=lambda share: str(share.shape))
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 3.5])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_the_gradients_are_those_that_tensorflow_derives(alpha, gamma, share):
    weight = 1 if alpha is None else np.where(PRESENT, alpha, 1 - alpha).astype("float32")
    logits = tf.Variable(LOGITS)
    with tf.GradientTape(persistent=True) as tape:
        x_t = tf.where(PRESENT, logits, -logits)
        plain = 3 * tf.reduce_sum(share * weight * losses.focal_terms(x_t, gamma))
        of_logits = 3 * compact_focal.focal_of_logits(PRESENT, logits, share, alpha, gamma)
        probabilities = tf.sigmoid(logits)
        of_probabilities = 3 * compact_focal.focal_of_probabilities(
            PRESENT, probabilities, share, alpha, gamma
        )
    expected = tape.gradient(plain, logits)
    for value in (of_logits, of_probabilities):
        assert float(value) == pytest.approx(float(plain), rel=1e-5)
        np.testing.assert_allclose(tape.gradient(value, logits), expected, rtol=1e-4, atol=1e-6)
