import pytest

from tests.export.formats import batches, check

pytest.importorskip("openvino")


@pytest.mark.parametrize("options", [{}, {"is_raw": True}, {"precision": "float16"}])
def test_finds_what_the_model_finds(lively, images, tmp_path, options):
    from keras_retinanet.export.openvino import write

    check(write, lively, images, tmp_path / "model.xml", **options)


def test_whole_numbers(lively, images, tmp_path):
    pytest.importorskip("nncf")
    from keras_retinanet.export.openvino import write

    path = tmp_path / "model.xml"
    check(write, lively, images, path, precision="int8", calibration=batches(images))
    assert "FakeQuantize" in path.read_text()
