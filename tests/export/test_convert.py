import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.detection.runners import open_exported
from keras_retinanet.export import convert
from keras_retinanet.export.check import Difference

WRITERS = {"saved-model": "tensorflow", "onnx": "tf2onnx", "openvino": "openvino"}


@pytest.fixture
def snapshot(trained, tmp_path):
    models.save_model(trained, tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.mark.parametrize(("name", "file"), [("saved-model", "folder"), ("openvino", "model.XML")])
def test_writes_what_agrees_and_says_how_well(snapshot, tmp_path, name, file):
    pytest.importorskip(WRITERS[name])
    said = []
    out = tmp_path / "out" / file
    for _ in range(2 if name == "saved-model" else 1):  # the second time over the first
        difference = convert.export_file(
            snapshot, out, name, score_threshold=0.1, input_size=(64, 96), log=said.append
        )
        assert difference.compared > 20
        assert difference.unmatched == 0
    record = open_exported(out).record
    assert record.info.filter_settings.score_threshold == 0.1
    assert record.input_size == (64, 96)
    expected = {file, "model.bin"} if name == "openvino" else {file}
    assert set(os.listdir(tmp_path / "out")) == expected
    assert said[0] == f"compared on 4 drawn pictures: {difference}"


def test_what_differs_leaves_no_file(snapshot, tmp_path, monkeypatch):
    far = Difference(100, 100, 2, 0.5, 7.0, (0.25, 30.0))
    monkeypatch.setattr(convert, "compare", lambda *args: far)
    out = tmp_path / "out"
    message = (
        "model: not written: .* more than 0.0001 of its score and 0.05 pixels of its box. On 4 "
        "drawn pictures: 100 detections .* 2 of them have no counterpart, the nearest differ by at "
        "most 0.250000 and 30.000 pixels. Use another format"
    )
    with pytest.raises(ValueError, match=message):
        convert.export_file(snapshot, out / "model", "saved-model", input_size=(64, 96))
    assert os.listdir(out) == []


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    rename = Path.rename

    def refuse_new(self, other):
        if (self / "new").exists():
            raise OSError("no room")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(OSError, match="no room"), convert._replacing(target) as written:
        written.mkdir()
        (written / "new").write_text("new")
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(target) == ["old"]


def test_what_cannot_be_compared_leaves_no_file(snapshot, tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "compare", lambda *args: Difference(found=600, compared=0))
    out = tmp_path / "out"
    message = "model: not written: it cannot be compared .* of 0.0001: give --calibrate FOLDER"
    with pytest.raises(ValueError, match=message):
        convert.export_file(snapshot, out / "model", "saved-model", input_size=(64, 96))
    assert os.listdir(out) == []


def test_a_model_that_finds_nothing_is_compared_all_the_same(trained, tmp_path):
    shy = models.RetinaNet(trained.inputs[0], trained.outputs)
    models.set_info(shy, trained.info)
    layer = shy.get_layer("classification_submodel").get_layer("pyramid_classification")
    before = layer.bias.numpy()
    layer.bias.assign(before - 4)
    models.save_model(shy, tmp_path / "shy.keras")
    layer.bias.assign(before)
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for i in range(2):
        cv2.imwrite(str(photos / f"{i}.png"), rng.integers(0, 256, (64, 96, 3)).astype("uint8"))
    said, out = [], tmp_path / "out"
    options = {"score_threshold": 0.5, "input_size": (64, 96), "calibrate": photos}
    convert.export_file(tmp_path / "shy.keras", out, "saved-model", **options, log=said.append)
    assert said[0].startswith(
        f"compared on 2 photos of {photos}, where the model finds nothing: with a score threshold "
        "of 0: "
    )
    assert open_exported(out).info.filter_settings.score_threshold == 0.5
    assert sorted(os.listdir(tmp_path)) == ["out", "photos", "shy.keras"]


def test_what_the_limit_of_candidates_changes_is_told(snapshot, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_retinanet.export.network.FIXED_TOP_K", 5)
    message = (
        r"out: \d+ of \d+ detections differ .* more than 5 scores of a pyramid level are above"
    )
    with pytest.warns(UserWarning, match=message):
        difference = convert.export_file(
            snapshot, tmp_path / "out", "saved-model", input_size=(64, 96)
        )
    assert difference.unmatched == 0


def test_keras_in_half_precision_is_compared_too(snapshot, tmp_path, monkeypatch):
    said = []
    out = tmp_path / "out" / "half.keras"
    difference = convert.convert_keras_file(
        snapshot, out, precision="bfloat16", score_threshold=0.06, log=said.append
    )
    assert difference.compared > 20
    assert difference.score > 1e-4  # it does compute in half precision
    assert said[0].startswith("compared on 4 drawn pictures: ")
    assert os.listdir(out.parent) == ["half.keras"]
    assert models.load_model(out).info.filter_settings.score_threshold == 0.06
    out.unlink()
    monkeypatch.setattr(convert, "compare", lambda *args: Difference(100, 100, 50))
    with pytest.raises(ValueError, match="half.keras: not written: .* Use float32"):
        convert.convert_keras_file(snapshot, out, precision="bfloat16")
    assert os.listdir(out.parent) == []


def test_nothing_but_an_export_is_replaced(snapshot, tmp_path, monkeypatch):
    photos, link, file = (tmp_path / name for name in ("photos", "link", "file"))
    photos.mkdir()
    (photos / "1.jpg").write_bytes(b"")
    link.symlink_to(photos)
    file.write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(convert, "load_model", None)
    for out in (photos, link, file, ".", ".."):
        with pytest.raises(ValueError, match="expected the name of a new folder"):
            convert.export_file(snapshot, out, "saved-model")
    pytest.importorskip("openvino")
    (tmp_path / "m.xml").mkdir()
    with pytest.raises(ValueError, match="m.xml: expected the name of a file"):
        convert.export_file(snapshot, tmp_path / "m.xml", "openvino")


def test_an_xml_file_never_stands_beside_the_weights_of_another(tmp_path, monkeypatch):
    (tmp_path / "m.xml").write_text("old")
    (tmp_path / "m.bin").write_text("old")

    def killed(source, target):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), convert._replacing(tmp_path / "m.xml") as written:
        written.write_text("new")
        written.with_suffix(".bin").write_text("new")
        monkeypatch.setattr(convert.os, "replace", killed)
    assert os.listdir(tmp_path) == ["m.bin"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("saved-model", {"precision": "int8"}, "saved-model has float32 only"),
        ("onnx", {"precision": "bfloat16"}, "onnx has float32, float16, int8 only"),
        ("litert", {}, "give --input-size"),
        ("openvino", {"precision": "int8"}, "int8 needs --calibrate"),
        ("keras", {}, "written by models.conversion.convert_file"),
        ("tflite", {}, "one of keras, h5, "),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_model_is_loaded(name, options, message):
    with pytest.raises(ValueError, match=message):
        convert.export_file("no such file", "out", name, **options)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(convert.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"openvino, .*pip install 'keras-retinanet\[open"):
        convert.export_file("model.keras", "out.xml", "openvino")


def test_another_model_of_keras_is_named(tmp_path):
    import keras

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "other.keras")
    with (
        warnings.catch_warnings(),
        pytest.raises(ValueError, match="other.keras: expected a train"),
    ):
        warnings.simplefilter("ignore")
        convert.export_file(tmp_path / "other.keras", tmp_path / "out", "saved-model")
