"""examples/forked_workers.py, as it is run from a shell."""

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from keras_retinanet.export.network import build
from tests.export.conftest import finding_retinanet

pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")
EXAMPLE = Path(__file__).parents[1] / "examples" / "forked_workers.py"


def test_each_worker_loads_the_model(tmp_path):
    from keras_retinanet.export.onnx import write

    write(build(finding_retinanet()), str(tmp_path / "m.onnx"))
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(
            str(tmp_path / name), cv2.imread(str(EXAMPLE.parents[1] / "docs/detections.jpg"))
        )
    done = subprocess.run(
        [sys.executable, EXAMPLE, tmp_path / "m.onnx", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        str(tmp_path / name) for name in ("a.png", "b.jpg")
    ]
