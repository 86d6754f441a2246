import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_retinanet.geometry.filter_settings import FilterSettings, given_settings

OTHERS = {
    "nms": False,
    "class_specific_filter": False,
    "nms_threshold": 0.1,
    "score_threshold": 0.2,
    "max_detections": 3,
    "parallel_iterations": 4,
    "pre_nms_top_k": 5,
    "fixed_shapes": True,
}


def test_defaults_are_those_of_keras_retinanet():
    assert FilterSettings().to_dict() == {
        "nms": True,
        "class_specific_filter": True,
        "nms_threshold": 0.5,
        "score_threshold": 0.05,
        "max_detections": 300,
        "parallel_iterations": 32,
        "pre_nms_top_k": None,
        "clip": "pixels",
        "drop_empty": False,
        "fixed_shapes": False,
    }


@pytest.mark.parametrize("settings", [FilterSettings(), FilterSettings(**OTHERS)])
def test_round_trip_through_json(settings):
    assert FilterSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_numpy_numbers_become_plain_ones():
    settings = FilterSettings(nms_threshold=np.float32(0.5), max_detections=np.int64(7))
    assert json.loads(json.dumps(settings.to_dict()))["max_detections"] == 7
    assert FilterSettings.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"nms_threshold": 1.5}, "nms_threshold: expected 0 to 1, got 1.5"),
        ({"nms_threshold": float("nan")}, "nms_threshold: expected 0 to 1, got nan"),
        ({"max_detections": -1}, "max_detections: expected an integer of at least 0, got -1"),
        ({"max_detections": 2.0}, "max_detections: expected an integer of at least 0, got 2.0"),
        ({"pre_nms_top_k": 0}, "pre_nms_top_k: expected an integer of at least 1, got 0"),
        ({"pre_nms_top_k": 0.5}, "pre_nms_top_k: expected an integer of at least 1, got 0.5"),
    ],
)
def test_refuses_what_tensorflow_cannot_do(settings, text):
    with pytest.raises(ValueError, match=text):
        FilterSettings(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"nms": False, "nms_threshold": 1.5},  # not used
        {"score_threshold": -1},  # keeps all
        {"score_threshold": 2},  # keeps none
        {"max_detections": 0},
        {"pre_nms_top_k": 1},
        {"parallel_iterations": None},  # TensorFlow's own default
        {"nms_threshold": tf.constant(0.5), "max_detections": tf.constant(7)},
    ],
)
def test_takes_all_that_works(settings):
    FilterSettings(**settings)


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="expected filter settings: .*'iou'"):
        FilterSettings.from_dict({"iou": 0.5})


def test_given_settings_are_found_among_other_values():
    config = {"name": "filtered_detections", "dtype": "float32", **OTHERS}
    assert given_settings(config) == OTHERS
    options = {"model_in": "a.h5", "nms": False, "score_threshold": 0.0, "max_detections": None}
    assert given_settings(options) == {"nms": False, "score_threshold": 0.0}


def test_the_module_itself_needs_no_tensorflow():
    # Imported by its path: the package `layers` does need it.
    code = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('settings', sys.argv[1])\n"
        "module = sys.modules['settings'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "assert module.FilterSettings().nms and 'tensorflow' not in sys.modules\n"
    )
    path = sys.modules[FilterSettings.__module__].__file__
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "values", [{"nms_threshold": 10**400}, {"max_detections": -(10**400)}, {"x" * 10**5: 1}]
)
def test_errors_about_settings_are_short(values):
    with pytest.raises(ValueError) as error:
        FilterSettings.from_dict(values)
    assert len(str(error.value)) < 300


def test_refuses_an_unknown_way_to_clip():
    with pytest.raises(ValueError, match="clip: expected one of pixels, edges, last"):
        FilterSettings(clip="first")
