"""evaluation: a network that finds rectangles, and the old package's numbers."""

import json

import cv2
import numpy as np
import pytest

from keras_retinanet.detection.detector import Detector
from keras_retinanet.evaluation import measure, metrics
from keras_retinanet.preprocessing.coco import CocoGenerator
from tests.fakes import (
    FindRectangle,
    MemoryGenerator,
    detailed_finder,
    picture,
    rectangle_finder,
    tiny_retinanet,
    truth,
)


@pytest.fixture(scope="module")
def finder():
    return rectangle_finder()


@pytest.fixture
def rectangles():
    """Seven images of three sizes: five right, one with a wrong label, one empty."""
    boxes = [(4, 6, 40, 30), (10, 0, 64, 48), (0, 5, 20, 48), (8, 8, 16, 40), (30, 20, 50, 47)]
    sizes = [(48, 64), (48, 64), (64, 48), (96, 48), (48, 64)]
    images = [
        picture(*size, box, label=i % 2, score=0.9 - 0.1 * i)
        for i, (size, box) in enumerate(zip(sizes, boxes, strict=True))
    ]
    annotations = [truth((*box, i % 2)) for i, box in enumerate(boxes)]
    images += [picture(48, 64, (1, 1, 30, 30), label=0, score=0.95), picture(96, 48)]
    annotations += [truth((1, 1, 30, 30, 1)), truth()]
    return images, annotations


def dataset(rectangles, **options):
    return MemoryGenerator(*rectangles, **options)


def test_detections_are_in_pixels_of_the_original(rectangles, finder):
    generator = dataset(rectangles, no_resize=False, image_min_side=96, image_max_side=192)
    found, seconds = measure.detect_dataset(generator, finder)
    assert [len(one) for one in found] == [1, 1, 1, 1, 1, 1, 0]
    for one, expected in zip(found[:6], rectangles[1], strict=False):
        np.testing.assert_allclose(one.boxes, expected["bboxes"], atol=0.5)
    np.testing.assert_allclose(
        [one.scores[0] for one in found[:6]], [0.9, 0.8, 0.7, 0.6, 0.5, 0.95], atol=0.005
    )
    assert [one.labels[0] for one in found[:6]] == [0, 1, 0, 1, 0, 0]
    assert 0 < seconds < 5


@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_batch_size_changes_nothing(rectangles, finder, batch_size):
    single, _ = measure.detect_dataset(dataset(rectangles), finder)
    batched, _ = measure.detect_dataset(dataset(rectangles), finder, batch_size=batch_size)
    for one, other in zip(single, batched, strict=True):
        for name in ("boxes", "scores", "labels"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_batch_size_changes_nothing_for_a_real_network():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, size, "uint8") for size in ((70, 90, 3), (90, 70, 3)) * 3]
    generator = MemoryGenerator(images, [truth()] * 6)
    detector = Detector(tiny_retinanet(), score_threshold=0.0)
    results = [
        measure.detect_dataset(generator, detector, 0.0, 20, batch_size=batch_size)[0]
        for batch_size in (1, 2, 6)
    ]
    for batched in results[1:]:
        for one, other in zip(results[0], batched, strict=True):
            assert len(one) == 20
            np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


def test_images_share_a_batch_only_with_those_of_their_size(rectangles, finder, monkeypatch):
    shapes = []
    run_network = Detector.run_network
    monkeypatch.setattr(
        Detector,
        "run_network",
        lambda self, batch: shapes.append(batch.shape) or run_network(self, batch),
    )
    measure.detect_dataset(dataset(rectangles), finder, batch_size=3)
    assert sorted(shapes) == [(1, 48, 64, 3), (1, 64, 48, 3), (2, 96, 48, 3), (3, 48, 64, 3)]


def test_few_images_wait_in_memory():
    from keras_retinanet.detection.detector import Prepared, equal_sizes

    samples = [(i, Prepared(np.zeros((1, 1 + i % 50, 3)), 1.0, (1, 1))) for i in range(200)]
    drawn = []
    batches = equal_sizes((drawn.append(s[0]) or s for s in samples), 4)
    waiting, done = [], []
    for group in batches:
        done += [index for index, _ in group]
        waiting.append(len(drawn) - len(done))
        assert len({sample.image.shape for _, sample in group}) == 1
    assert max(waiting) < 32
    assert sorted(done) == list(range(200))


