import pytest

from tests.export.formats import CASES, batches, check

pytest.importorskip("openvino")


# Our own kind of model is in `test_half_precision`, and, through the command's function, in
# `test_convert.py`: OpenVINO takes the longest of all to write and to load.
@pytest.mark.parametrize(("kind", "options"), CASES[1:])
def test_finds_what_the_model_finds(trained_models, images, tmp_path, kind, options):
    from keras_retinanet.export.openvino import write

    check(write, trained_models[kind], images, tmp_path / "model.xml", **options)


def test_half_precision(trained, images, tmp_path):
    from keras_retinanet.export.openvino import write

    path = tmp_path / "model.xml"
    check(write, trained, images, path, precision="float16")
    assert 'element_type="f16"' in path.read_text()


def test_eight_bits(trained, images, tmp_path):
    pytest.importorskip("nncf")
    from keras_retinanet.export.openvino import write

    path = tmp_path / "model.xml"
    check(write, trained, images, path, precision="int8", calibration=batches(images))
    assert "FakeQuantize" in path.read_text()
