import json
import subprocess
import sys

import numpy as np
import pytest

from tests.export.formats import CASES, batches, check, network_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_finds_what_the_model_finds(trained_models, images, tmp_path, kind, options):
    from keras_retinanet.export.onnx import write

    path = tmp_path / "model.onnx"
    check(write, trained_models[kind], images, path, **options)
    graph = onnx.load(path).graph
    assert [one.name for one in graph.input] == ["images"]
    sides = [one.dim_value for one in graph.input[0].type.tensor_type.shape.dim]
    assert sides == [0, *options.get("input_size", (0, 0)), 3]  # 0: any
    names = {"boxes", "scores"} if "is_raw" in options else {"boxes", "scores", "labels"}
    assert {one.name for one in graph.output} == names


def test_half_precision_stores_the_kernels_in_two_bytes(trained, images, tmp_path):
    from keras_retinanet.export.onnx import write

    path = tmp_path / "model.onnx"
    check(write, trained, images, path, precision="float16")
    kinds = {one.data_type for one in onnx.load(path).graph.initializer if np.prod(one.dims) > 1000}
    assert kinds == {onnx.TensorProto.FLOAT16}


def test_eight_bits(trained, images, tmp_path):
    from keras_retinanet.export.onnx import write

    path = tmp_path / "model.onnx"
    check(write, trained, images, path, precision="int8", calibration=batches(images))
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(path).graph.node}


def test_a_file_is_run_without_tensorflow(trained, images, tmp_path):
    from keras_retinanet.export.onnx import write

    write(network_of(trained), str(tmp_path / "model.onnx"))
    np.save(tmp_path / "image.npy", images[0])
    code = (
        "import json, sys, numpy\n"
        "from keras_retinanet import Detector\n"
        "found = Detector.load('model.onnx')(numpy.load('image.npy'), score_threshold=0.1)\n"
        "there = [name for name in ('tensorflow', 'keras') if name in sys.modules]\n"
        "print(json.dumps([len(found), there]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    count, there = json.loads(done.stdout.splitlines()[-1])
    assert count > 5
    assert there == []
