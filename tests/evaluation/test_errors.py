"""Kinds of errors: cases made by hand, and the numbers of the original tool on a drawn data set."""

import numpy as np
import pytest

from keras_retinanet.detection.detections import Detections, coco_ground_truth, coco_results
from keras_retinanet.evaluation import metrics
from keras_retinanet.evaluation.errors import ERRORS, Kind, Truth, find_errors, summarise

CAT, DOG = 0, 1
A, B = [0, 0, 100, 100], [200, 0, 300, 100]


def truth(*rows, crowds=()):
    """Objects of boxes and labels; those at some positions are crowds."""
    boxes, labels = zip(*rows, strict=True) if rows else ((), ())
    crowd = np.isin(np.arange(len(rows)), crowds)
    return Truth(np.array(boxes, "float64").reshape(-1, 4), np.array(labels, int), crowd)


def detections(*rows):
    """Detections of boxes and labels, each with a lower score than the one before."""
    boxes, labels = zip(*rows, strict=True) if rows else ((), ())
    scores = 1 - np.arange(len(rows)) / 10
    return Detections(np.array(boxes, "float32").reshape(-1, 4), scores, np.array(labels, int))


@pytest.mark.parametrize(
    ("found", "kind", "place"),
    [
        (([0, 0, 100, 50], CAT), Kind.TRUE, 0),  # an IoU of one half counts
        (([0, 0, 100, 49], CAT), Kind.LOCATION, 0),
        (([0, 0, 100, 10], CAT), Kind.LOCATION, 0),
        (([0, 0, 100, 9], CAT), Kind.BACKGROUND, -1),
        ((A, DOG), Kind.CLASS, 0),
        (([0, 0, 100, 49], DOG), Kind.BOTH, -1),
        (([400, 0, 500, 100], CAT), Kind.BACKGROUND, -1),
    ],
)
def test_a_detection_alone(found, kind, place):
    errors = find_errors(detections(found), truth((A, CAT)))
    assert (errors.kinds.tolist(), errors.objects.tolist()) == ([kind], [place])
    assert errors.found.tolist() == [kind == Kind.TRUE]
    assert errors.missed.tolist() == [place == -1]


def test_the_best_detection_finds_an_object_and_others_are_duplicates():
    rows = [(A, CAT), ([0, 0, 100, 90], CAT), ([0, 0, 90, 100], DOG), ([0, 0, 40, 100], CAT)]
    errors = find_errors(detections(*rows), truth((A, CAT), (B, DOG)))
    assert errors.kinds.tolist() == [Kind.TRUE, Kind.DUPLICATE, Kind.CLASS, Kind.LOCATION]
    assert errors.objects.tolist() == [0, -1, -1, -1]  # what is found need not be mended
    assert (errors.found.tolist(), errors.missed.tolist()) == ([True, False], [False, True])


def test_one_error_finds_an_object_if_it_is_mended():
    errors = find_errors(detections((A, DOG), ([0, 0, 45, 100], CAT)), truth((A, CAT)))
    assert errors.kinds.tolist() == [Kind.CLASS, Kind.LOCATION]
    assert errors.objects.tolist() == [0, -1]
    assert not errors.missed.any()


def test_what_lies_in_a_crowd_does_not_count():
    scene = truth(([0, 0, 300, 300], CAT), (B, CAT), crowds=[0])
    rows = [([10, 10, 50, 50], CAT), (B, CAT), (B, CAT), ([10, 10, 50, 50], DOG)]
    errors = find_errors(detections(*rows), scene)
    assert errors.kinds.tolist() == [Kind.IGNORED, Kind.TRUE, Kind.IGNORED, Kind.BACKGROUND]
    assert errors.objects.tolist() == [-1, 1, -1, -1]
    assert (errors.found.tolist(), errors.missed.tolist()) == ([False, True], [False, False])


def test_nothing_found_and_nothing_there():
    assert find_errors(detections(), truth((A, CAT))).missed.tolist() == [True]
    errors = find_errors(detections((A, CAT)), truth())
    assert (errors.kinds.tolist(), errors.objects.tolist()) == ([Kind.BACKGROUND], [-1])
    summary = summarise([], [], [])
    assert (summary.ap, summary.missed, set(summary.gains.values())) == (0, 0, {0})


