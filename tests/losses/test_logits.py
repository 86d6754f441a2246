import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import losses
from keras_retinanet.losses import logits
from tests.fakes import tiny_retinanet

VALUES = np.array([[[-120.0, -30, -3], [0, 5, 0.5]], [[16.5, 30, 120], [1, -1, 2]]], "float32")


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("sigmoid", [tf.sigmoid, keras.ops.sigmoid, keras.layers.Activation])
def test_logits_are_found_in_a_graph(sigmoid, jit_compile):
    if sigmoid is keras.layers.Activation:
        sigmoid = keras.layers.Activation("sigmoid", dtype="float32")

    @tf.function(jit_compile=jit_compile)
    def found(first, second):
        one = logits.find_logits(sigmoid(first))
        joined = logits.find_logits(tf.concat([sigmoid(first), sigmoid(second)], 1))
        return one, joined

    one, joined = found(VALUES, -VALUES)
    np.testing.assert_array_equal(one, VALUES)
    np.testing.assert_array_equal(joined, np.concatenate([VALUES, -VALUES], axis=1))


def test_what_is_no_sigmoid_has_no_logits():
    @tf.function
    def found(values):
        assert logits.find_logits(values) is None
        assert logits.find_logits(tf.tanh(values)) is None
        assert logits.find_logits(2 * tf.sigmoid(values)) is None
        assert logits.find_logits(tf.concat([tf.sigmoid(values), values], 1)) is None
        return values

    found(VALUES)
    assert logits.find_logits(VALUES) is None
    assert logits.find_logits(tf.sigmoid(VALUES)) is None


def test_elsewhere_they_follow_from_the_probabilities():
    found = logits.logits_of(tf.sigmoid(VALUES))
    expected = np.clip(VALUES, np.log(1e-7), None)
    near = np.abs(VALUES) < 6
    np.testing.assert_allclose(found[near], expected[near], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found, np.clip(VALUES, -16.12, 15.95), atol=0.2)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_logits_of_a_model_are_found(policy):
    keras.config.set_dtype_policy(policy)
    try:
        network = tiny_retinanet()
    finally:
        keras.config.set_dtype_policy("float32")

    @tf.function
    def predict(images):
        probabilities = network(images, training=True)[1]
        return probabilities, logits.find_logits(probabilities)

    probabilities, found = predict(np.ones((1, 64, 96, 3), "float32"))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(tf.sigmoid(found), probabilities, rtol=1e-6)


def test_a_loss_in_fit_sees_the_logits():
    anchors, seen = keras.Input((3, 4)), []
    levels = [keras.layers.Dense(2, activation="sigmoid")(anchors) for _ in range(2)]
    network = keras.Model(anchors, keras.layers.Concatenate(axis=1)(levels))

    def loss(y_true, y_pred):
        seen.append(logits.find_logits(y_pred))
        return losses.focal()(y_true, y_pred)

    network.compile("sgd", loss)
    network.fit(np.ones((1, 3, 4), "float32"), np.ones((1, 6, 1), "int32"), verbose=0)
    # Keras calls the loss outside a graph before, to build it.
    assert seen[-1] is not None
