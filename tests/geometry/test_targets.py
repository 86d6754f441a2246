import numpy as np
import pytest

from keras_retinanet.geometry import boxes, matching, targets
from keras_retinanet.geometry.anchors import AnchorParameters, anchor_index_for_shape
from keras_retinanet.geometry.coders import CentreCoder, CornerCoder
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
    state, _ = matching.match_all(anchors, annotations[0]["bboxes"])
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
    state, assigned = matching.match_all(index.anchors, found)
    for given in (index, None):
        positive, box_indices = targets.positive_anchors(index.anchors, found, index=given)
        np.testing.assert_array_equal(positive, np.flatnonzero(state == 1))
        np.testing.assert_array_equal(box_indices, assigned[state == 1])
        assert bool(len(positive)) == bool(count)


def test_an_overlap_of_exactly_a_half_is_positive():
    anchors = np.array([[0.0, 0, 16, 16], [16, 16, 48, 48]])
    # The right half of the second anchor, twice the first anchor, and less than half of it.
    for box, positive in (((32, 16, 48, 48), [1]), ((0, 0, 32, 16), [0]), ((0, 0, 7.9, 16), [])):
        assert targets.positive_anchors(anchors, [box])[0].tolist() == positive


def small_objects(count, image_shape=(800, 800, 3)):
    """An image and whole-pixel boxes of 3 to 10 pixels, a few of which lie at its right border."""
    rng = np.random.default_rng(count)
    sides = rng.integers(3, 11, (count, 2))
    corners = rng.integers(0, [image_shape[1], image_shape[0]] - sides + 1)
    corners[::9, 0] = image_shape[1] - sides[::9, 0]
    bboxes = np.concatenate([corners, corners + sides], axis=1).astype("float64")
    return [np.zeros(image_shape)], [{"bboxes": bboxes, "labels": np.arange(count) % 3}]


@pytest.mark.parametrize("coder", [CornerCoder(), CentreCoder()])
@pytest.mark.parametrize("dtypes", [targets.FULL_PRECISION, targets.HALF_PRECISION])
def test_every_small_object_is_matched_where_this_is_asked_for(coder, dtypes):
    images, annotations = small_objects(30, (797, 795, 3))
    index = anchor_index_for_shape((800, 832))
    options = {"coder": coder, "dtypes": dtypes, "match_every_box": True}
    found = [
        targets.anchor_targets_compact(
            index.anchors, images, annotations, 3, index=given, **options
        )
        for given in (index, None)
    ]
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    regression, classification = found[0][0][0], found[0][1][0, :, 0]
    positive = regression[:, 4] == 1
    assert np.isfinite(regression).all()
    assert not regression[~positive, :4].any()
    # Each box has one anchor, since none has an IoU of 0.5 with any, and it decodes to the box.
    decoded = coder.decode(index.anchors[positive], regression[positive, :4].astype("float64"))
    order = [
        boxes.iou(decoded, annotations[0]["bboxes"][[i]]).argmax()
        for i in range(len(annotations[0]["bboxes"]))
    ]
    assert sorted(order) == list(range(30))
    # Float16 rounds offsets of at most 5 fifths of the side of an anchor by 0.05 %.
    tolerance = 1e-4 if dtypes == targets.FULL_PRECISION else 0.05
    np.testing.assert_allclose(decoded[order], annotations[0]["bboxes"], atol=tolerance)
    np.testing.assert_array_equal(classification[positive][order], annotations[0]["labels"] + 1)
    usual, _ = targets.anchor_targets_compact(index.anchors, images, annotations, 3, index=index)
    assert not (usual[..., 4] == 1).any()


def test_dense_targets_match_every_box_as_compact_ones_do():
    images, annotations = small_objects(12, (120, 130, 3))
    index = anchor_index_for_shape((128, 160))
    compact, labels = targets.anchor_targets_compact(
        index.anchors, images, annotations, 3, index=index, match_every_box=True
    )
    dense, classes = targets.anchor_targets_bbox(
        index.anchors, images, annotations, 3, match_every_box=True
    )
    positive = compact[0, :, 4] == 1
    assert positive.sum() == 12
    np.testing.assert_array_equal(dense[..., 4], compact[..., 4])
    np.testing.assert_array_equal(classes[..., 3], compact[..., 4])
    np.testing.assert_array_equal(dense[0, positive], compact[0, positive])
    assert not classes[0, ~positive, :3].any()
    np.testing.assert_array_equal(classes[0, positive, :3].argmax(1) + 1, labels[0, positive, 0])
    np.testing.assert_array_equal(classes[0, positive, :3].sum(1), 1)


@pytest.mark.parametrize("make", [targets.anchor_targets_compact, targets.anchor_targets_bbox])
def test_nothing_changes_where_every_box_has_an_anchor(make):
    usual = make(*INPUT, num_classes=3)
    for setting in (False, True):
        found = make(*INPUT, num_classes=3, match_every_box=setting)
        np.testing.assert_array_equal(found[0], usual[0])
        np.testing.assert_array_equal(found[1], usual[1])


@pytest.mark.parametrize("coder", [CornerCoder(), CentreCoder()])
@pytest.mark.parametrize("box", [(0, 0, 4000, 0.2), (60, 70, 60.01, 70.01), (0, 0, 4000, 4000)])
def test_offsets_of_any_box_fit_into_half_the_bytes(box, coder):
    # A box as long as a large image and as thin as a hair, one that is a point, and one that is
    # larger than any anchor.
    index = anchor_index_for_shape(
        (4000, 4000), [7, 8], AnchorParameters([32, 600], [128, 256], [1], [1])
    )
    image, annotations = np.zeros((4000, 4000, 3)), {"bboxes": np.array([box]), "labels": [0]}
    found, _ = targets.anchor_targets_compact(
        index.anchors,
        [image],
        [annotations],
        1,
        index=index,
        coder=coder,
        dtypes=targets.HALF_PRECISION,
        match_every_box=True,
    )
    offsets = found[0, found[0, :, 4] == 1, :4]
    assert offsets.shape == (1, 4)
    assert np.isfinite(offsets).all()


def test_positive_anchors_of_every_box():
    images, annotations = small_objects(9, (100, 100, 3))
    index = anchor_index_for_shape((100, 100))
    bboxes = annotations[0]["bboxes"]
    assert not len(targets.positive_anchors(index.anchors, bboxes, index=index)[0])
    for given in (index, None):
        _, box_indices = targets.positive_anchors(
            index.anchors, bboxes, index=given, match_every_box_in=images[0].shape
        )
        assert sorted(box_indices) == list(range(9))


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