def test_the_network_is_traced_once_for_all_sizes(rectangles, finder):
    generator = dataset(rectangles)
    detector = measure.as_detector(finder, generator)
    before = FindRectangle.traces
    for batch_size in (1, 2, 3):
        measure.detect_dataset(generator, detector, batch_size=batch_size)
    assert FindRectangle.traces == before


def test_score_threshold_and_max_detections(rectangles, finder):
    generator = dataset(rectangles)
    found, _ = measure.detect_dataset(generator, finder, score_threshold=0.65)
    assert [len(one) for one in found] == [1, 1, 1, 0, 0, 1, 0]
    found, _ = measure.detect_dataset(generator, finder, max_detections=0)
    assert sum(map(len, found)) == 0


def test_progress_counts_every_image(rectangles, finder):
    steps = []
    measure.detect_dataset(dataset(rectangles), finder, batch_size=2, progress=steps.append)
    assert sum(steps) == 7
    assert max(steps) == 2


def test_an_unreadable_image_raises_or_counts_as_empty(rectangles, finder):
    rectangles[0][1] = ValueError("memory/1: expected an image")
    with pytest.raises(ValueError, match="memory/1: expected an image"):
        measure.detect_dataset(dataset(rectangles, strict=True), finder)
    with pytest.warns(UserWarning, match="without detections: memory/1"):
        found, _ = measure.detect_dataset(dataset(rectangles), finder, batch_size=3)
    assert [len(one) for one in found] == [1, 0, 1, 1, 1, 1, 0]


def test_evaluate_by_hand(rectangles, finder):
    precisions, seconds = measure.evaluate(dataset(rectangles), finder)
    # Class 0: the wrong label scores best (0.95), then three hits: precision 3/4 at recall 1.
    # Class 1: two hits, then nothing: the third box was labelled 0.
    assert precisions == {0: (pytest.approx(3 / 4), 3), 1: (pytest.approx(2 / 3), 3)}
    assert seconds > 0


def test_evaluate_saves_pictures(rectangles, finder, tmp_path):
    folder = tmp_path / "new" / "pictures"
    measure.evaluate(dataset(rectangles), finder, save_path=str(folder))
    assert sorted(path.name for path in folder.iterdir()) == [f"{i}.png" for i in range(7)]
    image = cv2.imread(str(folder / "0.png"))
    assert image.shape == (48, 64, 3)
    assert image[30, 20].tolist() == [0, 0, 255]  # the lower edge of a detection of label 0
    assert rectangles[0][0][30, 20].tolist() == [0, 0, 0]


