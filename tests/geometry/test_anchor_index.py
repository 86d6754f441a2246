import numpy as np
import pytest

from keras_retinanet.geometry import boxes, targets
from keras_retinanet.geometry.anchor_index import AnchorIndex
from keras_retinanet.geometry.anchors import AnchorParameters, anchor_index_for_shape
from keras_retinanet.geometry.coders import CornerCoder

# Image shape, levels, anchor parameters (None: the paper's).
DENSE = AnchorParameters([20, 33.5], [4, 8], [0.3, 1, 3.7], [1, 1.1])
SPARSE = AnchorParameters([10, 300, 70], [8, 16, 50], [0.05, 1.5], [0.7])
PYRAMIDS = {
    "paper": ((300, 333, 3), None, None),
    "wide": ((64, 1000, 3), None, None),
    "one cell": ((1, 1, 3), None, None),
    "odd": ((171, 259, 3), (2, 3), DENSE),
    "sparse": ((251, 190, 3), (3, 4, 5), SPARSE),
}


def some_boxes(rng, count, shape, anchors):
    """Return boxes: small, huge, outside, whole numbers, anchors, duplicates, empty."""
    height, width = shape[:2]
    corners = rng.uniform(-0.3, 1.1, (count, 2)) * [width, height]
    usual = np.concatenate([corners, corners + 10 ** rng.uniform(-1, 3.2, (count, 2))], axis=1)
    copies = anchors[rng.integers(len(anchors), size=count)]
    moved = copies + rng.normal(0, 4, copies.shape)
    found = np.concatenate([usual, usual.round(), copies, copies.round(), moved])
    return rng.permutation(np.concatenate([found, found[::3], found[::9, [2, 1, 0, 3]]]))


def compared_with_all(anchors, image_shape, bboxes, labels, negative=0.4, positive=0.5):
    """Return the targets of an image from the IoU of every anchor with every box."""
    regression = np.zeros((len(anchors), 5), "float32")
    classification = np.zeros((len(anchors), 1), "int32")
    if len(bboxes):
        overlaps = boxes.iou(anchors, bboxes)
        best, assigned = overlaps.max(axis=1), overlaps.argmax(axis=1)
        ignored, matched = best > negative, best >= positive
        regression[ignored, 4] = classification[ignored, 0] = -1
        regression[matched, :4] = CornerCoder().encode(anchors, bboxes[assigned])[matched]
        regression[matched, 4] = 1
        classification[matched, 0] = labels[assigned[matched]] + 1
    x, y = (anchors[:, 0] + anchors[:, 2]) / 2, (anchors[:, 1] + anchors[:, 3]) / 2
    outside = (x >= image_shape[1]) | (y >= image_shape[0])
    regression[outside], classification[outside] = [0, 0, 0, 0, -1], -1
    return regression, classification


def assert_same(index, image_shape, bboxes, **overlaps):
    """Check the targets of an image, found with the index and without; return the classes."""
    labels = np.arange(len(bboxes)) % 7
    expected = compared_with_all(index.anchors, image_shape, bboxes, labels, **overlaps)
    for given in (index, None):
        found = targets.anchor_targets_compact(
            index.anchors,
            [np.zeros(image_shape)],
            [{"bboxes": bboxes, "labels": labels}],
            7,
            *overlaps.values(),
            index=given,
        )
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours[0], theirs)
    return expected[1]


