import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import Detector
from keras_retinanet.export.check import Tolerance, compare
from keras_retinanet.export.network import build
from keras_retinanet.export.saved_model import write
from tests.export.formats import check


def test_finds_what_the_model_finds(lively, images, tmp_path):
    check(write, lively, images, tmp_path / "model")


def test_raw_boxes_and_scores_are_filtered_outside(lively, images, tmp_path):
    runner = check(write, lively, images, tmp_path / "model", is_raw=True)
    assert "serve_bytes" not in runner._model.signatures


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_files_of_any_sizes_become_boxes_in_their_pixels(lively, images, tmp_path, ending):
    network = build(lively)
    write(network, str(tmp_path / "model"))
    serve = tf.saved_model.load(str(tmp_path / "model")).signatures["serve_bytes"]
    larger = [cv2.resize(image, None, fx=2, fy=2) for image in images]
    files = [cv2.imencode(ending, image)[1].tobytes() for image in larger]
    read = [cv2.imdecode(np.frombuffer(data, "uint8"), cv2.IMREAD_COLOR) for data in files]
    outputs = {name: values.numpy() for name, values in serve(images=tf.constant(files)).items()}
    found = []
    for boxes, scores, labels in zip(
        *(outputs[n] for n in ("boxes", "scores", "labels")), strict=True
    ):
        kept = labels >= 0
        found.append(Detections(boxes[kept], scores[kept], labels[kept]))
    # Pixels are rounded otherwise by OpenCV.
    tolerance = Tolerance(score=0.02, pixels=2, of_side=0.03, unmatched=0.1)
    difference = compare(Detector(network.exact).detect(read), found, tolerance, 0.05)
    assert difference.compared > 20
    assert difference.is_within(tolerance), difference
