import numpy as np
import pytest

from keras_retinanet.geometry import boxes, matching
from keras_retinanet.geometry.anchor_index import AnchorIndex
from keras_retinanet.geometry.anchors import AnchorParameters, anchor_index_for_shape

# Image shape, levels, anchor parameters (None: the paper's).
PYRAMIDS = [
    ((300, 333, 3), None, None),
    ((128, 160, 3), (2, 3), AnchorParameters([20, 33.5], [4, 8], [0.3, 1, 3.7], [1, 1.1])),
    ((251, 190, 3), (3, 4), AnchorParameters([10, 300], [8, 16], [0.05, 1.5], [0.7])),
]
# Squares of 32 pixels around a centre every 8 pixels, 4, 12, 20..., in 40 rows and columns.
SQUARES = AnchorIndex(
    [boxes.shift((40, 40), 8, np.array([[-16.0, -16, 16, 16]])).reshape(40, 40, 1, 4)]
)
SQUARES_SHAPE = (320, 320, 3)


def square(x, y, side):
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def matched(index, bboxes, image_shape):
    """Return the usual matches and those of every box, after a check that both ways agree."""
    bboxes = np.asarray(bboxes, "float64").reshape(-1, 4)
    usual = matching.match_near(index, bboxes)
    found = matching.match_the_rest(usual, index.anchors, bboxes, image_shape, index=index)
    compared = matching.match_the_rest(
        matching.as_matches(*matching.match_all(index.anchors, bboxes)),
        index.anchors,
        bboxes,
        image_shape,
    )
    for ours, theirs in zip(found, compared, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return usual, found


def anchor_centres(index, matches):
    """Return the centre of the only anchor of each box, in the order of the boxes."""
    assert sorted(matches.box_indices) == list(range(len(matches.box_indices)))
    anchors = index.anchors[matches.positive[matches.box_indices.argsort()]]
    return ((anchors[:, :2] + anchors[:, 2:]) / 2).tolist()


def test_overlaps_at_the_limits():
    anchors = np.array([[0.0, 0, 10, 10]])
    # IoU 0.5 is positive, 0.4 background, between ignored.
    for height, state in [(5, 1), (4.5, -1), (4, 0)]:
        assert matching.match_all(anchors, np.array([[0, 0, 10, height]]))[0] == state


def test_of_equal_overlaps_the_first_box_counts():
    index = anchor_index_for_shape((300, 320))
    found = np.array([[30.0, 30, 90, 90], [100, 100, 180, 170]])[[1, 0, 0, 1, 0]]
    matches = matching.match_near(index, found)
    assert set(matches.box_indices) == {0, 1}
    assert not set(matches.ignored) & set(matches.positive)


def test_a_small_box_gets_the_nearest_of_the_anchors_around_it():
    usual, found = matched(SQUARES, [square(102, 97, 4)], SQUARES_SHAPE)
    assert not len(usual.positive)
    assert anchor_centres(SQUARES, found) == [[100, 100]]


def test_a_box_between_cells_gets_the_first_of_them():
    # As near to the anchors around 100 and 108, in x and y; 16 * 16 pixels are an IoU of 1/4, where
    # one search ends and the next begins.
    for side in (3, 4, 7.3, 8, 16):
        _, found = matched(SQUARES, [square(104, 104, side)], SQUARES_SHAPE)
        assert anchor_centres(SQUARES, found) == [[100, 100]]


def test_the_last_digits_of_anchors_do_not_count():
    # Corners such as 104 - 40.3 / 2 are rounded, so that equal overlaps and distances are not.
    side = 32 * 2 ** (1 / 3)
    cell = np.array([[-side, -side, side, side]]) / 2
    index = AnchorIndex([boxes.shift((40, 40), 8, cell).reshape(40, 40, 1, 4)])
    cells = range(7, 33)
    bboxes = [square(8 * i, 8 * (40 - i), 4) for i in cells]
    _, found = matched(index, bboxes, SQUARES_SHAPE)
    expected = [[8 * i - 4, 8 * (40 - i) - 4] for i in cells]
    np.testing.assert_allclose(anchor_centres(index, found), expected)


def test_a_large_anchor_around_a_box_beats_a_near_one_that_hardly_meets_it():
    # IoUs of 13 * 13 of 1879 and of 32 * 32 of 70 * 70: both are below 1/4, but a search for 1/4
    # takes the first for possible.
    index = AnchorIndex([np.array([[[[0.0, 0, side, side]]]]) for side in (32, 70)])
    _, found = matched(index, [[19, 19, 51, 51]], (70, 70))
    assert found.positive.tolist() == [1]


def test_two_boxes_with_the_same_best_anchor_both_get_one():
    # The example in the comment of `match_the_rest`.
    pair = [square(100, 100, 4), square(101, 101, 4)]
    _, found = matched(SQUARES, pair, SQUARES_SHAPE)
    assert anchor_centres(SQUARES, found) == [[100, 100], [108, 100]]
    _, found = matched(SQUARES, [pair[0]] * 3, SQUARES_SHAPE)
    assert anchor_centres(SQUARES, found) == [[100, 100], [100, 92], [92, 100]]


def test_the_larger_overlap_is_served_first():
    _, found = matched(SQUARES, [square(100, 100, 4), square(100, 100, 6)], SQUARES_SHAPE)
    assert anchor_centres(SQUARES, found) == [[100, 92], [100, 100]]


def test_an_anchor_of_another_box_is_not_taken_away():
    # The first box is an anchor. The four beside it share 24 of 40 columns or rows: an IoU of 0.6.
    bboxes = [square(100, 100, 32), square(100, 100, 4)]
    usual, found = matched(SQUARES, bboxes, SQUARES_SHAPE)
    assert set(usual.box_indices) == {0}
    assert len(usual.positive) == 5
    kept = np.isin(found.positive, usual.positive)
    np.testing.assert_array_equal(found.positive[kept], usual.positive)
    assert not found.box_indices[kept].any()
    # Of those across a corner, which are free, the first.
    (mine,) = found.positive[~kept]
    assert SQUARES.anchors[mine].tolist() == square(92, 92, 32)
    assert found.box_indices[~kept].tolist() == [1]


def test_an_ignored_anchor_becomes_positive():
    # 20 x 23 = 460 of 1024 pixels.
    usual, found = matched(SQUARES, [[90, 88.5, 110, 111.5]], SQUARES_SHAPE)
    assert not len(usual.positive)
    (anchor,) = found.positive
    assert anchor in usual.ignored
    assert set(found.ignored) == set(usual.ignored) - {anchor}


def test_anchors_centred_outside_the_image_are_not_given_away():
    # The last centres inside 98 x 98 pixels are at 92.
    shape = (98, 98, 3)
    _, found = matched(SQUARES, [[95, 95, 98, 98]], shape)
    assert anchor_centres(SQUARES, found) == [[92, 92]]
    # A box whose positive anchors all lie outside has none: training ignores them.
    usual, found = matched(SQUARES, [[84, 80, 98, 98]], (98, 80, 3))
    assert not len(usual.positive)
    border = [square(100, 60, 32)]
    usual, found = matched(SQUARES, border, (98, 79, 3))
    assert len(usual.positive) == 5
    (added,) = np.setdiff1d(found.positive, usual.positive)
    assert SQUARES.anchors[added].tolist() == square(76, 60, 32)


def test_a_box_that_overlaps_no_free_anchor_goes_without():
    index = AnchorIndex([np.array([[[[0.0, 0, 32, 32]]]])])
    far, small = [200.0, 200, 210, 210], [3.0, 3, 9, 9]
    for bboxes, expected in (([far], []), ([small], [0]), ([small, small], [0]), ([], [])):
        assert matched(index, bboxes, (300, 300))[1].box_indices.tolist() == expected
    assert not len(matched(index, [small], (16, 16))[1].positive)


def test_boxes_without_area_get_no_anchor_and_are_not_searched_for():
    class Searched(AnchorIndex):
        def near(self, bboxes, overlap):
            raise AssertionError("searched")

    none = np.zeros(0, int)
    usual = matching.Matches(none, none, none)
    index = Searched([SQUARES.anchors.reshape(40, 40, 1, 4)])
    bad = np.array(
        [[9, 9, 9, 20], [30, 30, 20, 20], [30, 30, 20, 40], [0, 0, np.inf, 9], [0, 0, np.nan, 9]]
    )
    given = index.anchors, bad, SQUARES_SHAPE
    assert matching.match_the_rest(usual, *given, index=index) is usual
    assert matching.match_the_rest(usual, *given) is usual
    with pytest.raises(AssertionError, match="searched"):
        matching.match_the_rest(usual, index.anchors, bad[:, ::-1], SQUARES_SHAPE, index=index)


def one_by_one(anchors, bboxes, usual, image_shape):
    """Return `{anchor: box}` of the boxes without an anchor: of all pairs the largest IoU first."""
    x, y = (anchors[:, 0] + anchors[:, 2]) / 2, (anchors[:, 1] + anchors[:, 3]) / 2
    inside = (x < image_shape[1]) & (y < image_shape[0])
    overlaps = boxes.iou(bboxes, anchors)
    overlaps[:, ~inside] = 0
    overlaps[usual.box_indices[inside[usual.positive]]] = 0
    overlaps[:, usual.positive] = 0
    found = {}
    while overlaps.max() > 0:
        box = overlaps.max(axis=1).argmax()
        anchor = overlaps[box].argmax()
        found[anchor] = box
        overlaps[box] = overlaps[:, anchor] = 0
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pyramid", PYRAMIDS)
def test_every_box_inside_an_image_is_matched(pyramid, seed):
    shape, levels, parameters = pyramid
    index = anchor_index_for_shape(shape, levels, parameters)
    rng = np.random.default_rng(seed)
    image_shape = (shape[0] - int(rng.integers(30)), shape[1] - int(rng.integers(30)), 3)
    limits = np.array([image_shape[1], image_shape[0]])
    sides = np.minimum(10 ** rng.uniform(-1, 2.3, (40, 2)), limits)
    corners = rng.uniform(0, 1, (40, 2)) * (limits - sides)
    bboxes = np.concatenate([corners, corners + sides], axis=1)
    usual, found = matched(index, bboxes, image_shape)
    inside = ~matching.centre_outside(index.anchors[found.positive], image_shape)
    assert set(found.box_indices[inside]) == set(range(40))
    assert (np.diff(found.positive) > 0).all()
    assert not set(found.positive) & set(found.ignored)
    # Those added are as many as there were boxes to match, and at random places overlap as much as
    # those of a search through all pairs.
    added = ~np.isin(found.positive, usual.positive)
    expected = one_by_one(index.anchors, bboxes, usual, image_shape)
    assert sorted(found.box_indices[added]) == sorted(expected.values())
    best = {box: boxes.iou_of_pairs(index.anchors[a], bboxes[box]) for a, box in expected.items()}
    ours = boxes.iou_of_pairs(
        index.anchors[found.positive[added]], bboxes[found.box_indices[added]]
    )
    theirs = [best[box] for box in found.box_indices[added]]
    np.testing.assert_allclose(np.sort(ours), np.sort(theirs), rtol=1e-6)
