import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import Detector
from keras_retinanet.export.check import Tolerance, compare
from keras_retinanet.export.saved_model import write
from tests.export.formats import CASES, check, network_of


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_finds_what_the_model_finds(trained_models, images, tmp_path, kind, options):
    runner = check(write, trained_models[kind], images, tmp_path / "model", **options)
    stored = tf.train.list_variables(str(tmp_path / "model" / "variables" / "variables"))
    weights = [name for name, shape in stored if shape]
    assert len(weights) == len(network_of(trained_models[kind], **options).model.weights)
    assert ("serve_bytes" in runner._model.signatures) == ("is_raw" not in options)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_files_of_any_sizes_become_boxes_in_their_pixels(trained, images, tmp_path, ending):
    network = network_of(trained)
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
