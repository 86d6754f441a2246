import keras
import pytest

from keras_retinanet import models


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def test_without_a_network_says_what_to_put_where(home, monkeypatch):
    def fail(*args, **kwargs):
        raise Exception("URL fetch failure: None -- name\nresolution")

    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(ValueError) as caught:
        models.backbone("resnet50").download_imagenet()
    message = str(caught.value)
    assert "\n" not in message
    assert str(home / "models" / "ResNet-50-model.keras.h5") in message
    assert "--weights FILE or --no-weights" in message


def test_uses_a_file_that_is_there(home):
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    path = home / "models" / name
    path.parent.mkdir()
    path.write_bytes(b"weights")
    assert models.backbone("mobilenet_v2").download_imagenet() == str(path)


@pytest.mark.parametrize(
    ("depth", "checksum"),
    [
        (50, "3e9f4e4f77bbe2c9bec13b53ee1c2319"),
        (101, "05dc86924389e5b401a9ea0348a3213c"),
        (152, "6ee11ef2b135592f8031058820bb9e71"),
    ],
)
def test_resnets_are_checked(depth, checksum, home, monkeypatch):
    calls = []
    monkeypatch.setattr(
        keras.utils, "get_file", lambda *args, **kwargs: calls.append((args, kwargs)) or "path"
    )
    assert models.backbone(f"resnet{depth}").download_imagenet() == "path"
    ((name, url), options) = calls[0]
    assert url.endswith(f"/v0.0.1/ResNet-{depth}-model.keras.h5")
    assert options["file_hash"] == checksum
