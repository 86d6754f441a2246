"""metrics: numbers worked out by hand, by pycocotools, and published with two detection sets."""

import contextlib
import copy
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_retinanet.evaluation import metrics
from keras_retinanet.evaluation.metrics import COCO_KEYS, Detections

PUBLISHED = Path(__file__).parents[3] / "shared" / "eval"


def detections(*rows):
    """Detections from rows of label, score, x1, y1, x2, y2."""
    table = np.array(rows, "float64").reshape(-1, 6)
    return Detections(table[:, 2:], table[:, 1], table[:, 0].astype(int))


def annotations(*rows):
    """Annotations from rows of label, x1, y1, x2, y2."""
    table = np.array(rows, "float64").reshape(-1, 5)
    return {"labels": table[:, 0].astype(int), "bboxes": table[:, 1:]}


def test_average_precision_is_the_area_under_the_interpolated_curve():
    # Precision 1 up to recall 1/4, then 2/3 (the best that follows) up to 1/2, then nothing.
    recall, precision = [0.25, 0.25, 0.5, 0.5], [1, 0.5, 2 / 3, 0.5]
    assert metrics.average_precision(recall, precision) == pytest.approx(0.25 + 0.25 * 2 / 3)


@pytest.mark.parametrize(
    ("recall", "precision", "expected"), [([], [], 0), ([1], [1], 1), ([0, 0], [0, 0], 0)]
)
def test_average_precision_at_the_ends(recall, precision, expected):
    assert metrics.average_precision(np.array(recall), np.array(precision)) == expected


def test_a_taken_ground_truth_makes_a_false_positive():
    truth = np.array([[0, 0, 10, 10], [8, 0, 18, 10.0]])
    found = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [8, 0, 18, 10], [50, 50, 60, 60.0]])
    # The second overlaps the first truth most (9/11), which is taken; it does not fall back.
    assert metrics.match_detections(found, truth, 0.5).tolist() == [True, False, True, False]


def test_an_overlap_equal_to_the_threshold_counts():
    truth, found = np.array([[0, 0, 10, 10.0]]), np.array([[0, 0, 10, 5.0]])
    assert metrics.match_detections(found, truth, 0.5).tolist() == [True]
    assert metrics.match_detections(found, truth, 0.5001).tolist() == [False]


def test_a_detection_below_the_threshold_does_not_take_its_ground_truth():
    truth = np.array([[0, 0, 10, 10.0]])
    found = np.array([[0, 0, 10, 4], [0, 0, 10, 9.0]])
    assert metrics.match_detections(found, truth, 0.5).tolist() == [False, True]


def test_pascal_by_hand():
    truth = [
        annotations((0, 0, 0, 10, 10), (0, 20, 20, 30, 30), (1, 0, 0, 10, 10)),
        annotations(),
    ]
    found = [
        detections((0, 0.9, 0, 0, 10, 10), (1, 0.8, 50, 50, 60, 60), (0, 0.3, 20, 20, 30, 30)),
        detections((0, 0.5, 0, 0, 10, 10)),
    ]
    result = metrics.pascal_average_precisions(truth, found, [0, 1, 2])
    # Class 0: true, false, true: precision 1 at recall 1/2, then 2/3. Class 2 has nothing.
    assert result == {0: (pytest.approx(0.5 + 0.5 * 2 / 3), 2), 1: (0.0, 1), 2: (0.0, 0)}
    assert metrics.mean_average_precision(result) == pytest.approx((5 / 6 + 0) / 2)
    assert metrics.mean_average_precision(result, weighted=True) == pytest.approx(2 * 5 / 6 / 3)


def test_pascal_lines_are_the_old_ones():
    lines = metrics.format_pascal({0: (0.83333, 2), 3: (0.0, 0)}, {0: "cat", 3: "dog"})
    assert lines == (
        "2 instances of class cat with average precision: 0.8333\n"
        "0 instances of class dog with average precision: 0.0000"
    )


def test_mean_without_ground_truth_is_zero():
    assert metrics.mean_average_precision({0: (0.0, 0)}) == 0
    assert metrics.mean_average_precision({}, weighted=True) == 0


