import h5py
import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.models import senet
from tests.data import old_snapshots


@pytest.fixture
def small(monkeypatch):
    """A model on an SE-ResNeXt of one block a stage, called "seresnext50"."""
    design = senet._Design((1, 1, 1, 1), groups=32, widths=(128, 128))
    monkeypatch.setitem(senet._DESIGNS, "seresnext50", design)
    return models.backbone("seresnext50").retinanet(num_classes=1, feature_size=8)


def test_strides_and_channels(small):
    inputs = keras.Input((None, None, 3))
    shapes = senet.features("seresnext50", inputs).compute_output_shape((1, 65, 97, 3))
    assert [tuple(shape[1:]) for shape in shapes] == [
        (17, 25, 256),
        (9, 13, 512),
        (5, 7, 1024),
        (3, 4, 2048),
    ]


def test_convolutions_are_those_of_the_old_snapshots():
    """Kernels in the order of the numbers that image-classifiers gave them."""
    layout = old_snapshots.read_layout("seresnext50")
    old = [shapes[0][1] for name, shapes in layout["layers"] if name.startswith("conv2d")]
    names = list(senet._convolutions(senet._DESIGNS["seresnext50"]))
    assert len(names) == len(old) == 1 + 16 * (1 + 32 + 1 + 2) + 4


def write(path, weights):
    """Write weights as Keras 2 does: name of the layer -> {weight: values}."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array(list(weights), "S")
        for layer, tensors in weights.items():
            group = file.create_group(layer)
            names = [f"{layer}/{name}:0" for name in tensors]
            group.attrs["weight_names"] = np.array(names, "S")
            for name, values in zip(names, tensors.values(), strict=True):
                group[name] = values


def test_numbered_layers_of_a_file_are_known_by_their_order(small, tmp_path):
    rng = np.random.default_rng(0)
    weights, number = {}, 0
    for name in senet._convolutions(senet._DESIGNS["seresnext50"]):
        layer = small.get_layer(name.partition("#")[0])
        shape = list(layer.kernel.shape)
        shape[-1] //= layer.groups
        number += 1
        # Numbers that start anywhere, in the file in the order of texts: conv2d_10 before conv2d_7.
        weights[f"conv2d_{number + 6}"] = {"kernel": rng.normal(size=shape).astype("float32")}
        if layer.use_bias:
            weights[f"conv2d_{number + 6}"]["bias"] = np.full(shape[-1], number, "float32")
    path = tmp_path / "seresnext50_imagenet_1000_no_top.h5"
    write(path, dict(sorted(weights.items())))
    report = models.load_weights(small, path)
    assert (report.mismatched, report.unexpected) == ([], [])
    np.testing.assert_array_equal(
        small.get_layer("stem1_conv").kernel, weights["conv2d_7"]["kernel"]
    )
    # conv2d_9 to conv2d_40 are the 32 groups of the first block.
    groups = [weights[f"conv2d_{i}"]["kernel"] for i in range(9, 41)]
    kernel = small.get_layer("stage1_unit1_2_conv").kernel
    np.testing.assert_array_equal(kernel, np.concatenate(groups, axis=-1))
    last = small.get_layer("stage4_unit1_se_expand").bias
    np.testing.assert_array_equal(last, np.full(2048, number, "float32"))


def test_joined_groups_compute_what_the_old_package_did_with_groups_apart(old_file):
    model = models.backbone("seresnext50").retinanet(num_classes=2)
    report = models.load_weights(model, old_file("seresnext50"))
    assert (report.missing, report.mismatched, report.unexpected) == ([], [], [])
    outputs = model.predict_on_batch(old_snapshots.images())
    numbers = old_snapshots.read_expected("seresnext50")
    for found, name in zip(outputs, ("regression", "classification"), strict=True):
        few = found[:, :: old_snapshots.FEW]
        np.testing.assert_allclose(few, numbers[name], atol=1e-4 * np.ptp(numbers[name]))
