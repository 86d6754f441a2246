import numpy as np
import pytest

from keras_retinanet.geometry import targets
from keras_retinanet.geometry.anchors import anchor_index_for_shape
from keras_retinanet.geometry.coders import CornerCoder
from tests.goldens import GOLDENS, LABELS, targets_input

INPUT = targets_input()


def test_dense_targets_are_the_old_ones():
    regression, classification = targets.anchor_targets_bbox(*INPUT, num_classes=3)
    np.testing.assert_allclose(regression, GOLDENS["regression"], atol=1e-6)
    np.testing.assert_array_equal(classification, GOLDENS["classification"])


def test_compact_targets_say_what_dense_ones_say():
    dense_boxes, dense_classes = GOLDENS["regression"], GOLDENS["classification"]
    regression, classification = targets.anchor_targets_compact(*INPUT, num_classes=3)
    state = dense_boxes[..., 4]
    positive = state == 1
    assert positive.sum() > 10
    np.testing.assert_array_equal(regression[..., 4], state)
    np.testing.assert_allclose(regression[positive], dense_boxes[positive], atol=1e-6)
    assert not regression[~positive][:, :4].any()
    labels = classification[..., 0]
    np.testing.assert_array_equal(labels[~positive], state[~positive])
    np.testing.assert_array_equal(labels[positive] - 1, dense_classes[positive][:, :3].argmax(1))
    assert set(labels[positive]) == set(LABELS.astype(int) + 1)


def test_targets_in_half_the_bytes_say_the_same():
    whole = targets.anchor_targets_compact(*INPUT, num_classes=3)
    halves = targets.anchor_targets_compact(*INPUT, num_classes=3, dtypes=targets.HALF_PRECISION)
    assert [half.dtype for half in halves] == ["float16", "int16"]
    assert np.abs(whole[0][..., :4]).max() > 1
    np.testing.assert_allclose(halves[0], whole[0], rtol=2**-11)
    np.testing.assert_array_equal(halves[0][..., 4], whole[0][..., 4])
    np.testing.assert_array_equal(halves[1], whole[1])


def test_overlaps_at_the_limits():
    anchors = np.array([[0.0, 0, 10, 10]])
    # IoU 0.5 is positive, 0.4 background, between ignored.
    for height, state in [(5, 1), (4.5, -1), (4, 0)]:
        assert targets.match_all(anchors, np.array([[0, 0, 10, height]]))[0] == state


def test_targets_decode_to_the_boxes():
    anchors, _, annotations = INPUT
    regression, classification = targets.anchor_targets_compact(*INPUT, num_classes=3)
    positive = regression[0, :, 4] == 1
    decoded = CornerCoder().decode(anchors[positive], regression[0, positive, :4])
    by_label = dict(zip(LABELS.astype(int), annotations[0]["bboxes"], strict=True))
    expected = [by_label[label - 1] for label in classification[0, positive, 0]]
    np.testing.assert_allclose(decoded, expected, atol=1e-4)


@pytest.mark.parametrize("make", [targets.anchor_targets_compact, targets.anchor_targets_bbox])
def test_another_coder_gives_other_offsets_and_the_same_states(make):
    coder = CornerCoder((0.1, 0, 0, -0.3), (1, 2, 0.1, 3))
    usual, classes = make(*INPUT, num_classes=3)
    found, same_classes = make(*INPUT, num_classes=3, coder=coder)
    np.testing.assert_array_equal(same_classes, classes)
    np.testing.assert_array_equal(found[..., 4], usual[..., 4])
    positive = usual[0, :, 4] == 1
    anchors = INPUT[0][positive]
    wanted = CornerCoder().decode(anchors, usual[0, positive, :4])
    np.testing.assert_allclose(coder.decode(anchors, found[0, positive, :4]), wanted, atol=1e-4)


def test_arguments_stay_as_they_are():
    anchors, images, annotations = targets_input()
    targets.anchor_targets_compact(anchors, images, annotations, 3)
    np.testing.assert_array_equal(annotations[0]["bboxes"], targets_input()[2][0]["bboxes"])


def test_old_matching_function():
    anchors, _, annotations = INPUT
    positive, ignored, assigned = targets.compute_gt_annotations(anchors, annotations[0]["bboxes"])
    state, _ = targets.match_all(anchors, annotations[0]["bboxes"])
    np.testing.assert_array_equal(positive, state == 1)
    np.testing.assert_array_equal(ignored, state == -1)
    assert set(assigned) <= {0, 1, 2}


@pytest.mark.parametrize("count", [0, 5, 40])
def test_positive_anchors_are_those_of_a_full_comparison(count):
    rng = np.random.default_rng(count)
    corners = rng.uniform(0, 250, (count, 2))
    found = np.concatenate([corners, corners + rng.uniform(10, 200, (count, 2))], axis=1)
    found = np.concatenate([found, np.full((count, 4), 30.0)])  # and boxes without area
    index = anchor_index_for_shape((300, 320))
    state, assigned = targets.match_all(index.anchors, found)
    for given in (index, None):
        positive, box_indices = targets.positive_anchors(index.anchors, found, index=given)
        np.testing.assert_array_equal(positive, np.flatnonzero(state == 1))
        np.testing.assert_array_equal(box_indices, assigned[state == 1])
        assert bool(len(positive)) == bool(count)


def test_of_equal_overlaps_the_first_box_counts():
    index = anchor_index_for_shape((300, 320))
    found = np.array([[30.0, 30, 90, 90], [100, 100, 180, 170]])[[1, 0, 0, 1, 0]]
    matches = targets.match_near(index, found)
    assert set(matches.box_indices) == {0, 1}
    assert not set(matches.ignored) & set(matches.positive)


def test_an_overlap_of_exactly_a_half_is_positive():
    anchors = np.array([[0.0, 0, 16, 16], [16, 16, 48, 48]])
    # The right half of the second anchor, twice the first anchor, and less than half of it.
    for box, positive in (((32, 16, 48, 48), [1]), ((0, 0, 32, 16), [0]), ((0, 0, 7.9, 16), [])):
        assert targets.positive_anchors(anchors, [box])[0].tolist() == positive


@pytest.mark.parametrize(
    ("images", "annotations", "message"),
    [
        ([], [], "at least one"),
        ([np.zeros((8, 8, 3))], [], "as many annotations"),
        ([np.zeros((8, 8, 3))], [{"bboxes": np.zeros((0, 4))}], "'labels'"),
    ],
)
def test_broken_groups_are_refused(images, annotations, message):
    with pytest.raises(ValueError, match=message):
        targets.anchor_targets_compact(np.zeros((1, 4)), images, annotations, 1)
