import pytest

from keras_retinanet.detection.formats import FOLDER, exported_format, runs_in_tensorflow


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("m.onnx", ".onnx"),
        ("m.XML", ".xml"),
        ("m.tflite", ".tflite"),
        ("m.keras", None),
        ("m", None),
    ],
)
def test_files_are_known_by_their_ending(name, kind):
    assert exported_format(name) == kind
    assert runs_in_tensorflow(name) == (kind is None)


def test_a_folder_is_a_saved_model_if_it_holds_its_graph(tmp_path):
    folder = tmp_path / "looks.onnx"
    folder.mkdir()
    assert exported_format(folder) is None
    (folder / "saved_model.pb").write_bytes(b"")
    assert exported_format(folder) == FOLDER
    assert runs_in_tensorflow(folder)
