import os

import cv2
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.detection.runners import open_exported
from keras_retinanet.export import convert
from keras_retinanet.export.check import Difference

pytest.importorskip("openvino")


@pytest.fixture
def snapshot(lively, tmp_path):
    models.save_model(lively, tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.mark.parametrize(("name", "file"), [("saved-model", "folder"), ("openvino", "model.xml")])
def test_writes_what_agrees_and_says_how_well(snapshot, tmp_path, name, file):
    said = []
    out = tmp_path / "out" / file
    for _ in range(2):  # the second time over the first
        difference = convert.export_file(snapshot, out, name, score_threshold=0.1, log=said.append)
        assert difference.compared > 20
        assert difference.unmatched == 0
    assert open_exported(out).info.filter_settings.score_threshold == 0.1
    expected = {file, "model.bin"} if name == "openvino" else {file}
    assert set(os.listdir(tmp_path / "out")) == expected
    assert said[0].startswith(f"compared on 4 drawn pictures, {difference.compared} detections: ")


def test_what_differs_leaves_no_file(snapshot, tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "compare", lambda *args: Difference(100, 2, 0.5, 7.0))
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="model.xml: not written: 2 of 100 detections have no"):
        convert.export_file(snapshot, out / "model.xml", "openvino")
    assert os.listdir(out) == []


def test_photos_are_compared_on_if_given(snapshot, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for i in range(2):
        cv2.imwrite(str(photos / f"{i}.png"), rng.integers(0, 256, (64, 80, 3)).astype("uint8"))
    said = []
    out = tmp_path / "model.xml"
    convert.export_file(snapshot, out, "openvino", calibrate=photos, log=said.append)
    assert said[0].startswith("compared on 2 photos of ")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("saved-model", {"precision": "int8"}, "saved-model has float32 only"),
        ("onnx", {"precision": "bfloat16"}, "onnx has float32 and float16 and int8 only"),
        ("litert", {}, "give --input-size"),
        ("openvino", {"precision": "int8"}, "int8 needs --calibrate"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_model_is_loaded(name, options, message):
    with pytest.raises(ValueError, match=message):
        convert.export_file("no such file", "out", name, **options)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(convert.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"openvino, .*pip install 'keras-retinanet\[open"):
        convert.export_file("model.keras", "out.xml", "openvino")
