"""What each format has to do, whatever its runtime."""

import numpy as np
import pytest

from keras_retinanet.detection.detector import Detector
from keras_retinanet.detection.runners import open_exported
from keras_retinanet.export.check import TOLERANCES, compare
from keras_retinanet.export.convert import exact_detector
from keras_retinanet.export.network import build

# Kind of network, settings of the export: together they take every way through a format.
CASES = [
    pytest.param("own", {}, id="own"),
    pytest.param("torchvision v1", {"class_specific_filter": False}, id="torchvision"),
    pytest.param("detectron2", {"is_raw": True, "input_size": (64, 96)}, id="detectron2"),
]


def check(write, model, images, path, *, calibration=(), **options):
    """Write a network, and compare what its file finds with the exact model; return the runner."""
    network = build(model, **options)
    write(network, str(path), calibration)
    runner = open_exported(path)
    assert runner.record == network.record
    expected = exact_detector(network).detect(images, max_detections=300)
    tolerance = TOLERANCES[network.record.precision]
    found = Detector(runner).detect(images, max_detections=300)
    difference = compare(expected, found, tolerance, 0.05)
    assert difference.compared > 20
    assert difference.is_within(tolerance), difference
    return runner


def batches(images, size=None):
    """Images as batches of one, for the calibration of int8."""
    height, width = size or (64, 96)
    return [np.ascontiguousarray(np.resize(image, (1, height, width, 3))) for image in images * 4]
