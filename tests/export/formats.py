"""What each format has to do, whatever its runtime."""

from dataclasses import replace

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


# What was built so far: (model, options) -> network. To trace it takes seconds.
_NETWORKS = {}


def network_of(model, precision="float32", **options):
    """Return the network to export of a model of the session's."""
    key = (id(model), *options.items())
    if key not in _NETWORKS:
        _NETWORKS[key] = build(model, **options)
    network = _NETWORKS[key]
    return replace(network, record=replace(network.record, precision=precision))


# The same for what the exact model finds.
_FOUND = {}


def expected_of(network, images):
    """Return what the exact model finds on the images of the session."""
    key = (id(network.exact), network.record.input_size)
    if key not in _FOUND:
        _FOUND[key] = exact_detector(network).detect(images, max_detections=300)
    return _FOUND[key]


def check(write, model, images, path, *, calibration=(), **options):
    """Write a network, and compare what its file finds with the exact model; return the runner."""
    network = network_of(model, **options)
    write(network, str(path), calibration)
    runner = open_exported(path)
    assert runner.record == network.record
    expected = expected_of(network, images)
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
