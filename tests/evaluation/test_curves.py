import numpy as np
import pytest

from keras_retinanet.evaluation.curves import ClassCurve, calibration, class_curves
from keras_retinanet.evaluation.errors import Kind, find_errors, summarise
from tests.evaluation.test_errors import draw_data_set


def curve(scores, true, objects):
    return ClassCurve(np.array(scores, "float64"), np.array(true, bool), objects)


def test_precision_recall_and_f1_of_a_hand_calculation():
    found = curve([0.9, 0.8, 0.6, 0.3], [1, 0, 1, 0], 4)
    np.testing.assert_allclose(found.precision, [1, 1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose(found.recall, [1 / 4, 1 / 4, 1 / 2, 1 / 2])
    np.testing.assert_allclose(found.f1, [2 / 5, 2 / 6, 4 / 7, 4 / 8])
    assert found.best_threshold() == pytest.approx(0.45)
    assert found.at(0.45) == pytest.approx((2 / 3, 1 / 2, 4 / 7))
    assert found.at(0.8) == (1, 1 / 4, 2 / 5)  # the score must be above
    assert found.at(0.95) == (1, 0, 0)


def test_equal_scores_are_kept_together():
    # Cut between equal scores, F1 would be highest after the first.
    found = curve([0.5, 0.5, 0.5, 0.2], [1, 0, 0, 1], 2)
    threshold = found.best_threshold()
    assert threshold == pytest.approx(0.1)
    assert found.at(threshold)[2] == pytest.approx(4 / 6)


def test_the_best_threshold_is_best():
    rng = np.random.default_rng(0)
    for objects in (5, 40, 90):
        scores = -np.sort(-rng.integers(0, 30, 60) / 30)
        found = curve(scores, rng.random(60) < scores, objects)
        best = found.at(found.best_threshold())[2]
        assert best == max(found.at(threshold)[2] for threshold in np.linspace(-0.01, 1, 304))


def test_nothing_true_has_no_best_threshold():
    for found in (curve([], [], 3), curve([0.9, 0.5], [0, 0], 3), curve([0.9], [0], 0)):
        assert found.best_threshold() is None
    assert (curve([], [], 3).ap, curve([0.9], [0], 0).ap) == (0, -1)
    assert curve([0.9], [0], 0).recall.tolist() == [0]


def test_curves_are_those_of_all_images():
    found, scenes = draw_data_set()
    errors = list(map(find_errors, found, scenes))
    curves = class_curves(found, scenes, errors, 5)
    assert len(curves) == 5
    assert (len(curves[4].scores), curves[4].objects, curves[4].ap) == (0, 0, -1)
    ap = np.mean([entry.ap for entry in curves[:4]])
    assert ap == pytest.approx(summarise(found, scenes, errors).ap)
    kinds = np.concatenate([entry.kinds for entry in errors])
    assert sum(entry.true.sum() for entry in curves) == np.count_nonzero(kinds == Kind.TRUE)
    assert sum(len(entry.true) for entry in curves) == np.count_nonzero(kinds != Kind.IGNORED)
    for entry in curves:
        assert (np.diff(entry.scores) <= 0).all()
    assert [entry.objects for entry in class_curves([], [], [], 2)] == [0, 0]


def test_calibration_of_a_hand_calculation():
    first = curve([0.95, 0.91, 0.1], [1, 0, 0], 2)
    second = curve([1.0, 0.15], [1, 1], 2)
    found = calibration([first, second])
    np.testing.assert_array_equal(found.counts, [0, 2, 0, 0, 0, 0, 0, 0, 0, 3])
    np.testing.assert_allclose(found.scores[[1, 9]], [0.125, 2.86 / 3])
    np.testing.assert_allclose(found.precision[[0, 1, 9]], [0, 1 / 2, 2 / 3])
    assert found.error == pytest.approx((2 * 0.375 + 3 * (2.86 - 2) / 3) / 5)
    assert calibration([]).error == 0
