import pytest

from keras_retinanet.detection.formats import (
    HDF5,
    KERAS,
    LITERT,
    ONNX,
    OPENVINO,
    SAVED_MODEL,
    exported_format,
    format_by_ending,
    format_named,
    model_files,
    runs_in_tensorflow,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("m.keras", KERAS),
        ("m.h5", HDF5),
        ("m.hdf5", HDF5),
        ("m.onnx", ONNX),
        ("a.b/m.xml", OPENVINO),
        ("m.tflite", LITERT),
        ("a/m", SAVED_MODEL),
        ("models/v1.0/", SAVED_MODEL),
        ("m.txt", None),
        ("m.XML", OPENVINO),
        ("m.ONNX", ONNX),
        ("m.H5", HDF5),
    ],
)
def test_files_are_known_by_their_endings(path, expected):
    assert format_by_ending(path) == expected
    is_exported = expected in (ONNX, OPENVINO, LITERT)
    assert exported_format(path) == (expected if is_exported else None)  # no such folder
    assert runs_in_tensorflow(path) != is_exported


def test_a_folder_is_a_saved_model_if_it_holds_its_graph(tmp_path):
    folder = tmp_path / "looks.onnx"
    folder.mkdir()
    assert exported_format(folder) is None
    (folder / "saved_model.pb").write_bytes(b"")
    assert exported_format(folder) == SAVED_MODEL
    assert runs_in_tensorflow(folder)


def test_formats_have_names():
    assert format_named("litert") == LITERT
    with pytest.raises(ValueError, match="one of keras, h5, saved-model, .*got tflite"):
        format_named("tflite")


def test_files_that_belong_to_a_model(tmp_path):
    assert model_files("m.keras") == ["m.keras"]
    assert model_files("a.b/m.xml") == ["a.b/m.xml", "a.b/m.bin"]
    names = ("saved_model.pb", "variables/variables.index")
    (tmp_path / "variables").mkdir()
    for name in names:
        (tmp_path / name).touch()
    assert sorted(model_files(tmp_path)) == [str(tmp_path / name) for name in names]
