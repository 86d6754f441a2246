import json
from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet import losses
from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.geometry.coders import CornerCoder
from keras_retinanet.geometry.filter_settings import FilterSettings
from keras_retinanet.model_info import BOX_LOSSES, ModelInfo, initial_info

FULL = ModelInfo(
    backbone="resnet101",
    num_classes=2,
    class_names=("cat", None),
    anchors=AnchorParameters([8], [4], [0.5, 1.5], [1.0]),
    pyramid_levels=(2, 3, 4, 5),
    normalisation="tf",
    image_min_side=240,
    image_max_side=320,
    no_resize=True,
    coder=CornerCoder((0.1, 0, 0, 0), (0.1, 0.1, 0.2, 0.2)),
    filter_settings=FilterSettings(nms=False, max_detections=7, pre_nms_top_k=1000),
)


@pytest.mark.parametrize("info", [FULL, ModelInfo("resnet50", 80), ModelInfo("a", 1, anchors=None)])
def test_round_trip_through_json(info):
    restored = ModelInfo.from_dict(json.loads(json.dumps(info.to_dict())))
    assert restored == info
    assert isinstance(restored.pyramid_levels, tuple)


def test_what_a_file_lacks_has_its_default():
    """Files written before there were coders and filter settings in the info."""
    values = FULL.to_dict()
    del values["coder"], values["filter_settings"]
    restored = ModelInfo.from_dict(values)
    assert restored == replace(FULL, coder=CornerCoder(), filter_settings=FilterSettings())


def test_defaults_are_those_of_keras_retinanet():
    info = ModelInfo("resnet50", 80)
    assert info.anchors == AnchorParameters.default
    assert info.pyramid_levels == (3, 4, 5, 6, 7)
    assert (info.image_min_side, info.image_max_side) == (800, 1333)
    assert info.coder == CornerCoder([0] * 4, [0.2] * 4)


def test_normalises_as_it_was_trained():
    image = np.array([[[255, 127.5, 0]]], "float32")
    np.testing.assert_allclose(FULL.preprocess_image(image), [[[1, 0, -1]]], atol=2e-7)


def test_refuses_names_that_do_not_fit_the_classes():
    with pytest.raises(ValueError, match="expected 3 class names.*got 2: a, b"):
        ModelInfo("resnet50", 3, class_names=("a", "b"))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"backbone": "resnet50"}, "expected the info of a model.*num_classes"),
        ({**FULL.to_dict(), "colour": 1}, "expected the info of a model.*colour"),
        ({**FULL.to_dict(), "coder": {"kind": "middle"}}, "box coder.*'middle'"),
        ({**FULL.to_dict(), "filter_settings": {"iou": 1}}, "expected filter settings.*iou"),
    ],
)
def test_refuses_other_values(values, text):
    with pytest.raises(ValueError, match=text):
        ModelInfo.from_dict(values)


def test_initial_info_has_anchors_only_where_the_papers_fit():
    assert initial_info("resnet50", "caffe", 3) == ModelInfo("resnet50", 3)
    assert initial_info("resnet50", "caffe", 3, num_anchors=6).anchors is None
    assert initial_info("resnet50", "caffe", 3, pyramid_levels=[2, 3, 4, 5]).anchors is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("backbone", [None, 5, ["resnet50"], {}]),
        ("num_classes", ["x", None, -1, 10**12, 1.5, True, []]),
        ("class_names", [7, "ab", {"a": 1}, [1, 2], [["a"], "b"]]),
        ("anchors", [[], 5, {}, {"sizes": 1}, {**FULL.anchors.to_dict(), "sizes": []}]),
        ("anchors", [{**FULL.anchors.to_dict(), "strides": [1, 2]}]),
        ("anchors", [{**FULL.anchors.to_dict(), "ratios": [x]} for x in (0, -1, "x", 1e30, None)]),
        ("anchors", [{**FULL.anchors.to_dict(), "scales": [float("nan")]}]),
        ("pyramid_levels", [5, None, "345", [3, 3], [3, "4"], [10**9], [-3], [3.0]]),
        ("normalisation", [None, 3, ["tf"]]),
        ("image_min_side", [0, -5, "800", None, 10**12, 2.5]),
        ("image_max_side", [0, -5, "800", None, 10**12, 2.5]),
        ("no_resize", [None, 1, "no"]),
        ("coder", [None, 5, [], {}, {"kind": "corner", "mean": 5}]),
        ("coder", [{"kind": "corner", "std": [1, 1, 1, x]} for x in ("x", None, float("inf"))]),
        ("filter_settings", [None, 5, [], {"max_detections": "x"}, {"max_detections": 10**12}]),
        ("filter_settings", [{"nms_threshold": []}, {"score_threshold": float("nan")}]),
    ],
)
def test_refuses_values_of_another_kind(name, values):
    for value in values:
        with pytest.raises(ValueError, match=name) as caught:
            ModelInfo.from_dict({**FULL.to_dict(), name: value})
        assert len(str(caught.value)) < 250


def test_refuses_what_is_no_dictionary():
    for values in ([], 5, "x", None, [["backbone", "resnet50"]]):
        with pytest.raises(ValueError, match="expected the info of a model"):
            ModelInfo.from_dict(values)


def test_long_values_are_cut_in_the_error():
    with pytest.raises(ValueError, match="class_names: expected a list of names") as caught:
        ModelInfo.from_dict({**FULL.to_dict(), "class_names": ["a"] * 10**6 + [5]})
    assert len(str(caught.value)) < 250


def test_known_classes_are_those_with_a_name():
    assert ModelInfo("resnet50", 2).known_classes() is None
    assert ModelInfo("resnet50", 3, ("cat", None, "dog")).known_classes() == {"cat": 0, "dog": 2}


def test_box_losses_are_those_that_exist():
    assert tuple(losses.BOX_LOSSES) == BOX_LOSSES
