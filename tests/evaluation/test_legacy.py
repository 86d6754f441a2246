"""Nested lists of detections and annotations, compared with what keras-retinanet 1.0.0 returns."""

import numpy as np
import pytest

from keras_retinanet.evaluation import legacy
from keras_retinanet.utils.eval import _compute_ap, _get_annotations, _get_detections
from tests.fakes import MemoryGenerator, picture, truth


class FixedModel:
    """A model with the same three detections for every image, one of them padding."""

    def predict_on_batch(self, batch):
        boxes = np.array([[[0, 1, 20, 21], [2, 3, 10, 11], [4, 5, 30, 31], [-1] * 4]], "float32")
        scores = np.array([[0.5, 0.9, 0.2, -1]], "float32")
        return [boxes, scores, np.array([[1, 0, 1, -1]], "int32")]


@pytest.fixture
def generator():
    annotations = [truth((1, 2, 3, 4, 1), (5, 6, 7, 8, 0), (9, 9, 12, 12, 1)), truth()]
    return MemoryGenerator([picture(40, 40)] * 2, annotations, ("cat", "dog", "cow"))


def test_detections_by_image_and_label(generator):
    detections, seconds = legacy.get_detections(generator, FixedModel())
    assert len(detections) == len(seconds) == 2
    assert all(second > 0 for second in seconds)
    for image in detections:
        cat, dog, cow = image
        np.testing.assert_allclose(cat, [[2, 3, 10, 11, 0.9]])
        np.testing.assert_allclose(dog, [[0, 1, 20, 21, 0.5], [4, 5, 30, 31, 0.2]])
        assert cow.shape == (0, 5)
        assert cat.dtype == cow.dtype == np.float64


def test_threshold_number_and_pictures(generator, tmp_path):
    found, _ = _get_detections(generator, FixedModel(), 0.3)
    assert [len(boxes) for boxes in found[0]] == [1, 1, 0]
    found, _ = _get_detections(generator, FixedModel(), max_detections=1, save_path=str(tmp_path))
    assert [len(boxes) for boxes in found[0]] == [1, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png"]


def test_annotations_by_image_and_label(generator):
    first, second = _get_annotations(generator)
    assert [boxes.tolist() for boxes in first] == [
        [[5, 6, 7, 8]],
        [[1, 2, 3, 4], [9, 9, 12, 12]],
        [],
    ]
    assert [boxes.shape for boxes in second] == [(0, 4)] * 3


# Computed with keras-retinanet 1.0.0's utils.eval._compute_ap.
@pytest.mark.parametrize(
    ("recall", "precision", "expected"),
    [([0.25, 0.25, 0.5, 0.5], [1, 0.5, 2 / 3, 0.5], 0.41666666666666663), ([], [], 0.0)],
)
def test_average_precision(recall, precision, expected):
    assert _compute_ap(np.array(recall), np.array(precision)) == pytest.approx(expected, abs=1e-15)
