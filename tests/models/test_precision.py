import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet import layers, losses, models
from keras_retinanet.losses.logits import find_logits
from keras_retinanet.models.precision import in_float32, set_precision
from keras_retinanet.models.weights import leaf_layers
from tests import tiny

IMAGES = np.random.default_rng(0).uniform(-1, 1, (1, 64, 80, 3)).astype("float32")


@pytest.fixture(autouse=True)
def tiny_backbone(monkeypatch):
    """The backbone "tiny" in the table."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)


def build(**settings):
    keras.utils.set_random_seed(1)
    return models.backbone("tiny").retinanet(num_classes=2, feature_size=32, **settings)


def policies(model):
    return {layer.name: layer.dtype_policy.name for layer in leaf_layers(model)}


@pytest.mark.parametrize(("dtype", "group_norm"), [("bfloat16", True), ("float16", False)])
def test_convolutions_and_their_gradients_are_in_half_precision(dtype, group_norm):
    model = build(group_norm=group_norm)
    set_precision(model, dtype)

    @tf.function
    def gradients(images):
        with tf.GradientTape() as tape:
            regression, classification = model(images, training=True)
            loss = losses.focal()(tf.zeros((1, 1, 1)), classification[:, :1])
            loss += tf.reduce_sum(regression)
        assert regression.dtype == classification.dtype == loss.dtype == tf.float32
        return tape.gradient(loss, model.trainable_weights)

    graph = gradients.get_concrete_function(tf.TensorSpec((1, 64, 80, 3))).graph
    types = {"Sigmoid": set(), "Conv2D": set()}
    types |= {"Conv2DBackpropInput": set(), "Conv2DBackpropFilter": set()}
    for operation in graph.get_operations():
        if operation.type in types:
            types[operation.type].add(operation.get_attr("T").name)
    assert types.pop("Sigmoid") == {"float32"}
    assert list(types.values()) == [{dtype}] * 3
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_outputs_differ_by_the_rounding():
    model = build()
    exact = model.predict_on_batch(IMAGES)
    set_precision(model, "bfloat16")
    rounded = keras.models.clone_model(model)
    rounded.set_weights(model.get_weights())
    for one, other in zip(rounded(IMAGES), exact, strict=True):
        assert 0 < np.abs(one - other).max() < 2**-5 * np.abs(other).max()


def test_the_loss_finds_the_logits():
    model = build()
    set_precision(model, "bfloat16")

    @tf.function
    def predict(images):
        probabilities = model(images, training=True)[1]
        return probabilities, find_logits(probabilities)

    probabilities, found = predict(IMAGES)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(tf.sigmoid(found), probabilities, rtol=1e-6)


def test_some_layers_stay_in_float32():
    model = build(normalise_on_device=True)
    set_precision(model, "bfloat16")
    found = policies(model)
    exact = {name for name, policy in found.items() if policy == "float32"}
    inputs = {
        layer.name for layer in leaf_layers(model) if isinstance(layer, keras.layers.InputLayer)
    }
    heads = {"pyramid_regression_reshape", "pyramid_classification_sigmoid"}
    assert exact - inputs == {"normalised", "regression", "classification", *heads}
    assert set(found.values()) == {"float32", "mixed_bfloat16"}


def test_pixels_are_scaled_and_other_types_kept_as_they_were():
    inputs = keras.Input((4,))
    x = keras.layers.Rescaling(1 / 255, name="scaled")(inputs)
    x = keras.layers.Normalization(mean=0.5, variance=0.1, name="whitened")(x)
    x = keras.layers.Dense(2, dtype="float64", name="own")(x)
    x = keras.layers.Dense(2, name="usual")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="last")(x))
    set_precision(model, "bfloat16")
    found = policies(model)
    assert [found[name] for name in ("scaled", "whitened", "own", "usual", "last")] == [
        *("float32", "float32", "float64", "mixed_bfloat16", "float32")
    ]


def test_snapshots_compute_in_float32(tmp_path):
    model = build(normalise_on_device=True)
    images = np.random.default_rng(0).integers(0, 255, (1, 64, 80, 3)).astype("uint8")
    exact = model.predict_on_batch(images)
    before = policies(model)
    set_precision(model, "bfloat16")
    mixed = policies(model)
    for name in ("model.keras", "model.h5"):
        with in_float32(model):
            assert policies(model) == before
            models.save_model(model, tmp_path / name)
        assert policies(model) == mixed
        again = models.load_model(tmp_path / name)
        assert policies(again) == before
        for one, other in zip(again.predict_on_batch(images), exact, strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(OSError), in_float32(model):
        raise OSError
    assert policies(model) == mixed


def test_a_model_comes_back_to_float32_and_goes_over_to_another_type():
    model = build()
    before = policies(model)
    set_precision(model, "bfloat16")
    set_precision(model, "float16")
    assert set(policies(model).values()) == {"float32", "mixed_float16"}
    set_precision(model, "float32")
    assert policies(model) == before


def test_inference_models_on_top_filter_in_float32():
    model = build()
    set_precision(model, "bfloat16")
    inference = models.convert_model(model)
    boxes, scores, labels = inference(IMAGES)
    assert (boxes.dtype, scores.dtype, labels.dtype) == (tf.float32, tf.float32, tf.int32)
    kinds = (layers.Anchors, layers.RegressBoxes, layers.FilterDetections)
    parts = [layer for layer in inference.layers if isinstance(layer, kinds)]
    assert {layer.compute_dtype for layer in parts} == {"float32"}


def test_other_types_are_refused():
    with pytest.raises(
        ValueError, match="^dtype: expected bfloat16, float16 or float32, got 'fp8'"
    ):
        set_precision(build(), "fp8")