def test_an_unreadable_image_has_no_picture(rectangles, finder, tmp_path):
    images, annotations = rectangles
    generator = dataset(([ValueError("cut off"), *images[1:]], annotations))
    with pytest.warns(UserWarning, match="counts as without detections: cut off"):
        measure.evaluate(generator, finder, save_path=str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{i}.png" for i in range(1, 7)]


def test_evaluate_coco_prints_the_table(rectangles, finder, capsys):
    stats = measure.evaluate_coco(dataset(rectangles), finder)
    # 101 recall points: class 0 has precision 3/4 at each, class 1 has 1 up to 2/3 (67 points).
    assert stats[0] == pytest.approx((3 / 4 + 67 / 101) / 2)
    assert stats[8] == pytest.approx((1 + 2 / 3) / 2)
    assert stats.shape == (12,)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert lines[0] == (
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.707"
    )
    measure.evaluate_coco(dataset(rectangles), finder, verbose=0)
    assert capsys.readouterr().out == ""


def test_no_detections_and_no_ground_truth(finder):
    images = [picture(32, 32)]
    generator = MemoryGenerator(images, [truth((1, 1, 9, 9, 0))])
    assert measure.evaluate(generator, finder)[0] == {0: (0.0, 1), 1: (0.0, 0)}
    assert measure.evaluate_coco(generator, finder, verbose=0)[0] == 0
    generator = MemoryGenerator([picture(32, 32, (1, 1, 9, 9))], [truth()])
    assert measure.evaluate(generator, finder)[0] == {0: (0.0, 0), 1: (0.0, 0)}
    assert measure.evaluate_coco(generator, finder, verbose=0).tolist() == [-1] * 12


def write_coco_set(folder, images, annotations):
    """A val2017 set on disk whose category ids have gaps."""
    (folder / "images" / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    entries = []
    for index, image in enumerate(images):
        cv2.imwrite(str(folder / "images" / "val2017" / f"{index}.png"), image)
        height, width = image.shape[:2]
        entries.append(
            {"id": 7 + index, "file_name": f"{index}.png", "height": height, "width": width}
        )
    contents = {
        "images": entries,
        "categories": [{"id": 3, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [{"id": i, **entry} for i, entry in enumerate(annotations, start=1)],
    }
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(contents))


def test_coco_sets_keep_their_ids_and_their_crowds(tmp_path, finder):
    images = [
        picture(48, 64, (4, 6, 40, 30), label=1, score=0.6),
        picture(48, 64, (10, 10, 20, 20), label=1, score=0.9),
    ]
    dog = {"category_id": 18, "iscrowd": 0}
    annotations = [
        {**dog, "image_id": 7, "bbox": [4, 6, 36, 24], "area": 864},
        {**dog, "image_id": 8, "bbox": [0, 0, 64, 48], "area": 3072, "iscrowd": 1},
    ]
    write_coco_set(tmp_path, images, annotations)
    options = {"no_resize": True, "preprocess_image": lambda image: image.astype("float32")}
    generator = CocoGenerator(str(tmp_path), "val2017", **options)
    stats = measure.evaluate_coco(generator, finder, verbose=0)
    # The better scored detection lies in the crowd and so counts neither way.
    assert stats[0] == pytest.approx(1)
    # Pascal's rule knows no crowds: the same detection is a false positive, before the true one.
    assert measure.evaluate(generator, finder)[0] == {0: (0.0, 0), 1: (pytest.approx(1 / 2), 1)}


def test_labels_that_the_data_set_lacks_are_left_out(finder):
    generator = MemoryGenerator(
        [picture(32, 32, (1, 1, 9, 9), label=1)], [truth((1, 1, 9, 9, 2))], ("cat", None, "dog")
    )
    assert measure.evaluate(generator, finder)[0] == {0: (0.0, 0), 2: (0.0, 1)}
    assert measure.evaluate_coco(generator, finder, verbose=0)[0] == 0


class OldModel:
    """What keras-retinanet 1.0.0 asks of a model: nothing but `predict_on_batch`."""

    def __init__(self, found):
        self.found = found

    def predict_on_batch(self, batch):
        one = self.found[int(batch[0, 0, 0, 0])]
        return [value[None] for value in one]


def old_case(seed=11):
    """20 images with up to 7 boxes of classes 0, 1, 3, each found three times, a bit beside."""
    rng, annotations, found = np.random.default_rng(seed), [], []
    for _ in range(20):
        count = int(rng.integers(0, 8))
        corner, side = rng.uniform(40, 100, (count, 2)), rng.uniform(15, 60, (count, 2))
        boxes, labels = np.concatenate([corner, corner + side], 1), rng.integers(0, 3, count)
        labels[labels == 2] = 3
        annotations.append({"bboxes": boxes, "labels": labels})
        copies = np.repeat(np.arange(count), 3)
        moved = boxes[copies] + rng.normal(0, 6, (3 * count, 4))
        scores = rng.random(3 * count)
        order = np.argsort(-scores)
        found.append((moved[order], scores[order], labels[copies][order]))
    images = [np.full((220, 220, 3), i, "uint8") for i in range(20)]
    return MemoryGenerator(images, annotations, list("abcde")), OldModel(found)


@pytest.mark.filterwarnings("default:an image has 7 objects, but at most 5")
@pytest.mark.parametrize(
    ("iou_threshold", "score_threshold", "max_detections", "expected"),
    [
        (0.5, 0.05, 100, (0.487773374, 0.702075163, 0.411297807)),
        (0.3, 0.2, 5, (0.65137202, 0.65952381, 0.571163202)),
        (0.75, 0.05, 100, (0.047426258, 0.054737295, 0.048279666)),
    ],
)
def test_numbers_are_those_of_the_old_package(
    iou_threshold, score_threshold, max_detections, expected
):
    # Computed with keras-retinanet 1.0.0's evaluate() from the same arrays.
    generator, model = old_case()
    precisions, _ = measure.evaluate(
        generator, model, iou_threshold, score_threshold, max_detections
    )
    assert {label: count for label, (_, count) in precisions.items()} == {
        0: 19,
        1: 15,
        2: 0,
        3: 19,
        4: 0,
    }
    found = [precisions[label][0] for label in (0, 1, 3)]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (
            0.05,
            [
                *(0.16023752251, 0.538250689511, 0.0507747133613),
                *(0.0774421140779, 0.2916756447, -1.0),
                *(0.124795321637, 0.381754385965, 0.38350877193),
                *(0.258333333333, 0.480471380471, -1.0),
            ],
        ),
        (
            0.4,
            [
                *(0.13741665974, 0.482861917905, 0.0349107384343),
                *(0.050306519663, 0.268357719094, -1.0),
                *(0.115906432749, 0.291695906433, 0.291695906433),
                *(0.1375, 0.404377104377, -1.0),
            ],
        ),
    ],
)
def test_coco_numbers_are_those_of_the_old_package(
    threshold, expected, tmp_path, monkeypatch, capsys
):
    # Computed with keras-retinanet 1.0.0's evaluate_coco() from the same arrays.
    monkeypatch.chdir(tmp_path)
    stats = measure.evaluate_coco(*old_case(), threshold)
    np.testing.assert_allclose(stats, expected, atol=1e-9)
    assert capsys.readouterr().out.count("Average") == 12
    # The old package left two files of results here.
    assert list(tmp_path.iterdir()) == []


def test_both_evaluators_prepare_images_as_the_data_set_says(rectangles):
    seen = []

    class Recorder(OldModel):
        def predict_on_batch(self, batch):
            seen.append((batch.shape, batch.dtype, float(batch.max())))
            return [np.zeros((1, 0, 4)), np.zeros((1, 0)), np.zeros((1, 0), int)]

    generator = MemoryGenerator(
        [picture(40, 60, (0, 0, 60, 40))],
        [truth()],
        no_resize=False,
        image_min_side=80,
        image_max_side=100,
        preprocess_image=lambda image: image / 255.0 + 1,
    )
    measure.evaluate(generator, Recorder(None))
    measure.evaluate_coco(generator, Recorder(None), verbose=0)
    assert seen == [((1, 67, 100, 3), np.dtype("float32"), 2.0)] * 2


def test_wrong_number_of_classes_is_named(rectangles):
    generator = dataset(rectangles, names=("cat", "dog", "cow"))
    with pytest.raises(ValueError, match=r"has 2 classes \(names unknown\).* 3 \(cat, dog, cow\)"):
        measure.detect_dataset(generator, detailed_finder(class_names=None))


def test_published_keys_are_the_coco_order():
    assert metrics.COCO_KEYS[:3] == ("AP", "AP50", "AP75")
    assert metrics.COCO_KEYS[6:9] == ("AR1", "AR10", "AR100")


class FindEverything:
    """A model that finds given boxes on each image, the first of them with the best score."""

    def __init__(self, boxes):
        self.boxes = boxes

    def predict_on_batch(self, batch):
        count = len(self.boxes)
        outputs = self.boxes, np.linspace(1, 0.5, count), np.zeros(count, int)
        return [np.stack([output] * len(batch)) for output in outputs]


def crowded(count):
    """A data set of one image with `count` objects, and a model that finds them, then as many."""
    boxes = np.array([[4 * i, 0, 4 * i + 3, 3] for i in range(count)], "float64")
    rows = np.column_stack([boxes, np.zeros(count)])
    model = FindEverything(np.concatenate([boxes, boxes + 500]))
    return MemoryGenerator([picture(16, 4 * count)], [truth(*rows)], ["cat"]), model


def test_as_many_detections_count_as_an_image_has_objects():
    generator, model = crowded(150)
    assert measure.detection_limit(generator) == 150
    assert measure.detection_limit(generator, 7) == 7
    assert measure.detection_limit(crowded(20)[0]) == 100
    with pytest.warns(UserWarning, match="an image has 150 objects, but at most 100 detections"):
        precisions, _ = measure.evaluate(generator, model)
    assert precisions[0][0] == pytest.approx(100 / 150)
    precisions, _ = measure.evaluate(generator, model, max_detections=150)
    assert precisions[0][0] == pytest.approx(1)
    with pytest.warns(UserWarning, match="an image has 150 objects"):
        assert measure.evaluate_coco(generator, model, verbose=0)[0] < 0.7
    assert measure.evaluate_coco(generator, model, max_detections=150, verbose=0)[0] == 1


@pytest.mark.parametrize("evaluate", [measure.evaluate, measure.evaluate_coco])
def test_a_model_keeps_as_many_detections_as_are_asked_for(rectangles, monkeypatch, evaluate):
    asked = []

    class Recording(Detector):
        def __init__(self, *arguments, **options):
            asked.append(options)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(measure, "Detector", Recording)
    evaluate(dataset(rectangles), tiny_retinanet(), max_detections=700)
    evaluate(dataset(rectangles), tiny_retinanet())
    assert [options["max_detections"] for options in asked] == [700, 300]
