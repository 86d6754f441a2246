import pytest

from tests.export.formats import batches, check

pytest.importorskip("ai_edge_litert")
SIZE = (64, 96)


@pytest.mark.parametrize("options", [{}, {"is_raw": True}, {"precision": "float16"}])
def test_finds_what_the_model_finds(lively, images, tmp_path, options):
    from keras_retinanet.export.litert import write

    check(write, lively, images, tmp_path / "model.tflite", input_size=SIZE, **options)


def test_whole_numbers(lively, images, tmp_path):
    pytest.importorskip("ai_edge_quantizer")
    from keras_retinanet.export.litert import write

    path = tmp_path / "model.tflite"
    numbers = {"precision": "int8", "calibration": batches(images)}
    check(write, lively, images, path, input_size=SIZE, **numbers)
