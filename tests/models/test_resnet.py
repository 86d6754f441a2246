import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models import resnet as module
from tests.data import old_snapshots


@pytest.fixture(scope="module")
def small():
    """A ResNet of one block a stage."""
    return module.resnet(keras.Input((None, None, 3)), (1, 1, 1, 1), freeze_bn=False)


def test_layers_of_resnet50_are_those_of_the_old_snapshots(old_training):
    layout = old_snapshots.read_layout("old_training")
    expected = {name for name, weights in layout["layers"]}
    found = {layer.name for layer in old_training.layers if not _is_input(layer)}
    assert found == {name for name in expected if not name.startswith("input")}


def _is_input(layer):
    return isinstance(layer, keras.layers.InputLayer)


def test_block_names_of_the_deeper_networks():
    names = [module._block_name(1, block, deep=True) for block in range(4)]
    assert names == ["a", "b1", "b2", "b3"]
    assert [module._block_name(3, block, deep=True) for block in range(3)] == ["a", "b", "c"]
    assert [module._block_name(2, block, deep=False) for block in range(6)] == list("abcdef")


def test_parameters(old_training, monkeypatch):
    def fast(filters, size, name, **options):
        options = {"use_bias": False, "kernel_initializer": "zeros", **options}
        return keras.layers.Conv2D(filters, size, name=name, **options)

    monkeypatch.setattr(module, "_convolution", fast)
    resnet101 = module.resnet(keras.Input((None, None, 3)), module.BLOCKS["resnet101"])
    # torchvision's networks without the classifier, plus the statistics of batch normalisation,
    # which it does not count: 25,557,032 - 2,049,000 + 53,120 and 44,549,160 - 2,049,000 + 105,344.
    assert resnet101.count_params() == 42_605_504
    end = [layer.name for layer in old_training.layers].index("C5_reduced")
    assert sum(layer.count_params() for layer in old_training.layers[:end]) == 23_561_152


def test_strides_round_up(small):
    shapes = [shape[1:] for shape in small.compute_output_shape((1, 65, 97, 3))]
    assert shapes == [(17, 25, 256), (9, 13, 512), (5, 7, 1024), (3, 4, 2048)]


def test_stride_is_in_the_first_convolution(small):
    strides = {
        layer.name: layer.strides
        for layer in small.layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    assert strides["res3a_branch2a"] == strides["res3a_branch1"] == (2, 2)
    assert strides["res3a_branch2b"] == strides["res2a_branch2a"] == (1, 1)


def test_stem_is_padded_on_every_side(small):
    assert small.get_layer("padding_conv1").padding == ((3, 3), (3, 3))
    assert small.get_layer("conv1").padding == "valid"


@pytest.mark.parametrize("frozen", [True, False])
def test_batch_normalisation(frozen):
    model = module.resnet(keras.Input((None, None, 3)), (1, 1, 1, 1), freeze_bn=frozen)
    norm = model.get_layer("bn_conv1")
    assert norm.epsilon == 1e-5
    assert norm.trainable is not frozen
    assert bool(norm.trainable_weights) is not frozen


def test_info_of_a_new_model(monkeypatch):
    monkeypatch.setitem(module.BLOCKS, "resnet50", (1, 1, 1, 1))
    model = module.resnet50_retinanet(num_classes=4)
    assert model.info == models.ModelInfo("resnet50", 4, normalisation="caffe")
    with pytest.raises(ValueError, match="not in allowed backbones"):
        module.resnet_retinanet(4, backbone="resnet18")


def test_names_of_early_releases(monkeypatch, tmp_path):
    monkeypatch.setitem(module.BLOCKS, "resnet50", (1, 1, 1, 1))
    inputs = keras.Input((None, None, 3), name="photo")
    model = module.ResNet50RetinaNet(inputs, num_classes=2, weights=None)
    assert (type(model), model.input.name) == (models.RetinaNet, "photo")
    models.save_model(model, tmp_path / "m.keras")
    monkeypatch.setattr(module, "download_imagenet", lambda name: f"{tmp_path}/m.keras")
    for options in ({"weights": str(tmp_path / "m.keras")}, {}):
        again = module.ResNet50RetinaNet(inputs, num_classes=5, **options)
        np.testing.assert_array_equal(
            again.get_layer("conv1").kernel, model.get_layer("conv1").kernel
        )
    assert {"RetinaNet", "FilterDetections", "_focal"} <= set(module.custom_objects)
    loaded = keras.models.load_model(tmp_path / "m.keras", custom_objects=module.custom_objects)
    assert loaded.info == model.info


def test_download_by_the_name_of_early_releases(monkeypatch):
    monkeypatch.setattr(models.backbones, "fetch", lambda url, file_hash: url)
    assert module.download_imagenet("resnet101").endswith("/ResNet-101-model.keras.h5")
    with pytest.raises(ValueError, match="'vgg16'.* not in allowed backbones"):
        module.download_imagenet("vgg16")