def test_gains_of_a_hand_calculation():
    # Two cats: one is found, with a lower score than a dog's name for the other; a dog is missed.
    scene = truth((A, CAT), (B, CAT), ([400, 0, 500, 100], DOG))
    found = detections((B, DOG), (A, CAT))
    summary = summarise([found], [scene], [find_errors(found, scene)])
    half = 51 / 101  # recall reaches one half
    assert summary.ap == pytest.approx(half / 2)
    assert summary.counts == {**dict.fromkeys(ERRORS, 0), Kind.CLASS: 1}
    assert summary.missed == 1
    # Of the cats both are found; the dog is not.
    assert summary.gains[Kind.CLASS] == pytest.approx((1 + 0) / 2 - half / 2)
    assert summary.gain_of_missed == pytest.approx(0)  # a false dog remains
    assert summary.gain_of_false == pytest.approx(0)
    assert summary.gain_of_not_found == pytest.approx((1 + 0) / 2 - half / 2)


def draw_data_set():
    """Objects of four classes in forty images, and detections with errors of all kinds."""
    rng = np.random.default_rng(5)
    found, scenes = [], []
    for image in range(40):
        count = rng.integers(0, 7)
        corners = rng.integers(0, 300, (count, 2))
        boxes = np.concatenate([corners, corners + rng.integers(20, 120, (count, 2))], axis=1)
        labels = rng.integers(0, 4, count)
        scenes.append(Truth(boxes.astype("float64"), labels, rng.random(count) < 0.06))
        rows = []
        for box, label in zip(boxes, labels, strict=True):
            for _ in range(rng.integers(0, 4)):
                moved = box + rng.integers(-14, 15, 4)
                moved[2:] = np.maximum(moved[2:], moved[:2] + 4)
                rows.append((*moved, rng.integers(0, 4) if rng.random() < 0.25 else label))
        for _ in range(rng.integers(0, 3)):
            x, y = rng.integers(0, 300, 2)
            rows.append((x, y, x + 40, y + 40, rng.integers(0, 4)))
        table = np.array(rows, "float64").reshape(-1, 5)
        # No two are equal: the order of these would be left open.
        scores = -np.sort(-(rng.permutation(1000)[: len(rows)] * 40 + image) / 40_000)
        found.append(Detections(table[:, :4], scores, table[:, 4].astype(int)))
    return found, scenes


def test_gains_are_those_of_the_original_tool():
    """tidecv 1.0.1 printed these; it also counts errors in crowds, which change none of them."""
    found, scenes = draw_data_set()
    summary = summarise(found, scenes, list(map(find_errors, found, scenes)))
    assert summary.ap == pytest.approx(0.24713472417377417, abs=1e-12)
    assert summary.gains == pytest.approx(
        {
            Kind.CLASS: 0.08280881467231012,
            Kind.LOCATION: 0.1587205715524464,
            Kind.BOTH: 0.013752796489952672,
            Kind.DUPLICATE: 0.02489956602177333,
            Kind.BACKGROUND: 0.02300646040411923,
        },
        abs=1e-12,
    )
    assert summary.gain_of_missed == pytest.approx(0.09416710743645412, abs=1e-12)
    assert summary.gain_of_false == pytest.approx(0.2652415134499882, abs=1e-12)
    assert summary.gain_of_not_found == pytest.approx(0.23621998496569468, abs=1e-12)
    assert list(summary.counts.values()) == [31, 32, 15, 38, 35]
    assert summary.missed == 32


def test_ap_is_that_of_coco():
    found, scenes = draw_data_set()
    # A class that no image has, which COCO leaves out.
    found[0] = Detections(
        np.append(found[0].boxes, [A], axis=0),
        np.append(found[0].scores, 0.0),
        np.append(found[0].labels, 4),
    )
    classes = {label: str(label) for label in range(5)}
    annotations = [{"bboxes": scene.boxes, "labels": scene.labels} for scene in scenes]
    coco = coco_ground_truth(annotations, None, classes)
    crowds = np.concatenate([scene.crowds for scene in scenes])
    for entry, crowd in zip(coco["annotations"], crowds, strict=True):
        entry["iscrowd"] = int(crowd)
    results = coco_results(range(len(found)), found, {label: label for label in classes})
    expected = metrics.coco_summary(coco, results)["AP50"]
    summary = summarise(found, scenes, list(map(find_errors, found, scenes)))
    assert summary.ap == pytest.approx(expected, abs=1e-9)
