import h5py
import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models.folding import fold_batch_norm
from keras_retinanet.models.weights import WeightsReport, load_weights
from tests.models.conftest import build_tiny


def all_names(model):
    return sorted(
        f"{layer.name}/{variable.name}"
        for layer in models.weights.leaf_layers(model)
        for variable in layer.weights
    )


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_every_format_of_ours_fits_wholly(name, tiny, tmp_path, images):
    path = tmp_path / name
    tiny.save_weights(path) if "weights" in name else models.save_model(tiny, path)
    model = build_tiny()
    report = load_weights(model, path)
    assert sorted(report.matched) == all_names(model)
    assert report == WeightsReport(matched=report.matched)
    for found, expected in zip(model(images), tiny(images), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_other_class_count_and_levels(tiny, tmp_path):
    path = tmp_path / "m.h5"
    models.save_model(tiny, path)
    other = build_tiny(levels=(2, 3, 4, 5, 6), num_classes=5)
    report = load_weights(other, path)
    last = "pyramid_classification"
    assert sorted(report.mismatched) == [f"{last}/bias", f"{last}/kernel"]
    new = ["C2_reduced", "P2"]
    assert sorted(report.missing) == [f"{n}/{weight}" for n in new for weight in ("bias", "kernel")]
    assert sorted(report.unexpected) == ["P7/bias", "P7/kernel"]
    assert len(report.matched) == len(all_names(other)) - 6
    assert "2 of another shape (pyramid_classification/kernel, " in report.summary()
    np.testing.assert_allclose(other.get_layer("P3").kernel, tiny.get_layer("P3").kernel)


def test_old_snapshot_into_a_model_of_other_classes(old_file, old_training):
    model = models.backbone("resnet50").retinanet(num_classes=7)
    report = load_weights(model, old_file("old_training"))
    assert len(report.matched) == len(all_names(model)) - 2
    assert (report.missing, report.unexpected) == ([], [])
    for name in ("conv1", "P6"):
        np.testing.assert_array_equal(
            model.get_layer(name).kernel, old_training.get_layer(name).kernel
        )
    variance = model.get_layer("bn5c_branch2c").moving_variance
    np.testing.assert_array_equal(variance, old_training.get_layer("bn5c_branch2c").moving_variance)


def test_backbone_alone(tmp_path):
    native = keras.applications.MobileNetV2(include_top=False, weights=None)
    path = tmp_path / "mobilenet.weights.h5"
    native.save_weights(path)
    model = models.backbone("mobilenet_v2").retinanet(num_classes=1)
    report = load_weights(model, path)
    assert sorted(report.matched) == all_names(native)
    assert (report.mismatched, report.unexpected) == ([], [])
    assert {name.split("/")[0][0] for name in report.missing} == {"C", "P", "p"}
    with h5py.File(path) as file:
        first = file["layers/depthwise_conv2d/vars/0"][()]
    np.testing.assert_array_equal(model.get_layer("expanded_conv_depthwise").kernel, first)


def test_keras_2_backbone_alone(tmp_path):
    path = tmp_path / "ResNet-50-model.keras.h5"
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype("float32")
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array(["stage1", "fc1000"], "S")
        for layer, value in [("stage1", kernel), ("fc1000", np.zeros((4, 1000)))]:
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([f"{layer}/kernel:0"], "S")
            group[f"{layer}/kernel:0"] = value
    model = build_tiny()
    report = load_weights(model, path)
    assert report.matched == ["stage1/kernel"]
    assert report.unexpected == ["fc1000/kernel"]
    np.testing.assert_array_equal(model.get_layer("stage1").kernel, kernel)


def test_a_lone_weight_needs_no_name(tmp_path):
    scale = keras.layers.EinsumDense("bc,c->bc", output_shape=(3,), name="scale")
    model = keras.Sequential([keras.Input((3,)), scale])
    path = tmp_path / "scale.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array(["scale"], "S")
        file.create_group("scale").attrs["weight_names"] = np.array(["scale/gamma:0"], "S")
        file["scale/scale/gamma:0"] = np.array([1, 2, 3], "float32")
    assert load_weights(model, path).matched == ["scale/kernel"]
    np.testing.assert_array_equal(scale.kernel, [1, 2, 3])


def test_refuses_weights_of_another_network(tmp_path):
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    path = tmp_path / "other.weights.h5"
    other.save_weights(path)
    with pytest.raises(ValueError, match=r"other\.weights\.h5: none of its weights fits"):
        load_weights(build_tiny(), path)


def test_refuses_weights_that_are_no_floats(tmp_path):
    path = tmp_path / "text.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array(["stage1"], "S")
        file.create_group("stage1").attrs["weight_names"] = np.array(["stage1/bias:0"], "S")
        file["stage1/stage1/bias:0"] = np.array([b"a"] * 4)
    with pytest.raises(ValueError, match="stage1/bias: expected floats"):
        load_weights(build_tiny(), path)


def test_refuses_weights_with_the_normalisation_folded_in(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="convolution")(inputs)
    outputs = keras.layers.BatchNormalization(trainable=False, name="norm")(x)
    model = models.RetinaNet(inputs, outputs)
    models.save_model(fold_batch_norm(model), tmp_path / "m.keras")
    kernel = np.ones((3, 3, 3, 4), "float32")
    model.get_layer("convolution").set_weights([kernel])
    with pytest.raises(ValueError, match="m.keras: expected a training snapshot, got a conv"):
        load_weights(model, tmp_path / "m.keras")
    np.testing.assert_array_equal(model.get_layer("convolution").kernel, kernel)


def test_refuses_other_shapes_if_asked_to_and_leaves_the_model_as_it_was(tiny, tmp_path):
    models.save_model(tiny, tmp_path / "m.keras")
    other = build_tiny(num_classes=5)
    before = [np.array(weight) for weight in other.weights]
    with pytest.raises(ValueError, match="of another shape: pyramid_classification/kernel, "):
        load_weights(other, tmp_path / "m.keras", skip_mismatch=False)
    for weight, expected in zip(other.weights, before, strict=True):
        np.testing.assert_array_equal(weight, expected)
