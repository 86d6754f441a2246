import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models.applications import features, translate
from keras_retinanet.models.normalization import MOMENTUM

ANY_SIZE = (None, None, 3)


def randomise(layer, rng):
    """Give a layer weights that keep activations in range."""
    for variable in layer.weights:
        noise = rng.standard_normal(variable.shape)
        if variable.name == "kernel":
            fan_in = 9 if "depthwise" in layer.name else np.prod(variable.shape[:-1])
            variable.assign(noise * np.sqrt(2 / fan_in))
        elif variable.dtype == "float32":
            variable.assign(variable + 0.05 * np.abs(noise))


@pytest.mark.parametrize("size", [(64, 96), (65, 51)])
@pytest.mark.parametrize(
    ("name", "native"),
    [
        ("mobilenet_v2", keras.applications.MobileNetV2),
        ("mobilenet_v3_small", keras.applications.MobileNetV3Small),
        ("EfficientNetB0", keras.applications.EfficientNetB0),
    ],
)
def test_equals_keras_for_even_and_odd_sizes(name, native, size):
    native = native(input_shape=(*size, 3), include_top=False, weights=None)
    ours = features(name, keras.Input(ANY_SIZE))
    own = {layer.name: layer for layer in ours.layers}
    rng = np.random.default_rng(1)
    for layer in native.layers:
        if layer.weights and layer.name in own:
            randomise(layer, rng)
            own[layer.name].set_weights(layer.get_weights())
    pixels = rng.uniform(-1, 1, (1, *size, 3)).astype("float32")
    # Keras's EfficientNet divides by 255 itself, which ours leaves to `preprocess_image`.
    expected = np.asarray(native(pixels * 255 if name == "EfficientNetB0" else pixels))
    assert expected.std() > 0.01
    np.testing.assert_allclose(ours(pixels)[-1], expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        # Old snapshots of these three have pyramids on the same layers.
        ("mobilenet128_0.25", (32, 64, 128, 256)),
        ("vgg16", (128, 256, 512, 512)),
        ("densenet121", (256, 512, 1024, 1024)),
        ("mobilenet_v2", (24, 32, 96, 1280)),
        ("mobilenet_v3_small", (16, 24, 48, 576)),
        ("EfficientNetB0", (144, 240, 672, 1280)),
        ("efficientnet_v2_b0", (32, 48, 112, 1280)),
        ("convnext_tiny", (96, 192, 384, 768)),
        ("resnet50v2", (256, 512, 1024, 2048)),
    ],
)
def test_strides_round_up_for_unknown_sizes(name, channels):
    model = features(name, keras.Input(ANY_SIZE))
    shapes = [tuple(shape[1:]) for shape in model.compute_output_shape((1, 333, 501, 3))]
    sizes = [(-(-333 // stride), -(-501 // stride)) for stride in (4, 8, 16, 32)]
    assert shapes == [(*size, count) for size, count in zip(sizes, channels, strict=True)]


def test_batch_normalisation_is_frozen_or_not():
    for frozen in (True, False):
        model = features("mobilenet128_0.25", keras.Input(ANY_SIZE), freeze_bn=frozen)
        norm = model.get_layer("conv1_bn")
        assert norm.trainable is not frozen
        assert norm.epsilon == 1e-3
        assert norm.momentum == MOMENTUM


def test_files_of_keras_2_name_the_layers_of_mobilenet_v3_otherwise():
    model = models.backbone("mobilenet_v3_small").retinanet(num_classes=1, feature_size=8)
    # As `tf_keras.applications.MobileNetV3Small` has them, "/" read as "_".
    old = [
        "Conv",
        "Conv_BatchNorm",
        "expanded_conv_squeeze_excite_Conv_1",
        "expanded_conv_1_depthwise_BatchNorm",
        "Conv_1_BatchNorm",
        "P3",
    ]
    renamed = translate(dict.fromkeys(old), model)
    assert len(renamed) == len(old)
    assert set(renamed) <= {layer.name for layer in model.layers}
    other = models.backbone("mobilenet128_0.25").retinanet(num_classes=1, feature_size=8)
    assert translate(dict.fromkeys(old), other) == dict.fromkeys(old)


def test_convnext_survives_a_file(tmp_path):
    model = models.backbone("convnext_tiny").retinanet(num_classes=1, feature_size=8)
    path = tmp_path / "convnext.keras"
    models.save_model(model, path)
    again = models.load_model(path)
    image = np.random.default_rng(0).uniform(0, 255, (1, 65, 97, 3)).astype("float32")
    assert again.info == model.info
    for found, expected in zip(again(image), model(image), strict=True):
        np.testing.assert_array_equal(found, expected)
