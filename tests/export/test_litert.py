import pytest

from tests.export.formats import CASES, batches, check

pytest.importorskip("ai_edge_litert")
FIXED = {"input_size": (64, 96), "one_image": True}


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_finds_what_the_model_finds(trained_models, images, tmp_path, kind, options):
    from keras_retinanet.export.litert import write

    check(write, trained_models[kind], images, tmp_path / "model.tflite", **{**FIXED, **options})


def test_half_precision(trained, images, tmp_path):
    from keras_retinanet.export.litert import write

    check(write, trained, images, tmp_path / "model.tflite", precision="float16", **FIXED)


def test_eight_bits(trained, images, tmp_path):
    pytest.importorskip("ai_edge_quantizer")
    from keras_retinanet.export.litert import write

    path = tmp_path / "model.tflite"
    numbers = {"precision": "int8", "calibration": batches(images)}
    check(write, trained, images, path, **FIXED, **numbers)
    assert b"_quant" in path.read_bytes() or b"requant" in path.read_bytes()
