"""What each format has to do, whatever its runtime."""

import numpy as np

from keras_retinanet.detection.detector import Detector
from keras_retinanet.detection.runners import open_exported
from keras_retinanet.export.check import TOLERANCES, compare
from keras_retinanet.export.convert import exact_detector
from keras_retinanet.export.network import build


def check(write, lively, images, path, *, calibration=(), **options):
    """Write a network, and compare what its file finds with the exact model; return the runner."""
    network = build(lively, **options)
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
    """Images as batches of one, for the calibration of whole numbers."""
    height, width = size or (64, 96)
    return [np.ascontiguousarray(np.resize(image, (1, height, width, 3))) for image in images * 4]
