import json

import numpy as np
import pytest

from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.models.info import ModelInfo, initial_info

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
)


@pytest.mark.parametrize(
    "details", [FULL, ModelInfo("resnet50", 80), ModelInfo("a", 1, anchors=None)]
)
def test_round_trip_through_json(details):
    restored = ModelInfo.from_dict(json.loads(json.dumps(details.to_dict())))
    assert restored == details
    assert isinstance(restored.pyramid_levels, tuple)


def test_defaults_are_those_of_keras_retinanet():
    details = ModelInfo("resnet50", 80)
    assert details.anchors == AnchorParameters.default
    assert details.pyramid_levels == (3, 4, 5, 6, 7)
    assert (details.image_min_side, details.image_max_side) == (800, 1333)


def test_normalises_as_it_was_trained():
    image = np.array([[[255, 127.5, 0]]], "float32")
    np.testing.assert_allclose(FULL.preprocess_image(image), [[[1, 0, -1]]])


def test_refuses_names_that_do_not_fit_the_classes():
    with pytest.raises(ValueError, match="expected 3 class names.*got 2: a, b"):
        ModelInfo("resnet50", 3, class_names=("a", "b"))


@pytest.mark.parametrize("values", [{"backbone": "resnet50"}, {**FULL.to_dict(), "colour": 1}])
def test_refuses_what_is_no_details(values):
    with pytest.raises(ValueError, match="no details of a snapshot"):
        ModelInfo.from_dict(values)


def test_first_details_know_the_anchors_only_where_the_papers_fit():
    assert initial_info("resnet50", "caffe", 3) == ModelInfo("resnet50", 3)
    assert initial_info("resnet50", "caffe", 3, num_anchors=6).anchors is None
    assert initial_info("resnet50", "caffe", 3, pyramid_levels=[2, 3, 4, 5]).anchors is None
