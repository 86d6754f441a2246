import json
import re
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.geometry.coders import CornerCoder
from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.models.conversion import convert_file
from keras_retinanet.models.old_snapshots import read_architecture
from keras_retinanet.models.snapshots import is_keras2_file
from tests.data import old_snapshots

# Of `old_converted`; see data/old_snapshots.py.
SETTINGS = FilterSettings(nms_threshold=0.3, score_threshold=0.55, max_detections=25)
SHARED = Path(__file__).parents[3] / "shared" / "legacy"


def layout_config(case):
    return json.loads(old_snapshots.read_layout(case)["attrs"]["model_config"])


def test_training_snapshot_computes_what_the_old_package_did(old_training):
    regression, classification = old_training.predict_on_batch(old_snapshots.images())
    numbers = old_snapshots.read_expected("old_training")
    np.testing.assert_allclose(regression[:, ::5], numbers["regression"], atol=1e-4)
    np.testing.assert_allclose(classification[:, ::5], numbers["classification"], atol=1e-4)
    assert numbers["regression"].std() > 0.1
    assert numbers["classification"].std() > 0.01


def test_training_snapshot_has_an_info(old_training):
    assert type(old_training) is models.RetinaNet
    assert old_training.info == models.ModelInfo("resnet50", 3, normalisation="caffe")


def test_converted_model_detects_what_the_old_package_did(old_file):
    model = models.load_model(old_file("old_converted"))
    assert type(model) is models.RetinaNetBBox
    boxes, scores, labels = model.predict_on_batch(old_snapshots.images())
    numbers = old_snapshots.read_expected("old_converted")
    np.testing.assert_array_equal(labels, numbers["labels"])
    np.testing.assert_allclose(scores, numbers["scores"], atol=1e-5)
    np.testing.assert_allclose(boxes, numbers["boxes"], atol=0.01)
    sizes, strides = [12, 24, 48, 96, 192, 384], [4, 8, 16, 32, 64, 128]
    assert model.info.anchors == AnchorParameters(sizes, strides, [0.5, 1.5], [1, 2])
    assert model.info.pyramid_levels == (2, 3, 4, 5, 6, 7)
    assert model.info.coder == CornerCoder()
    assert model.info.filter_settings == SETTINGS
    assert is_keras2_file(old_file("old_converted"))


def test_architecture_of_a_training_snapshot():
    architecture = read_architecture(layout_config("old_training"))
    assert (architecture.backbone, architecture.normalisation) == ("resnet50", "caffe")
    assert (architecture.num_classes, architecture.num_anchors) == (3, 9)
    assert architecture.pyramid_levels == (3, 4, 5, 6, 7)
    assert architecture.anchors is architecture.filter_settings is None


def test_architecture_of_a_converted_model():
    architecture = read_architecture(layout_config("old_converted"))
    assert architecture.num_classes == 2
    assert architecture.filter_settings == SETTINGS
    assert architecture.coder == CornerCoder()


def _change(path, target, change):
    """Copy a snapshot with its configuration changed."""
    target.write_bytes(path.read_bytes())
    with h5py.File(target, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)
    return target


def test_converted_model_keeps_a_coder_of_its_own(old_file, tmp_path):
    mean, std = [0.1, 0, -0.1, 0], [0.1, 0.1, 0.3, 0.4]

    def other_coder(layers):
        (decoding,) = (layer for layer in layers if layer["class_name"] == "RegressBoxes")
        decoding["config"].update(mean=mean, std=std)

    path = _change(old_file("old_converted"), tmp_path / "changed.h5", other_coder)
    model = models.load_model(path)
    coder = CornerCoder(mean, std)
    assert model.info.coder == model.get_layer("boxes").coder == coder
    names = ("anchors", "regression", "boxes")
    probe = keras.Model(model.input, [model.get_layer(name).output for name in names])
    anchors, offsets, boxes = probe.predict_on_batch(old_snapshots.images())
    np.testing.assert_allclose(boxes, coder.decode(anchors, offsets), atol=1e-3)
    assert np.abs(boxes - CornerCoder().decode(anchors, offsets)).max() > 1
    # It stays with the model, in a file of ours and when it is converted again.
    models.save_model(model, tmp_path / "new.keras")
    assert models.load_model(tmp_path / "new.keras").info == model.info
    convert_file(path, tmp_path / "again.keras")
    assert models.load_model(tmp_path / "again.keras").info == model.info