def test_pascal_wants_detections_for_every_image():
    with pytest.raises(ValueError, match="of 2 annotated images, got 1"):
        metrics.pascal_average_precisions([annotations()] * 2, [detections()], [0])


def pycocotools_stats(ground_truth, results, image_ids=None, summarize=True):
    """The reference's twelve numbers, or its evaluation with 1, 10 and 150 detections."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(ground_truth)
        truth.createIndex()
        found = COCO()
        found.dataset = {
            **truth.dataset,
            "annotations": [
                {**item, "id": number, "area": item["bbox"][2] * item["bbox"][3], "iscrowd": 0}
                for number, item in enumerate(copy.deepcopy(results), start=1)
            ],
        }
        found.createIndex()
        run = COCOeval(truth, found, "bbox")
        if image_ids is not None:
            run.params.imgIds = image_ids
        if not summarize:
            run.params.maxDets = [1, 10, 150]
        run.evaluate()
        run.accumulate()
        if summarize:
            run.summarize()
    return run.stats if summarize else run.eval


def random_set(seed, images=12, boxes=6, crowds=0.1, noise=4.0):
    """A COCO dictionary and detections: shifted copies of its boxes, with some lost or doubled."""
    rng = np.random.default_rng(seed)
    entries, results = [], []
    for image in range(images):
        for _ in range(rng.integers(0, boxes + 1)):
            box = [
                *rng.uniform(0, 300, 2),
                *rng.choice([12, 50, 200], 2) * rng.uniform(0.7, 1.3, 2),
            ]
            category = int(rng.integers(1, 4))
            crowd = int(rng.random() < crowds)
            entry = {"image_id": image, "category_id": category, "bbox": box, "iscrowd": crowd}
            entries.append({**entry, "area": box[2] * box[3] * 0.8, "id": len(entries) + 1})
            for _ in range(rng.integers(0, 4)):
                moved = np.abs(np.array(box) + rng.normal(0, noise, 4)).tolist()
                score = round(float(rng.random()), 2)  # rounded, so that scores tie
                results.append({**entry, "bbox": moved, "score": score})
                del results[-1]["iscrowd"]
    categories = [{"id": number, "name": f"class {number}"} for number in (1, 2, 3, 9)]
    pictures = [{"id": image, "height": 500, "width": 600} for image in range(images)]
    return {"images": pictures, "annotations": entries, "categories": categories}, results


@pytest.mark.parametrize("seed", range(6))
def test_coco_equals_pycocotools(seed):
    ground_truth, results = random_set(seed, crowds=0.2 if seed % 2 else 0.0)
    before = copy.deepcopy((ground_truth, results))
    summary = metrics.coco_summary(ground_truth, results)
    np.testing.assert_allclose(
        list(summary.values()), pycocotools_stats(ground_truth, results), atol=1e-12
    )
    assert 0 < summary["AP"] < 1
    assert (ground_truth, results) == before


def test_coco_may_count_more_detections():
    ground_truth, results = random_set(5, images=2, boxes=900)
    usual = metrics.coco_summary(ground_truth, results)
    assert metrics.coco_summary(ground_truth, results, max_detections=3) == usual
    summary = metrics.coco_summary(ground_truth, results, max_detections=150)
    reference = pycocotools_stats(ground_truth, results, summarize=False)
    # IoUs, recalls, categories, areas, numbers of detections; -1 is for no ground truth.
    precision, recall = reference["precision"][..., 0, 2], reference["recall"][..., 0, 2]
    assert summary["AP"] == pytest.approx(precision[precision > -1].mean(), abs=1e-12)
    assert summary["AR100"] == pytest.approx(recall[recall > -1].mean(), abs=1e-12)
    assert summary["AP"] != usual["AP"]
    assert "maxDets=150 ] = " in metrics.format_coco(summary, 150)


def test_coco_on_some_of_the_images():
    ground_truth, results = random_set(3)
    summary = metrics.coco_summary(ground_truth, results, image_ids=[7, 1, 2])
    expected = pycocotools_stats(ground_truth, results, [1, 2, 7])
    np.testing.assert_allclose(list(summary.values()), expected, atol=1e-12)


def test_coco_takes_an_array_too():
    ground_truth, results = random_set(4)
    rows = [[r["image_id"], *r["bbox"], r["score"], r["category_id"]] for r in results]
    summary = metrics.coco_summary(ground_truth, results)
    assert metrics.coco_summary(ground_truth, np.array(rows)) == summary
    assert metrics.coco_summary(ground_truth, np.zeros((0, 7)))["AP"] == 0


def test_coco_without_detections_is_zero_as_in_pycocotools():
    ground_truth, _ = random_set(5)
    summary = metrics.coco_summary(ground_truth, [])
    np.testing.assert_array_equal(list(summary.values()), pycocotools_stats(ground_truth, []))
    assert summary["AP"] == 0


def test_coco_without_ground_truth_is_undefined_as_in_pycocotools():
    ground_truth, results = random_set(6)
    ground_truth["annotations"] = []
    expected = dict.fromkeys(COCO_KEYS, -1)
    assert metrics.coco_summary(ground_truth, results) == expected
    assert pycocotools_stats(ground_truth, results).tolist() == [-1] * 12
    assert metrics.coco_summary(ground_truth, [], image_ids=[]) == expected
    assert metrics.coco_summary({"images": [], "annotations": [], "categories": []}, []) == expected


def test_a_perfect_detector_reaches_one_even_with_id_zero_and_missing_fields():
    # pycocotools takes an annotation of id 0 for "no match" and so loses one true positive.
    entry = {"id": 0, "image_id": 5, "category_id": 0, "bbox": [1, 2, 30, 40]}
    ground_truth = {"images": [{"id": 5}], "annotations": [entry], "categories": [{"id": 0}]}
    summary = metrics.coco_summary(ground_truth, [{**entry, "score": 0.5}])
    assert (summary["AP"], summary["APm"], summary["APs"]) == (
        pytest.approx(1),
        pytest.approx(1),
        -1,
    )


def test_coco_names_a_foreign_image():
    ground_truth, _ = random_set(7)
    stray = {"image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1.0}
    with pytest.raises(ValueError, match=r"does not have: \[99\]"):
        metrics.coco_summary(ground_truth, [stray])


def test_table_has_the_familiar_lines():
    lines = metrics.format_coco(
        dict(zip(COCO_KEYS, np.linspace(0.5049, 0.0649, 12), strict=True))
    ).split("\n")
    assert (
        lines[0]
        == " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.505"
    )
    assert (
        lines[2]
        == " Average Precision  (AP) @[ IoU=0.75      | area=   all | maxDets=100 ] = 0.425"
    )
    assert (
        lines[6]
        == " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 0.265"
    )
    assert (
        lines[11]
        == " Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = 0.065"
    )
    assert len(lines) == 12
    assert metrics.format_coco({"AP": -1}).endswith("= -1.000")


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published detection sets are not here")
def test_published_coco_numbers():
    folder = PUBLISHED / "coco_fakebbox100"
    ground_truth, results = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("ground_truth", "detections")
    )
    summary = metrics.coco_summary(ground_truth, results)
    expected = [0.50458, 0.69697, 0.57298, 0.58563, 0.51940, 0.50140, 0.38681, 0.59368, 0.59535]
    np.testing.assert_allclose(list(summary.values())[:9], expected, atol=5e-6)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published detection sets are not here")
@pytest.mark.parametrize(
    ("iou_threshold", "expected"), [(0.1, 0.28013), (0.3, 0.22540), (0.5, 0.02222), (0.75, 0.0)]
)
def test_published_pascal_numbers(iou_threshold, expected):
    truth, found = [], []
    for path in sorted((PUBLISHED / "pascal_sample" / "groundtruths").iterdir()):
        rows = np.array([line.split()[1:] for line in path.read_text().splitlines()], "float64")
        truth.append({"bboxes": corners(rows), "labels": np.zeros(len(rows), int)})
        path = PUBLISHED / "pascal_sample" / "detections" / path.name
        rows = np.array([line.split()[1:] for line in path.read_text().splitlines()], "float64")
        rows = rows[np.argsort(-rows[:, 0], kind="stable")]
        found.append(Detections(corners(rows[:, 1:]), rows[:, 0], np.zeros(len(rows), int)))
    result = metrics.pascal_average_precisions(truth, found, [0], iou_threshold)
    assert result == {0: (pytest.approx(expected, abs=5e-6), 15)}


def corners(rows):
    """Boxes x1, y1, x2, y2 from x, y, width, height."""
    return np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], axis=1)


def test_coco_precision_of_each_category():
    truth = {
        "images": [{"id": 1}, {"id": 2}],
        "categories": [{"id": 7}, {"id": 9}, {"id": 12}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 10, 50, 50]},
            {"id": 2, "image_id": 1, "category_id": 7, "bbox": [100, 100, 50, 50]},
            {"id": 3, "image_id": 2, "category_id": 9, "bbox": [10, 10, 50, 50]},
        ],
    }
    found = [
        {"image_id": 1, "category_id": 7, "bbox": [10, 10, 50, 50], "score": 0.9},
        {"image_id": 1, "category_id": 7, "bbox": [100, 100, 50, 50], "score": 0.8},
        {"image_id": 2, "category_id": 9, "bbox": [200, 10, 50, 50], "score": 0.9},
        {"image_id": 2, "category_id": 9, "bbox": [10, 10, 50, 50], "score": 0.8},
    ]
    summary, precisions = metrics.coco_evaluation(truth, found)
    assert precisions == {7: pytest.approx(1), 9: pytest.approx(0.5)}  # of 12 there is none
    assert summary["AP"] == pytest.approx(0.75)
    assert metrics.coco_evaluation(truth, [])[1] == {7: 0, 9: 0}
    assert metrics.coco_evaluation(truth, found, image_ids=[])[1] == {}


@pytest.mark.parametrize("seed", range(3))
def test_ranges_of_the_area_are_those_of_coco(seed):
    ground_truth, results = random_set(seed, images=30)
    for entry in ground_truth["annotations"]:
        entry["area"] = entry["bbox"][2] * entry["bbox"][3]
    expected = pycocotools_stats(ground_truth, results)[3:6]
    found = metrics.precision_by_range(
        ground_truth, results, lambda width, height: width * height, [0, 32**2, 96**2, 1e10]
    )
    np.testing.assert_allclose([ap for ap, _ in found], expected, atol=1e-9)
    objects = sum(not entry["iscrowd"] for entry in ground_truth["annotations"])
    assert sum(count for _, count in found) == objects


def test_ranges_of_the_ratio_of_the_sides_on_some_of_the_images():
    wide, square, tall = [0, 0, 80, 20], [100, 0, 40, 50], [200, 0, 10, 90]
    entries = [
        {"id": number, "image_id": image, "category_id": 1, "bbox": box, "iscrowd": 0}
        for number, (image, box) in enumerate([(0, wide), (0, square), (0, tall), (1, tall)], 1)
    ]
    ground_truth = {
        "images": [{"id": 0}, {"id": 1}],
        "annotations": entries,
        "categories": [{"id": 1, "name": "a"}],
    }
    # The tall one is not found; before the wide one is a false square one.
    rows = [([400, 0, 50, 50], 0.9), (wide, 0.8), (square, 0.7)]
    results = [
        {"image_id": 0, "category_id": 1, "bbox": box, "score": score} for box, score in rows
    ]
    found = metrics.precision_by_range(
        *(ground_truth, results, lambda width, height: height / width, [0, 0.5, 2, 20, 30]), [0]
    )
    assert found == [(pytest.approx(1), 1), (pytest.approx(1 / 2), 1), (0, 1), (-1, 0)]
    assert metrics.precision_by_range({**ground_truth, "categories": []}, [], max, [0, 1]) == [
        (-1, 0)
    ]