@pytest.mark.parametrize("count", [0, 1, 2, 9, 60])
@pytest.mark.parametrize("name", PYRAMIDS)
def test_targets_are_those_of_a_comparison_with_all_anchors(name, count):
    shape, levels, parameters = PYRAMIDS[name]
    index = anchor_index_for_shape(shape, levels, parameters)
    rng = np.random.default_rng([count, len(name)])
    bboxes = some_boxes(rng, count, shape, index.anchors)
    for image_shape in (shape, (shape[0] // 2 + 1, shape[1], 3), (shape[0], shape[1] // 3 + 1, 3)):
        classes = assert_same(index, image_shape, bboxes)
    if count == 60 and name != "one cell":
        assert set(np.unique(classes)) == set(range(-1, 8))


@pytest.mark.parametrize(
    ("negative", "positive"),
    [(0.3, 0.7), (0.05, 0.1), (0.6, 0.5), (0.99, 1), (0, 0.5), (0.4, 0), (-1, 0.5), (1.5, 2)],
)
def test_other_limits_of_overlap(negative, positive):
    index = anchor_index_for_shape((120, 140), (2, 3), DENSE)
    bboxes = some_boxes(np.random.default_rng(5), 12, (120, 140), index.anchors)
    assert_same(index, (110, 140, 3), bboxes, negative=negative, positive=positive)


@pytest.mark.parametrize("limit", [1 / 3, 1 / 2, 3 / 5, 2 / 3])
@pytest.mark.parametrize("change", [[1, 0, 1, 0], [0, -1, 0, -1], [1, 0, -1, 0], [0, 1, 0, -1]])
def test_anchors_at_the_very_limit_of_overlap_are_found(limit, change):
    parameters = AnchorParameters([24, 36, 105], [8, 12, 35], [1], [1])
    index = anchor_index_for_shape((240, 250), (3, 4, 5), parameters)
    anchors = index.anchors
    sides = np.tile(anchors[:, 2:] - anchors[:, :2], 2)
    # Squares as far apart, or thinner by so much at both ends, as gives that overlap.
    shift = (1 - limit) / (1 + limit) if sum(change) else (1 - limit) / 2
    bboxes = anchors + sides * shift * change
    np.testing.assert_allclose(np.diag(boxes.iou(anchors, bboxes)), limit)
    for one in bboxes[::7, None]:
        assert_same(index, (240, 250, 3), one, negative=limit, positive=limit)


def test_any_anchors_can_be_compared_without_an_index():
    anchors = anchor_index_for_shape((120, 140), (2, 3), DENSE).anchors
    bboxes = some_boxes(np.random.default_rng(6), 9, (120, 140), anchors)
    labels = np.arange(len(bboxes))
    image, annotations = np.zeros((110, 130, 3)), {"bboxes": bboxes, "labels": labels}
    scattered = np.abs(bboxes) + [0, 0, 2000, 2000]
    for given in (anchors.copy(), anchors[5:-5], anchors[::-1], scattered):
        found = targets.anchor_targets_compact(given, [image], [annotations], len(bboxes))
        expected = compared_with_all(given, image.shape, bboxes, labels)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours[0], theirs)


def test_levels_may_be_empty():
    def rounded_down(image_shape, levels):
        return [(image_shape[0] // 2**level, image_shape[1] // 2**level) for level in levels]

    # Level 7 of 100 x 260 pixels has no row at all.
    index = anchor_index_for_shape((100, 260), shapes_callback=rounded_down)
    assert len(index.anchors) == 9 * (12 * 32 + 6 * 16 + 3 * 8 + 1 * 4)
    bboxes = some_boxes(np.random.default_rng(7), 9, (100, 260), index.anchors)
    assert_same(index, (100, 260, 3), bboxes)
    nothing = anchor_index_for_shape((7, 7), shapes_callback=rounded_down)
    assert nothing.anchors.shape == (0, 4)
    assert_same(nothing, (7, 7, 3), bboxes)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_boxes_that_are_not_numbers_spoil_the_image():
    index = anchor_index_for_shape((64, 64))
    bboxes = np.array([[3.0, 3, 40, 40], [3, 3, np.nan, 40]])
    classes = assert_same(index, (64, 64, 3), bboxes)
    assert not (classes > 0).any()


def test_few_anchors_are_near_a_box():
    index = anchor_index_for_shape((800, 1333))
    near, box_indices = index.near(np.array([[100.0, 100, 200, 180], [5, 5, 5, 9]]), 0.4)
    overlaps = boxes.iou(index.anchors[near], np.array([[100.0, 100, 200, 180]]))
    assert set(box_indices) == {0}
    assert (overlaps >= 0.4).sum() > 30
    assert len(near) < 4 * (overlaps >= 0.4).sum()
    assert len(np.unique(near)) == len(near)


def test_the_cells_near_a_box_by_hand():
    # The example in the comment of `AnchorLevel.near`: an anchor 50 wide and high in each of 40 x
    # 40 cells of 8 pixels.
    shape = boxes.shift((40, 40), 8, np.array([[-25.0, -25, 25, 25]])).reshape(40, 40, 1, 4)
    index = AnchorIndex([shape])
    near, box_indices = index.near(np.array([[100.0, 100, 160, 140]]), 0.4)
    centres = (index.anchors[near, :2] + index.anchors[near, 2:]) / 2
    expected = [(x, y) for y in (108, 116, 124, 132) for x in (116, 124, 132, 140, 148)]
    assert [tuple(centre) for centre in centres] == expected
    assert box_indices.tolist() == [0] * 20


def test_no_box_has_no_anchors():
    near, box_indices = anchor_index_for_shape((64, 64)).near(np.zeros((0, 4)), 0.4)
    assert near.shape == box_indices.shape == (0,)


def test_anchors_centred_outside_the_image():
    index = anchor_index_for_shape((64, 64), [3], AnchorParameters([32], [8], [1], [1]))
    # 8 x 8 cells with centres at 4, 12... 60: two columns and one row are outside.
    assert index.outside((60, 50, 3)).tolist() == [
        cell for cell in range(64) if cell >= 56 or cell % 8 >= 6
    ]
    assert index.outside((64, 64, 3)).tolist() == []
