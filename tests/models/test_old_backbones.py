import json

import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.geometry.anchors import (
    anchors_for_shape,
    make_shapes_callback,
    matches_default_shapes,
)
from keras_retinanet.models.old_backbones import build_features, identify
from tests.data import old_snapshots

# What 1.0.0 fed each family with: `Backbone.preprocess_image` of each of its modules.
NORMALISATIONS = {
    "mobilenet128_1.0": "tf",
    "densenet121": "tf",
    "vgg16": "caffe",
    "seresnet18": "bgr",
    "seresnext50": "torch",
    "EfficientNetB0": "torch",
}


def layers_of(case):
    config = json.loads(old_snapshots.read_layout(case)["attrs"]["model_config"])
    return {layer["config"]["name"]: layer for layer in config["config"]["layers"]}


@pytest.mark.parametrize("name", old_snapshots.FAMILIES)
def test_training_snapshot_computes_what_the_old_package_did(name, old_file):
    model = models.load_model(old_file(name), backbone_name=name)
    regression, classification = model.predict_on_batch(old_snapshots.images())
    numbers, step = old_snapshots.read_expected(name), old_snapshots.FEW
    for found, wanted in [
        (regression[:, ::step], numbers["regression"]),
        (classification[:, ::step], numbers["classification"]),
    ]:
        assert wanted.std() > 0.01
        np.testing.assert_allclose(found, wanted, atol=1e-4 * np.ptp(wanted))
    assert model.info == models.ModelInfo(name, 2, normalisation=NORMALISATIONS[name])


def test_an_old_network_that_rounds_down_gets_anchors_for_what_it_computes(old_file):
    model = models.load_model(old_file("vgg16"))
    assert not matches_default_shapes(model, model.info.pyramid_levels)
    shape = (75, 98, 3)  # (9, 12), (4, 6), ... where ResNet has (10, 13), (5, 7), ...
    anchors = anchors_for_shape(shape, shapes_callback=make_shapes_callback(model))
    assert len(anchors) == model(np.zeros((1, *shape), "float32"))[0].shape[1]
    assert len(anchors) < len(anchors_for_shape(shape))


def test_converted_resnet101_with_own_levels_detects_what_the_old_package_did(old_file):
    model = models.load_model(old_file("resnet101"), backbone_name="resnet101")
    boxes, scores, labels = model.predict_on_batch(old_snapshots.images())
    numbers = old_snapshots.read_expected("resnet101")
    assert (numbers["labels"] >= 0).sum() > 10
    np.testing.assert_array_equal(labels, numbers["labels"])
    np.testing.assert_allclose(scores, numbers["scores"], atol=1e-5)
    np.testing.assert_allclose(boxes, numbers["boxes"], atol=0.01)
    assert model.info.backbone == "resnet101"
    assert model.info.pyramid_levels == (2, 3, 4, 5, 6, 7)


@pytest.mark.parametrize(("name", "third", "fourth"), [("resnet101", 4, 23), ("resnet152", 8, 36)])
def test_depth_of_a_resnet_follows_from_its_blocks(name, third, fourth):
    counts = {2: 3, 3: third, 4: fourth, 5: 3}
    layers = {
        f"res{stage}{'a' if i == 0 else f'b{i}'}_branch2c": {}
        for stage, count in counts.items()
        for i in range(count)
    }
    assert identify(layers) == (name, "caffe")


def test_size_of_the_images_of_a_mobilenet_is_taken_from_the_name_given():
    layers = layers_of("mobilenet128_1.0")
    assert identify(layers) == ("mobilenet224_1.0", "tf")
    assert identify(layers, "mobilenet160_1.0") == ("mobilenet160_1.0", "tf")
    assert identify(layers, "mobilenet160_0.5") == ("mobilenet224_1.0", "tf")


@pytest.mark.parametrize(
    ("name", "filters", "blocks"),
    [("B1", 1280, "ab"), ("B3", 1536, "ab"), ("B5", 2048, "abc"), ("B7", 2560, "abcd")],
)
def test_size_of_an_efficientnet_follows_from_its_end(name, filters, blocks):
    layers = {f"block7{letter}_project_conv": {} for letter in blocks}
    layers["top_conv"] = {"config": {"filters": filters}}
    layers = {key: {"class_name": "Conv2D", "config": {}, **layer} for key, layer in layers.items()}
    assert identify(layers) == (f"EfficientNet{name}", "torch")


def test_vgg19_has_a_fourth_convolution():
    layers = {**layers_of("vgg16"), "block5_conv4": {"class_name": "Conv2D", "config": {}}}
    assert identify(layers) == ("vgg19", "caffe")


def test_unknown_backbone_is_refused():
    with pytest.raises(ValueError, match="another backbone .*input_1, my_conv"):
        identify({name: {"class_name": "Conv2D", "config": {}} for name in ("input_1", "my_conv")})


def small(kind, **config):
    """The layers of an old model of one layer, and the pyramid on it."""
    nodes = lambda source: [[[source, 0, 0, {}]]]  # noqa: E731
    return {
        "in": {"class_name": "InputLayer", "config": {"name": "in"}, "inbound_nodes": []},
        "x": {
            "class_name": kind,
            "config": {"name": "x", **config},
            "inbound_nodes": nodes("in"),
        },
        **{f"C{level}_reduced": {"inbound_nodes": nodes("x")} for level in (3, 4, 5)},
    }


def test_layers_keep_what_the_file_says_of_training():
    norm = {"axis": [3], "momentum": 0.99, "epsilon": 1e-5, "center": True, "scale": True}
    for settings, trainable in [
        ({}, True),
        ({"freeze": True}, False),
        ({"trainable": False}, False),
    ]:
        model = build_features(small("BatchNormalization", **norm, **settings))
        assert model.get_layer("x").trainable is trainable
    assert len(model.outputs) == 3


def test_code_in_a_file_is_not_run():
    with pytest.raises(ValueError, match="layer x: a Lambda layer holds code"):
        build_features(small("Lambda", function=["4wEAAAA=", None, None]))
    conv = {"filters": 1, "kernel_size": [1, 1], "activation": {"class_name": "function"}}
    with pytest.raises(ValueError, match="layer x: expected the name of an activation"):
        build_features(small("Conv2D", **conv))
    with pytest.raises(ValueError, match="layer x: expected one of Activation, .*got a MyLayer"):
        build_features(small("MyLayer"))


def test_other_order_of_channels_is_refused():
    with pytest.raises(ValueError, match="layer x: expected channels_last, got channels_first"):
        build_features(
            small("ZeroPadding2D", padding=[[1, 1], [1, 1]], data_format="channels_first")
        )


def test_slices_stand_for_the_functions_of_the_se_networks():
    model = build_features(small("Lambda", arguments={"start": 1, "stop": 3, "axis": 3}))
    image = np.arange(12, dtype="float32").reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(model(image)[0], image[..., 1:3])
