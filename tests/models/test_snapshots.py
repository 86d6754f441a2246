from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest

from keras_retinanet import losses, models
from keras_retinanet.geometry.coders import CornerCoder
from keras_retinanet.layers import FilterSettings
from keras_retinanet.models import snapshots
from keras_retinanet.models.snapshots import is_keras2_file
from keras_retinanet.optimizers import Adam
from keras_retinanet.zoo.class_names import COCO
from tests.goldens import DATA
from tests.models.conftest import TINY_INFO, build_tiny

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")


def assert_same_outputs(model, other, images):
    for found, expected in zip(model(images), other(images), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_training_model_round_trip(suffix, tiny, tmp_path, images):
    path = tmp_path / f"resnet50_csv_01{suffix}"
    models.save_model(tiny, path)
    model = models.load_model(path)
    assert type(model) is models.RetinaNet
    assert model.info == tiny.info
    assert_same_outputs(model, tiny, images)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert not is_keras2_file(path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_inference_model_round_trip(suffix, tiny, tmp_path, images):
    path = str(tmp_path / f"model{suffix}")
    settings = {"score_threshold": 0.2, "max_detections": 17}
    inference = models.convert_model(tiny, **settings)
    models.save_model(inference, path)
    model = models.load_model(path)
    assert type(model) is models.RetinaNetBBox
    assert model.info == replace(tiny.info, filter_settings=FilterSettings(**settings))
    assert_same_outputs(model, inference, images)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_info_survives_saving_and_loading_by_keras_itself(suffix, tiny, tmp_path, images):
    path = tmp_path / f"plain{suffix}"
    tiny.save(path)
    model = keras.models.load_model(path, compile=False)
    assert model.info == tiny.info
    assert_same_outputs(model, tiny, images)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_optimizer_comes_back_with_its_state(suffix, tmp_path, images):
    model = build_tiny()
    loss = {"regression": losses.smooth_l1(), "classification": losses.focal()}
    optimizer = Adam(1e-4, clipnorm=0.001)
    model.compile(optimizer=optimizer, loss=loss, run_eagerly=True)
    count = model(images)[0].shape[1]
    targets = [np.zeros((2, count, 5), "float32"), np.ones((2, count, 1), "int32")]
    model.train_on_batch(images, targets)
    path = tmp_path / f"m{suffix}"
    models.save_model(model, path)
    restored = models.load_model(path, compile=True)
    assert restored.optimizer.get_config() == model.optimizer.get_config()
    assert len(restored.optimizer.variables) == len(model.optimizer.variables) > 10
    for found, expected in zip(
        restored.optimizer.variables, model.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    assert not models.load_model(path).compiled
    # The next step of both is the same.
    restored.run_eagerly = True
    assert restored.train_on_batch(images, targets) == model.train_on_batch(images, targets)
    assert_same_outputs(restored, model, images)


def test_open_hdf5_file(tiny, tmp_path, images):
    path = tmp_path / "m.h5"
    models.save_model(tiny, path)
    with h5py.File(path, "r") as file:
        assert_same_outputs(models.load_model(file), tiny, images)


def test_a_failed_save_leaves_the_old_file(tiny, tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    path.write_bytes(b"the last snapshot")

    def fail(self, filepath):
        with open(filepath, "wb") as file:
            file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        models.save_model(tiny, path)
    assert path.read_bytes() == b"the last snapshot"
    assert len(list(tmp_path.iterdir())) == 1


def test_frozen_layers_stay_frozen(tmp_path):
    model = build_tiny()
    model.get_layer("stage1").trainable = False
    models.save_model(model, tmp_path / "m.keras")
    restored = models.load_model(tmp_path / "m.keras")
    assert not restored.get_layer("stage1").trainable
    assert restored.get_layer("stage2").trainable


def test_another_backbone_given_is_warned_of(tiny, tmp_path):
    models.save_model(tiny, tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="of this model is mobilenet_v2, not resnet101"):
        models.load_model(tmp_path / "m.keras", backbone_name="resnet101")


def test_refuses_unknown_suffixes(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"m\.onnx: expected a file name that ends in \.keras"):
        models.save_model(tiny, tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_refuses_truncated_files(name, share, tiny, tmp_path):
    path = tmp_path / name
    models.save_model(tiny, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    what = "a damaged or truncated one" if share else "another"
    with pytest.raises(ValueError, match=f"{path}: expected .* got {what}"):
        models.load_model(path)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.txt"])
def test_refuses_other_files(name, tmp_path):
    path = tmp_path / name
    path.write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match=f"{name}: expected an HDF5 file"):
        models.load_model(path)
    with pytest.raises(OSError):
        models.load_model(tmp_path / "missing.h5")
    with pytest.raises(OSError):
        models.load_model(tmp_path)


def test_never_runs_code_from_a_file(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match=r"lambda\.keras: cannot load this model"):
        models.load_model(tmp_path / "lambda.keras")


def test_a_snapshot_from_before_the_rooms_loads():
    """`before_rooms.keras` was written when all modules lay at the package's root."""
    expected = np.load(DATA / "before_rooms.expected.npz")
    model = models.load_model(DATA / "before_rooms.keras", compile=True)
    assert model.info.class_names == ("cat", "dog")
    assert (model.info.image_min_side, model.info.image_max_side) == (64, 96)
    assert (model.info.coder, model.info.filter_settings) == (CornerCoder(), FilterSettings())
    assert int(model.optimizer.iterations) == expected["iterations"]
    images = np.random.default_rng(0).uniform(-100, 100, (1, 64, 96, 3)).astype("float32")
    for name, found in zip(
        ("regression", "classification"), model.predict(images, verbose=0), strict=True
    ):
        np.testing.assert_allclose(found, expected[name], atol=1e-5)
    detector = models.convert_model(model, score_threshold=0.0, max_detections=20)
    for name, found in zip(
        ("boxes", "scores", "labels"), detector.predict(images, verbose=0), strict=True
    ):
        np.testing.assert_allclose(found, expected[name], atol=1e-3)


def test_a_published_model_gets_what_its_file_lacks(tmp_path, monkeypatch):
    """By its name; by the path of its file only the file speaks."""
    model = build_tiny(num_classes=80)
    info = replace(TINY_INFO, num_classes=80, class_names=None)
    models.set_info(model, info)
    path = str(tmp_path / "m.keras")
    models.save_model(model, path)
    monkeypatch.setattr(snapshots, "model_path", lambda name: path)
    found = models.load_model("fizyr_resnet152_oid").info
    assert found.class_names == COCO
    assert (found.image_min_side, found.image_max_side) == (600, 800)
    assert models.load_model("coco").info == replace(info, class_names=COCO)
    assert models.load_model(path).info == info


def test_a_checkpoint_is_loaded_by_its_suffix(tmp_path):
    (tmp_path / "m.pth").write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"m.pth: .*web page"):
        models.load_model(tmp_path / "m.pth")