def test_refuses_a_coder_that_is_none(old_file, tmp_path):
    def bad_coder(layers):
        (decoding,) = (layer for layer in layers if layer["class_name"] == "RegressBoxes")
        decoding["config"]["std"] = [0.2, 0.2]

    path = _change(old_file("old_converted"), tmp_path / "changed.h5", bad_coder)
    with pytest.raises(ValueError, match="changed.h5: Expected std to hold 4 numbers"):
        models.load_model(path)


def _other_backbone(layers):
    for layer in layers:
        layer["config"]["name"] = re.sub("^res", "vgg", layer["config"]["name"])


def _no_heads(layers):
    del layers[-4:]


def _too_many_classes(layers):
    inner = layers[-3]["config"]["layers"]
    inner[-3]["config"]["filters"] = 9 * 10**9
    inner[-2]["config"]["target_shape"][-1] = 10**9


def _nonsense(layers):
    layers[-4]["config"]["layers"] = 7


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_other_backbone, "another backbone .*conv1"),
        (_no_heads, "without a layer 'regression_submodel'"),
        (_too_many_classes, "expected 9000000000 biases .* got .*27"),
        (_nonsense, "cannot be built again: TypeError"),
    ],
)
def test_refuses_other_models(change, text, old_file, tmp_path):
    path = _change(old_file("old_training"), tmp_path / "changed.h5", change)
    with pytest.raises(ValueError, match=f"changed.h5: .*{text}"):
        models.load_model(path)


def test_refuses_missing_and_misshapen_weights(old_file, tmp_path):
    path = tmp_path / "changed.h5"
    path.write_bytes(old_file("old_training").read_bytes())
    with h5py.File(path, "r+") as file:
        weights = file["model_weights/P3"]
        weights.attrs["weight_names"] = np.array(["P3/kernel:0"], "S")
        del weights["P3/kernel:0"]
        weights["P3/kernel:0"] = np.zeros((1, 1, 256, 256), "float32")
    with pytest.raises(ValueError, match=r"299 of 301 .*P3/bias, P3/kernel"):
        models.load_model(path)


@pytest.mark.parametrize("config", [None, "no JSON", "[]", '{"class_name": "Sequential"}'])
def test_refuses_files_without_a_model(config, tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = config
    with pytest.raises(ValueError, match=r"other\.h5.*(model_config|no RetinaNet)"):
        models.load_model(path)


@pytest.mark.parametrize("case", ["resnet50_c3", "resnet50_c3_padded"])
@pytest.mark.skipif(not SHARED.exists(), reason="needs the project's shared material")
@pytest.mark.slow
def test_large_example(case, tmp_path):
    path = tmp_path / "old.h5"
    layout = SHARED / f"{case}.layout.json"
    subprocess.run([sys.executable, SHARED / "make_snapshot.py", layout, path], check=True)
    numbers = np.load(SHARED / f"{case}.expected.npz")
    images = np.random.default_rng(7).uniform(-120, 130, (2, 256, 320, 3)).astype("float32")
    model = models.load_model(path)
    regression, classification = model.predict_on_batch(images)
    np.testing.assert_allclose(regression[:, ::7], numbers["regression"], atol=1e-4)
    np.testing.assert_allclose(classification[:, ::7], numbers["classification"], atol=1e-4)
    settings = {"nms_threshold": 0.3, "max_detections": 50, "score_threshold": 0.1}
    agnostic = {"class_specific_filter": False, **settings}
    for suffix, arguments in [("", {}), ("_agnostic", agnostic)]:
        found = models.convert_model(model, **arguments).predict_on_batch(images)
        for image in range(2):
            # In one image of the first case two overlapping boxes have scores 1e-7 apart. Which
            # suppresses the other differs between CPUs (the old package's own result does too).
            rows = 277 if (case, suffix, image) == ("resnet50_c3", "", 0) else None
            boxes, scores, labels = (output[image][:rows] for output in found)
            names = ("boxes", "scores", "labels")
            stored = [numbers[name + suffix][image][:rows] for name in names]
            np.testing.assert_allclose(scores, stored[1], atol=1e-4)
            # Scores that are as near as that may have changed places.
            is_same = labels[:, None] == stored[2]
            is_same &= np.isclose(scores[:, None], stored[1], rtol=1e-7, atol=1e-4)
            is_same &= np.isclose(boxes[:, None], stored[0], rtol=1e-7, atol=0.01).all(axis=-1)
            assert is_same.any(axis=0).all() and is_same.any(axis=1).all()
