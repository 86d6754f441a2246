"""detections: the best of them, and the form of COCO files."""

import json

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
