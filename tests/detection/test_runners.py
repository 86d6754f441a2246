"""Invalid files of each runtime; tests/export has valid ones."""

import os
import zipfile

import numpy as np
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
    add_record(path)


def add_record(path):
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "keras_retinanet.json").write_text(RECORD.to_json())


def with_entity_bomb(path):
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 20))
    path.write_text(f'<!DOCTYPE net [<!ENTITY a0 "x">{entities}]><net>&a19;</net>')


def with_large_defaults(path):
    """Each element has an attribute of a megabyte, by its document type."""
    default = f'<!ATTLIST a b CDATA "{"x" * 2**20}">'
    path.write_text(f"<!DOCTYPE net [{default}]><net>{'<a/>' * 1000}</net>")


def with_many_elements(path):
    path.write_text(f"<net>{'<a/>' * runners.MAX_XML_ELEMENTS}</net>")


def with_unknown_encoding(path):
    path.write_text('<?xml version="1.0" encoding="shift_jis"?><net/>')


def with_zip_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("keras_retinanet.json", b" " * 2**28)


HOSTILE = {
    "text.onnx": (lambda path: path.write_text("text"), "expected an ONNX file"),
    "text.xml": (lambda path: path.write_text("text"), "expected an XML file of OpenVINO"),
    "other.xml": (lambda path: path.write_text("<html/>"), "of OpenVINO, got one of <html>"),
    "bare.xml": (lambda path: path.write_text("<net/>"), "expected a model that retinanet-conv"),
    "bomb.xml": (with_entity_bomb, "expected an XML file of OpenVINO"),
    "defaults.xml": (with_large_defaults, "got another file .expected no document type"),
    "elements.xml": (with_many_elements, "expected at most 500000 elements, got more"),
    "encoding.xml": (with_unknown_encoding, "expected an XML file of OpenVINO"),
    "large.xml": (lambda path: path.write_bytes(b" " * 2**24), "expected a file of at most"),
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


def test_a_saved_model_that_writes_files_as_it_is_opened_is_refused(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        write = tf.raw_ops.SaveV2(
            prefix=str(tmp_path / "written"),
            tensor_names=["a"],
            shape_and_slices=[""],
            tensors=[[1.0]],
        )
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(session, ["serve"], main_op=write)
        builder.save()
    add_record(tmp_path / "model")
    with pytest.raises(ValueError, match="model: expected one graph with its objects"):
        open_exported(tmp_path / "model")
    assert not list(tmp_path.glob("written*"))


def tflite(path):
    """A file with our record, and no network."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("keras_retinanet.json", RECORD.to_json())
    return path


def test_a_runtime_that_is_not_installed_is_named_with_its_command(tmp_path, monkeypatch):
    def fail(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(runners.importlib, "import_module", fail)
    with pytest.raises(ValueError, match=r"m.tflite: .*pip install ai-edge-litert \(No module"):
        open_exported(tflite(tmp_path / "m.tflite"))


def test_what_a_runtime_says_of_a_damaged_file_names_the_file(tmp_path):
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(ValueError, match=r"m.tflite: cannot be loaded: "):
        open_exported(tflite(tmp_path / "m.tflite"))


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.tflite")
    with pytest.raises(ValueError, match="got a FIFO"):
        open_exported(tmp_path / "m.tflite")


def test_the_network_of_another_model_is_refused(tmp_path):
    saved_model(tmp_path / "model")
    with pytest.raises(ValueError, match="from images to boxes, scores, labels, .* to boxes$"):
        open_exported(tmp_path / "model")


def test_a_fork_of_the_process_that_loaded_a_file_is_told_so(tmp_path, monkeypatch):
    saved_model(tmp_path / "model", lambda images: dict.fromkeys(runners.OUTPUTS, images))
    runner = open_exported(tmp_path / "model")
    assert len(runner.run(np.zeros(2, "float32"))) == 3
    monkeypatch.setattr(runners.os, "getpid", lambda: 1)
    with pytest.raises(RuntimeError, match="load it in each worker"):
        runner.run(np.zeros(2, "float32"))
