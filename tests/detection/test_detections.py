"""detections: the best of them, and the form of COCO files."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from keras_retinanet.detection.detections import Detections, coco_ground_truth, coco_results
from tests.fakes import truth


def detections(*rows):
    """Detections from rows of label, score, x1, y1, x2, y2."""
    table = np.array(rows, "float64").reshape(-1, 6)
    return Detections(table[:, 2:], table[:, 1], table[:, 0].astype(int))


def test_best_keeps_the_first():
    found = detections((0, 0.9, 0, 0, 1, 1), (1, 0.8, 0, 0, 2, 2))
    assert (len(found), len(found.best(1)), len(found.best(None))) == (2, 1, 2)
    assert found.best(1).labels.tolist() == [0]
    with pytest.raises(ValueError, match="at least 0, got -1"):
        found.best(-1)


def test_above_leaves_out_the_threshold_itself():
    found = detections((0, 0.9, 0, 0, 1, 1), (1, 0.8, 0, 0, 2, 2), (2, 0.5, 0, 0, 3, 3))
    assert found.above(0.8).labels.tolist() == [0]
    assert found.above(0.5).boxes.tolist() == [[0, 0, 1, 1], [0, 0, 2, 2]]
    assert len(found.above(0.9)) == len(Detections.empty().above(0)) == 0


def test_coco_form_of_any_data_set():
    boxes = [truth((10, 20, 30, 60, 2)), truth()]
    made = coco_ground_truth(boxes, [(100, 200), (50, 60)], {0: "cat", 2: "dog"})
    assert made == {
        "images": [{"id": 0, "height": 100, "width": 200}, {"id": 1, "height": 50, "width": 60}],
        "annotations": [
            {
                "id": 1,
                "image_id": 0,
                "category_id": 2,
                "bbox": [10, 20, 20, 40],
                "area": 800,
                "iscrowd": 0,
            }
        ],
        "categories": [{"id": 0, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    json.dumps(made)
    assert coco_ground_truth(boxes, None, ["a", "b", "c"])["images"][1] == {"id": 1}
    with pytest.raises(ValueError, match="shorter"):
        coco_ground_truth(boxes, [(1, 1)], ["a", "b", "c"])


def test_coco_results_map_labels_and_leave_out_unknown_ones():
    found = detections((1, 0.5, 10, 20, 30, 60), (4, 0.4, 0, 0, 1, 1))
    expected = [{"image_id": 7, "category_id": 18, "bbox": [10, 20, 20, 40], "score": 0.5}]
    assert coco_results([7], [found], {1: 18}) == expected
    assert [item["category_id"] for item in coco_results([7], [found])] == [1, 4]


def test_what_was_cut_off_is_known():
    """Scores 0.9 to 0.6 are all that a network gave, and it may have had more."""
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    every = Detections(np.zeros((4, 4)), scores, np.zeros(4, int))
    full = Detections(np.zeros((4, 4)), scores, np.zeros(4, int), capped=True)
    for found, threshold, count, capped in [
        (every, 0.5, None, False),
        (every, 0.5, 4, False),
        (every, 0.5, 3, True),
        (every, 0.75, 2, False),
        (full, 0.5, None, True),
        (full, 0.65, None, False),  # the next would be below the threshold too
        (full, 0.65, 2, True),
        (full, 0.5, 9, True),
    ]:
        assert found.above(threshold).best(count).capped == capped


ONE = Detections(
    np.float32([[0, 0, 10, 20], [5, 5, 9, 9], [0, 0, 30, 30]]),
    np.float32([0.9, 0.6, 0.3]),
    np.array([1, 0, 2]),
    class_names=("cat", None, "dog"),
)


def test_detections_are_filtered_by_score_class_and_size():
    assert ONE.filter().labels.tolist() == [1, 0, 2]
    assert ONE.filter(score=0.6).labels.tolist() == [1, 0]
    assert ONE.filter(classes=["dog", 0]).labels.tolist() == [0, 2]
    assert ONE.filter(min_side=10).labels.tolist() == [1, 2]
    assert ONE.filter(score=0.5, min_side=10).class_names == ONE.class_names
    for classes in (2, np.int64(2), "2", np.array([2])):
        assert ONE.filter(classes=classes).labels.tolist() == [2]
    unnamed = replace(ONE, class_names=None)
    assert len(unnamed.filter(classes=3)) == len(ONE.filter(classes=[])) == 0


@pytest.mark.parametrize("wrong", ["cow", "", "3", 3, np.int64(3), -1])
def test_classes_that_the_model_has_not_are_refused(wrong):
    with pytest.raises(ValueError, match=rf"got {re.escape(repr(wrong))}; it has cat, dog"):
        ONE.filter(classes=wrong)
    if wrong in ("cow", -1):
        with pytest.raises(ValueError, match="it has no names"):
            replace(ONE, class_names=None).filter(classes=[wrong])


def test_detections_know_their_names():
    assert ONE.names == [None, "cat", "dog"]
    assert replace(ONE, class_names=None).names == [None] * 3
    assert ONE.to_dict() == {
        "boxes": ONE.boxes.tolist(),
        "scores": [pytest.approx(0.9), pytest.approx(0.6), pytest.approx(0.3)],
        "labels": [1, 0, 2],
        "names": [None, "cat", "dog"],
    }
    json.dumps(ONE.to_dict())


def test_detections_in_the_form_of_a_results_file():
    first, *_ = ONE.to_coco(7, {0: 10, 1: 11, 2: 12})
    assert first == {
        "image_id": 7,
        "category_id": 11,
        "bbox": [0, 0, 10, 20],
        "score": pytest.approx(0.9),
    }


def test_detections_are_drawn_on_a_copy():
    image = np.zeros((40, 40, 3), "uint8")
    drawn = ONE.draw(image)
    assert not image.any()
    assert drawn[30, 5:25].any(axis=-1).all()


def test_detections_for_supervision():
    supervision = pytest.importorskip("supervision")
    found = ONE.to_supervision()
    assert isinstance(found, supervision.Detections)
    np.testing.assert_array_equal(found.xyxy, ONE.boxes)
    assert found.data["class_name"].tolist() == ["label 1", "cat", "dog"]
