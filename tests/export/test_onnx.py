import pytest

from tests.export.formats import batches, check

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")


def test_finds_what_the_model_finds(lively, images, tmp_path):
    from keras_retinanet.export.onnx import write

    runner = check(write, lively, images, tmp_path / "model.onnx")
    (given,) = runner._session.get_inputs()
    assert (given.name, given.type) == ("images", "tensor(uint8)")
    assert not any(isinstance(side, int) for side in given.shape[:3])
    assert {output.name for output in runner._session.get_outputs()} == {
        "boxes",
        "scores",
        "labels",
    }


def test_raw_boxes_and_scores_are_filtered_outside(lively, images, tmp_path):
    from keras_retinanet.export.onnx import write

    check(write, lively, images, tmp_path / "model.onnx", is_raw=True)


def test_half_precision_takes_half_the_room(lively, images, tmp_path):
    from keras_retinanet.export.onnx import write

    sizes = []
    for precision in ("float32", "float16"):
        path = tmp_path / f"{precision}.onnx"
        check(write, lively, images, path, precision=precision)
        sizes.append(path.stat().st_size)
    assert sizes[1] < sizes[0]


def test_whole_numbers(lively, images, tmp_path):
    from keras_retinanet.export.onnx import write

    path = tmp_path / "model.onnx"
    check(write, lively, images, path, precision="int8", calibration=batches(images))
    import onnx

    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert "QuantizeLinear" in kinds
