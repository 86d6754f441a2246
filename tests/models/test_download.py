import hashlib

import keras
import pytest

from keras_retinanet import models
from keras_retinanet.models.download import fetch


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


def test_downloads_once_and_again_if_the_hash_is_wrong(home, tmp_path):
    source = tmp_path / "weights.h5"
    source.write_bytes(b"weights")
    right = hashlib.md5(b"weights").hexdigest()
    path = home / "models" / "weights.h5"
    assert fetch(source.as_uri(), right) == str(path)
    path.write_bytes(b"half")
    assert fetch(source.as_uri(), right) == str(path)
    assert path.read_bytes() == b"weights"
    source.unlink()
    assert fetch(source.as_uri(), right) == str(path)
    assert fetch(source.as_uri()) == str(path)


def test_a_download_with_a_wrong_hash_changes_nothing(home, tmp_path):
    source = tmp_path / "weights.h5"
    source.write_bytes(b"weights")
    with pytest.raises(ValueError, match=f"expected the MD5 {'0' * 32}, got [0-9a-f]{{32}}"):
        fetch(source.as_uri(), "0" * 32)
    assert list((home / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("depth", "checksum"),
    [
        (50, "3e9f4e4f77bbe2c9bec13b53ee1c2319"),
        (101, "05dc86924389e5b401a9ea0348a3213c"),
        (152, "6ee11ef2b135592f8031058820bb9e71"),
    ],
)
def test_resnets_are_checked(depth, checksum, home, monkeypatch):
    urls = []

    def get_file(name, url, *, cache_subdir, **_):
        urls.append(url)
        with open(f"{cache_subdir}/{name}", "wb") as file:
            file.write(b"something else")

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    with pytest.raises(ValueError, match=f"expected the MD5 {checksum}, got "):
        models.backbone(f"resnet{depth}").download_imagenet()
    (url,) = urls
    assert url.endswith(f"/v0.0.1/ResNet-{depth}-model.keras.h5")
