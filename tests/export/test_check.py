import numpy as np
import pytest

from keras_retinanet.detection.detections import Detections
from keras_retinanet.export.check import TOLERANCES, Tolerance, compare

EXACT = TOLERANCES["float32"]
BOX = [10, 10, 50, 30]


def found(*rows, capped=False):
    """Detections from rows of score, label, box."""
    boxes = np.array([row[2] for row in rows], "float32").reshape(-1, 4)
    scores, labels = (np.array([row[i] for row in rows]) for i in range(2))
    return Detections(boxes, scores.astype("float32"), labels.astype(int), capped)


def moved(pixels):
    return [10 + pixels, 10, 50, 30]


def test_the_same_detections_in_another_order_agree():
    one = found((0.9, 0, BOX), (0.9, 1, [0, 0, 5, 5]))
    other = found((0.9, 1, [0, 0, 5, 5]), (0.90005, 0, moved(0.04)))
    difference = compare([one], [other], EXACT, 0.05)
    assert (difference.compared, difference.unmatched) == (4, 0)
    assert difference.score == pytest.approx(5e-5, rel=0.01)
    assert difference.box == pytest.approx(0.04, rel=0.01)
    assert difference.is_within(EXACT)


@pytest.mark.parametrize("other", [(0.9002, 0, BOX), (0.9, 0, moved(0.06)), (0.9, 1, BOX)])
def test_another_score_box_or_label_does_not(other):
    difference = compare([found((0.9, 0, BOX))], [found(other)], EXACT, 0.05)
    assert (difference.compared, difference.unmatched) == (2, 2)
    assert not difference.is_within(EXACT)


def test_what_only_one_finds_counts_unless_it_is_at_the_threshold():
    nothing = found()
    for first, second in (((0.06, 0, BOX), 1), ((0.05005, 0, BOX), 0)):
        for pair in (([found(first)], [nothing]), ([nothing], [found(first)])):
            assert compare(*pair, EXACT, 0.05).unmatched == second


def test_what_a_network_has_no_room_for_does_not_count():
    one = found((0.9, 0, BOX), (0.5, 1, BOX), capped=True)
    other = found((0.9, 0, BOX), (0.5, 2, BOX), capped=True)
    assert compare([one], [other], EXACT, 0.05).unmatched == 0


def test_a_network_that_finds_too_much_differs_from_one_that_has_room():
    """Its own last score is no reason to leave out what it finds, or what the model finds."""
    saturated = found((1.0, 0, [0, 0, 5, 5]), (1.0, 0, [70, 0, 75, 5]), capped=True)
    for ours in (found((0.9, 0, BOX)), found((0.9, 0, BOX), (0.3, 0, BOX), capped=True), found()):
        difference = compare([ours], [saturated], EXACT, 0.05)
        assert difference.unmatched == difference.compared == 2
        assert not difference.is_within(EXACT)


def test_what_is_found_is_told_from_what_is_compared():
    flat = found((0.9, 0, BOX), (0.9, 1, BOX), capped=True)
    difference = compare([flat], [flat], EXACT, 0.05)
    assert (difference.found, difference.compared) == (4, 0)
    assert compare([found((0.05, 0, BOX))], [found()], EXACT, 0.05).found == 0


def test_a_detection_is_the_counterpart_of_one_only():
    one = found((0.9, 0, BOX), (0.9, 0, BOX))
    assert compare([one], [found((0.9, 0, BOX))], EXACT, 0.05).unmatched == 1


def test_large_boxes_may_move_further_where_it_says_so():
    loose = Tolerance(score=0.1, pixels=1, of_side=0.1, unmatched=0)
    for pixels, unmatched in ((3.9, 0), (4.1, 2)):  # of 40
        assert (
            compare([found((0.9, 0, BOX))], [found((0.9, 0, moved(pixels)))], loose, 0.05).unmatched
            == unmatched
        )
