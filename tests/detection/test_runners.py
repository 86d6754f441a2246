"""Files of each runtime that are none; export/ has those that are."""

import builtins
import json
import subprocess
import sys
import zipfile

import pytest
import tensorflow as tf

from keras_retinanet.detection import runners
from keras_retinanet.detection.exported import ExportRecord
from keras_retinanet.detection.runners import open_exported
from keras_retinanet.model_info import ModelInfo

RECORD = ExportRecord(ModelInfo("resnet50", 2, ("cat", "dog"), normalisation="network"))


def saved_model(path, function=lambda images: {"boxes": images}):
    """A SavedModel with a record."""
    holder = tf.Module()
    holder.serve = tf.function(function, input_signature=[tf.TensorSpec((None,), name="images")])
    tf.saved_model.save(holder, str(path), signatures={"serve": holder.serve})
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "keras_retinanet.json").write_text(RECORD.to_json())


def with_entity_bomb(path):
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 20))
    path.write_text(f'<!DOCTYPE net [<!ENTITY a0 "x">{entities}]><net>&a19;</net>')


def with_zip_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("keras_retinanet.json", b" " * 2**28)


HOSTILE = {
    "text.onnx": (lambda path: path.write_text("text"), "expected an ONNX file"),
    "text.xml": (lambda path: path.write_text("text"), "expected an XML file of OpenVINO"),
    "other.xml": (lambda path: path.write_text("<html/>"), "of OpenVINO, got one of <html>"),
    "bare.xml": (lambda path: path.write_text("<net/>"), "expected a model that retinanet-conv"),
    "bomb.xml": (with_entity_bomb, "expected an XML file of OpenVINO"),
    "text.tflite": (lambda path: path.write_text("text"), "expected a model that retinanet-conv"),
    "bomb.tflite": (with_zip_bomb, "its metadata is damaged: expected at most"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_are_none_are_named_before_a_runtime_sees_them(tmp_path, name, monkeypatch):
    make, message = HOSTILE[name]
    make(tmp_path / name)
    monkeypatch.setattr(runners, "_import", None)
    with pytest.raises(ValueError, match=f"{name}: .*{message}"):
        open_exported(tmp_path / name)


@pytest.mark.parametrize("ending", [".onnx", ".xml", ".tflite"])
def test_missing_files_are_named(tmp_path, ending):
    with pytest.raises(FileNotFoundError, match=f"gone{ending}"):
        open_exported(tmp_path / f"gone{ending}")


def test_other_files_are_no_exports(tmp_path):
    with pytest.raises(ValueError, match="expected an exported model: a file that ends in"):
        open_exported(tmp_path / "model.keras")


def test_a_saved_model_of_others_is_refused(tmp_path):
    saved_model(tmp_path / "model")
    record = tmp_path / "model" / "assets.extra" / "keras_retinanet.json"
    record.unlink()
    with pytest.raises(ValueError, match="expected a model that retinanet-convert-model exported"):
        open_exported(tmp_path / "model")


def test_a_saved_model_that_is_a_program_is_not_loaded(tmp_path, monkeypatch):
    target = tmp_path / "written"

    def evil(images):
        tf.io.write_file(str(target), "evil")
        return {"boxes": images}

    saved_model(tmp_path / "model", evil)
    monkeypatch.setattr(tf.saved_model, "load", None)
    with pytest.raises(ValueError, match="got a program that uses WriteFile"):
        open_exported(tmp_path / "model")
    assert not target.exists()


def test_a_damaged_graph_is_named(tmp_path):
    saved_model(tmp_path / "model")
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"\xff" * 99)
    with pytest.raises(ValueError, match="model: saved_model.pb is damaged"):
        open_exported(tmp_path / "model")


def test_a_runtime_that_is_not_installed_is_named_with_its_command(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "m.tflite", "w") as archive:
        archive.writestr("keras_retinanet.json", RECORD.to_json())

    def without(name, *args, **kwargs):
        if name.startswith("ai_edge_litert"):
            raise ImportError("No module named 'ai_edge_litert'")
        return importer(name, *args, **kwargs)

    importer = builtins.__import__
    monkeypatch.setattr(
        runners.importlib, "import_module", lambda name: without(name) and sys.modules[name]
    )
    with pytest.raises(ValueError, match=r"pip install 'keras-retinanet\[litert\]'"):
        open_exported(tmp_path / "m.tflite")


def test_nothing_but_a_saved_model_imports_tensorflow(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.tflite", "w") as archive:
        archive.writestr("keras_retinanet.json", RECORD.to_json())
    code = (
        "import sys, json\n"
        "from keras_retinanet import Detector\n"
        "try: Detector.load('m.tflite')\n"
        "except ValueError as error: pass\n"
        "print(json.dumps([name for name in ('tensorflow', 'keras') if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []
