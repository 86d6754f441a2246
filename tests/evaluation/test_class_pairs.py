"""class_pairs: outputs and labels by name, and the numbers of detections relabelled by hand."""

import contextlib
import io
import json
import warnings

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_retinanet import models
from keras_retinanet.callbacks.coco import CocoEval
from keras_retinanet.callbacks.eval import Evaluate
from keras_retinanet.detection.detector import Detector
from keras_retinanet.drawing import label_color
from keras_retinanet.evaluation import class_pairs, legacy, measure, metrics
from keras_retinanet.evaluation.metrics import Detections
from keras_retinanet.preprocessing.coco import CocoGenerator
from keras_retinanet.reports.numbers import format_numbers
from tests.fakes import MemoryGenerator, picture, tiny_retinanet, truth

# The ids of 1 to 90 that COCO does not use.
HOLES = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def pair(model_names, dataset_names, **options):
    labels = class_pairs.pair(model_names, len(model_names), dataset_names, **options)
    return labels if labels is None else labels.tolist()


@pytest.mark.parametrize(
    ("model_names", "dataset_names"),
    [
        (("cat", "dog"), ["cat", "dog"]),
        (("Cat", "traffic_light", "motorcycle"), ["cat", "traffic light", "motorbike"]),
        (("cat", "dog"), ["cat", "cow"]),  # a class was renamed
        (("cat", "dog"), ["cow", "sheep"]),
        (("cat", "dog"), ["cat", None]),
    ],
)
def test_pairs_by_number(model_names, dataset_names):
    assert pair(model_names, dataset_names) is None


def test_a_name_at_another_number_means_other_numbers():
    assert pair(("cat", "dog"), ["cow", "cat"]) == [1, -1]
    assert pair(("a", "b", "c"), ["c", "x", "y"]) == [-1, -1, 0]


def test_unknown_names_are_paired_by_number():
    assert class_pairs.pair(None, 2, ["cat", "dog"]) is None
    assert class_pairs.pair(None, 2, ["cat", "dog"], labels_are_given=False) is None


@pytest.mark.parametrize(
    ("model_names", "dataset_names", "expected"),
    [
        (("dog", "cat"), ["cat", "dog"], [1, 0]),
        (("Dog", "motorcycle"), ["motorbike", "dog"], [1, 0]),
        (("cat", "dog", "cow"), ["cat", "dog"], [0, 1, -1]),
        (("dog",), ["cat", "dog", "cow"], [1]),
        ((None, "person", "sofa", None, "tv"), ["TV", "couch", "person"], [-1, 2, 1, -1, 0]),
        (("cat", None, "dog"), ["cat", None, "dog"], [0, -1, 2]),
        (("cat", "dog", None), ["cat", None, "dog"], [0, 2, -1]),
        # Two with the same name: the equal spelling, otherwise the first.
        (("Cat", "cat", "dog"), ["dog", "cat"], [-1, 1, 0]),
        (("Cat", "CAT", "dog"), ["dog", "cat"], [1, -1, 0]),
        (("cat", "dog", "cow"), ["Cat", "cat"], [1, -1, -1]),
        (("Cat", "cat", "dog"), ["CAT", "cat"], [0, 1, -1]),
        (("CAT",), ["dog", "Cat", "cat"], [1]),
    ],
)
def test_pairs_by_name(model_names, dataset_names, expected):
    assert pair(model_names, dataset_names) == expected


def test_classes_found_in_annotations_have_no_numbers_of_their_own():
    assert pair(("cat", "dog"), ["cow", "dog"], labels_are_given=False) == [-1, 1]
    assert pair(("cat", "dog"), ["cat", "dog"], labels_are_given=False) is None
    with pytest.raises(ValueError, match="no class is in both"):
        pair(("cat", "dog"), ["ant", "bee"], labels_are_given=False)


def test_classes_that_cannot_be_paired_are_refused():
    with pytest.raises(ValueError) as error:
        pair((None, *(f"class {i}" for i in range(90))), ["x" * 1000, "helmet"])
    assert str(error.value) == (
        "the model has 90 classes in 91 outputs (class 0, class 1, class 2, class 3, class 4, and "
        f"85 more), the data set has 2 ({'x' * 17} ... {'x' * 17}, helmet): no class is in both, "
        "so there is nothing to measure"
    )
    with pytest.raises(ValueError) as error:
        class_pairs.pair(None, 80, ["cat"])
    assert str(error.value) == (
        "the model has 80 classes (names unknown), the data set has 1 (cat): the model's names are "
        "needed to pair its classes with others"
    )


NAMES = ("a", "b", "c", "d", "e")


def test_relabel_by_hand():
    found = Detections(
        np.arange(20.0).reshape(5, 4),
        np.array([0.9, 0.8, 0.7, 0.6, 0.5]),
        np.array([2, 0, 1, 7, 2]),
        capped=True,
    )
    new = class_pairs.relabel(found, np.array([4, -1, 0]), NAMES)
    assert new.labels.tolist() == [0, 4, 0]
    assert new.scores.tolist() == [0.9, 0.8, 0.5]
    assert new.boxes[:, 0].tolist() == [0, 4, 16]
    assert new.capped
    assert found.labels.tolist() == [2, 0, 1, 7, 2]
    assert new.names == ["a", "e", "a"]
    same = class_pairs.relabel(found, None, NAMES)
    assert same.labels is found.labels
    assert same.class_names is NAMES
    assert len(class_pairs.relabel(Detections.empty(), np.array([0]), NAMES)) == 0


@pytest.mark.parametrize(
    ("model_names", "dataset_names", "expected"),
    [
        (
            ("person", "bicycle", "car", *(f"thing {i}" for i in range(77))),
            ["person", "car", "helmet"],
            "2 of the data set's 3 (person, car); helmet is not known to the model: its boxes "
            "count as missed (AP 0); 78 other classes of the model do not count",
        ),
        (("dog", "cat"), ["cat", "dog"], "all 2 of the data set (cat, dog)"),
        (
            (None, "dog", "cat"),
            ["cat", None, "ant", "bee"],
            "1 of the data set's 3 (cat); ant, bee are not known to the model: their boxes count "
            "as missed (AP 0); 1 other class of the model does not count; 1 output without a name "
            "does not count",
        ),
        (
            (None, None, *"abcdefg"),
            list("gfedcba"),
            "all 7 of the data set (g, f, e, d, c, and 2 more); 2 outputs without a name do not "
            "count",
        ),
    ],
)
def test_pairs_in_words(model_names, dataset_names, expected):
    labels = class_pairs.pair(model_names, len(model_names), dataset_names)
    text = class_pairs.describe(labels, model_names, dataset_names)
    assert text == f"classes are paired by name: {expected}"


def test_nothing_is_said_where_numbers_are_labels():
    for model_names, dataset_names in (
        (None, ["cat"]),
        (("cat", "dog"), ["cat", "dog"]),
        (("cat", None, "dog"), ["cat", None, "dog"]),
        (("cat", "dog"), ["cat", "cow"]),
    ):
        labels = class_pairs.pair(model_names, len(dataset_names), dataset_names)
        assert class_pairs.describe(labels, model_names, dataset_names) is None


class Told:
    """A model that knows its classes, and finds on an image of value `i` what it is told."""

    def __init__(self, found, names, padding=1):
        self.found, self.padding = found, padding
        self.info = models.ModelInfo("resnet50", len(names), tuple(names))

    def predict_on_batch(self, batch):
        (image,) = batch
        one = self.found[int(image[0, 0, 0])]
        return [
            np.concatenate([part, np.full((self.padding, *part.shape[1:]), -1)])[None]
            for part in (one.boxes, one.scores, one.labels)
        ]


def random_case(seed, dataset_names, model_names, images=8):
    """Annotations, and detections near their boxes: some of another class, some far away."""
    rng = np.random.default_rng(seed)
    shared = [i for i, name in enumerate(model_names) if name in dataset_names]
    annotations, found = [], []
    for _ in range(images):
        count = int(rng.integers(2, 9))
        corner, side = rng.uniform(0, 60, (count, 2)), rng.uniform(12, 50, (count, 2))
        boxes = np.concatenate([corner, corner + side], axis=1).round(1)
        # Few labels, so that a curve has more than one point.
        labels = rng.integers(0, min(len(dataset_names), 6), count)
        annotations.append({"bboxes": boxes, "labels": labels})
        copies = np.repeat(np.arange(count), 3)
        near = (boxes[copies] + rng.normal(0, 3, (3 * count, 4))).clip(0, 120)
        names = [dataset_names[label] for label in labels[copies]]
        outputs = np.array([model_names.index(n) if n in model_names else shared[0] for n in names])
        wrong = rng.random(len(outputs)) < 0.2
        outputs[wrong] = rng.choice(shared, wrong.sum())
        scores = np.sort(rng.uniform(0.1, 0.9, len(outputs)))[::-1]
        found.append(Detections(near, scores, outputs))
    return annotations, found


def with_better_ones(found, outputs):
    """Detections with 20 better ones of each of some outputs."""
    count = 20 * len(outputs)
    parts = np.full((count, 4), [0, 0, 60, 60.0]), np.full(count, 0.99), np.repeat(outputs, 20)
    return [
        Detections(
            *(
                np.concatenate(pair)
                for pair in zip(parts, (one.boxes, one.scores, one.labels), strict=True)
            )
        )
        for one in found
    ]


def memory_set(annotations, names):
    images = [np.full((120, 120, 3), i, "uint8") for i in range(len(annotations))]
    return MemoryGenerator(images, annotations, names)


def by_hand(found, dataset_names, model_names):
    """Detections with the data set's labels, one after another."""
    results = []
    for one in found:
        rows = [
            (box, score, dataset_names.index(model_names[output]))
            for box, score, output in zip(one.boxes, one.scores, one.labels, strict=True)
            if model_names[output] in dataset_names
        ]
        results.append(Detections(*map(np.array, zip(*rows, strict=True))))
    return results


def coco_91():
    return [None if i in (0, *HOLES) else f"thing {i}" for i in range(91)]


def write_coco_set(folder, annotations, names):
    """A COCO set on disk whose ids descend, so that its labels are not in the order of `names`."""
    (folder / "val2017").mkdir()
    (folder / "annotations").mkdir()
    for i in range(len(annotations)):
        cv2.imwrite(str(folder / "val2017" / f"{i}.png"), np.full((120, 120, 3), i, "uint8"))
    boxes = [
        {
            "image_id": 500 + i,
            "category_id": 1000 - 3 * int(label),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
        }
        for i, one in enumerate(annotations)
        for (x1, y1, x2, y2), label in zip(one["bboxes"].tolist(), one["labels"], strict=True)
    ]
    contents = {
        "images": [
            {"id": 500 + i, "file_name": f"{i}.png", "height": 120, "width": 120}
            for i in range(len(annotations))
        ],
        "categories": [{"id": 1000 - 3 * i, "name": name} for i, name in enumerate(names)],
        "annotations": [{"id": i, **box} for i, box in enumerate(boxes, start=1)],
    }
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(contents))
    return contents


def pycocotools_stats(truth, results):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


def test_91_outputs_on_the_80_classes_of_a_coco_set(tmp_path):
    outputs = coco_91()
    names = [name for name in outputs if name is not None]
    annotations, found = random_case(3, names, outputs)
    found = with_better_ones(found, [0, *HOLES])
    spelled = [name.replace("thing ", "Thing_") for name in names]
    contents = write_coco_set(tmp_path, annotations, spelled)
    generator = CocoGenerator(
        str(tmp_path), "val2017", no_resize=True, preprocess_image=lambda image: image + 0.0
    )
    with pytest.warns(UserWarning) as told:
        stats = measure.evaluate_coco(generator, Told(found, outputs), verbose=0)
    assert [str(warning.message) for warning in told] == [
        "classes are paired by name: all 80 of the data set (Thing_90, Thing_89, Thing_88, "
        "Thing_87, Thing_86, and 75 more); 11 outputs without a name do not count"
    ]
    results = [
        {
            "image_id": 500 + i,
            "category_id": 1000 - 3 * int(label),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for i, one in enumerate(by_hand(found, names, outputs))
        for (x1, y1, x2, y2), score, label in zip(
            one.boxes.tolist(), one.scores.tolist(), one.labels, strict=True
        )
    ]
    np.testing.assert_allclose(stats, pycocotools_stats(contents, results), atol=1e-9)
    assert 0.05 < stats[0] < 0.95


@pytest.mark.filterwarnings("ignore:classes are paired by name")
@pytest.mark.parametrize(
    ("model_names", "dataset_names"),
    [
        (list("abcde"), list("ecbda")),
        (list("abcdefgh"), list("hca")),
        (["a", None, "b", "c", None], list("cxyabz")),
        (coco_91(), [f"thing {i}" for i in (44, 1, 90, 13)]),
    ],
)
def test_numbers_are_those_of_detections_relabelled_by_hand(model_names, dataset_names):
    annotations, found = random_case(5, dataset_names, model_names)
    generator, model = memory_set(annotations, dataset_names), Told(found, model_names)
    expected = by_hand(found, dataset_names, model_names)
    precisions, _ = measure.evaluate(generator, model)
    assert precisions == metrics.pascal_average_precisions(
        annotations, expected, range(len(dataset_names))
    )
    stats = measure.evaluate_coco(generator, model, verbose=0)
    summary = measure.coco_numbers(generator, expected)
    np.testing.assert_array_equal(stats, list(summary.values()))
    assert 0 < summary["AP"] < 1
    nested, _ = legacy.get_detections(generator, model)
    assert [len(boxes) for boxes in nested[0]] == np.bincount(
        expected[0].labels, minlength=len(dataset_names)
    ).tolist()


@pytest.mark.filterwarnings("ignore:classes are paired by name")
@pytest.mark.parametrize("limit", [3, 100])
def test_what_does_not_count_takes_no_places(limit):
    # Classes that the data set lacks, and outputs without a name, with the best scores.
    model_names, dataset_names = ["a", None, "b", "c", "d", None], list("cab")
    annotations, plain = random_case(7, dataset_names, model_names)
    crowded = with_better_ones(plain, [1, 4, 5])
    generator = memory_set(annotations, dataset_names)
    numbers = [
        measure.detect_dataset(generator, Told(found, model_names), 0.05, limit)[0]
        for found in (plain, crowded)
    ]
    for one, other in zip(*numbers, strict=True):
        assert 0 < len(one) <= limit
        for part in ("boxes", "scores", "labels"):
            np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


def test_outputs_without_a_name_never_count():
    # The same names by number: the data set has no class 1 either.
    annotations = [truth((0, 0, 20, 20, 0))]
    found = [Detections(np.tile([0, 0, 20, 20.0], (2, 1)), np.array([0.9, 0.8]), np.array([1, 0]))]
    generator = memory_set(annotations, ["cat", None, "dog"])
    model = Told(found, ["cat", None, "dog"])
    (one,), _ = measure.detect_dataset(generator, model, max_detections=1)
    assert one.labels.tolist() == [0]
    assert measure.evaluate(generator, model)[0] == {0: (1.0, 1), 2: (0.0, 0)}


@pytest.mark.filterwarnings("ignore:classes are paired by name")
def test_a_class_that_the_model_does_not_know_is_missed():
    annotations = [truth((0, 0, 20, 20, 0), (30, 30, 60, 60, 1))]
    boxes = np.array([[0, 0, 20, 20], [30, 30, 60, 60.0]])
    model = Told(
        [Detections(boxes, np.array([0.9, 0.8]), np.array([2, 0]))], ["hat", "x", "person"]
    )
    generator = memory_set(annotations, ["person", "helmet"])
    precisions, seconds = measure.evaluate(generator, model)
    assert precisions == {0: (1.0, 1), 1: (0.0, 1)}
    stats = measure.evaluate_coco(generator, model, verbose=0)
    assert stats[0] == pytest.approx(0.5)
    summary = dict(zip(metrics.COCO_KEYS, stats, strict=True))
    lines = format_numbers(generator, precisions, summary, seconds).splitlines()
    assert lines[:2] == [
        "1 instances of class person with average precision: 1.0000",
        "1 instances of class helmet with average precision: 0.0000",
    ]
    assert lines[4] == "mAP: 0.5000"


def test_no_common_class_is_refused_before_anything_runs():
    generator = memory_set([truth()], ["helmet"])
    model = Told([], ["cat", "dog"])
    for run in (measure.check_classes, measure.as_detector):
        with pytest.raises(ValueError, match="no class is in both"):
            run(model, generator)
    for run in (measure.evaluate, measure.evaluate_coco, measure.detect_dataset):
        with pytest.raises(ValueError, match="no class is in both"):
            run(generator, model)


def test_other_names_by_number_are_named():
    generator = memory_set([truth()], ["cat", "dog"])
    with pytest.warns(UserWarning, match=r"\['cat', 'cow'\], the data set's \['cat', 'dog'\]"):
        measure.warn_of_other_names(Told([], ["cat", "cow"]), generator)
    for quiet in (Told([], ["dog", "cat"]), Told([], ["cat", "Dog"]), tiny_retinanet()):
        measure.warn_of_other_names(quiet, generator)


def test_a_found_class_is_paired_by_name_alone():
    annotations, found = random_case(9, ["dog", "owl"], ["cat", "dog"])
    generator = memory_set(annotations, ["dog", "owl"])
    generator.found_classes = True
    with pytest.warns(UserWarning, match="1 of the data set's 2 .dog.; owl is not known"):
        precisions, _ = measure.evaluate(generator, Told(found, ["cat", "dog"]))
    assert precisions[0][0] > 0
    assert precisions[1][0] == 0


def test_pictures_show_the_names_and_colours_of_the_data_set(tmp_path):
    generator = MemoryGenerator([picture(100, 100)], [truth()], ("cat", "dog", "cow"))
    box = np.array([[20, 40, 70, 80.0]])
    model = Told([Detections(box, np.array([0.9]), np.array([0]))], ("dog", "cow"))
    with pytest.warns(UserWarning, match="paired by name"):
        measure.evaluate(generator, model, save_path=tmp_path)
    image = cv2.imread(str(tmp_path / "0.png"))
    assert image[80, 45].tolist() == list(label_color(1))
    assert label_color(0) != label_color(1)


@pytest.mark.parametrize("kind", [Evaluate, CocoEval])
def test_callbacks_pair_by_name(kind):
    annotations, found = random_case(1, list("ab"), list("ba"))
    logs = []
    for names, swap in ((["a", "b"], 1), (["b", "a"], 0)):
        one = [Detections(d.boxes, d.scores, d.labels ^ swap) for d in found]
        callback = kind(memory_set(annotations, ["a", "b"]), verbose=0)
        callback.set_model(Told(one, names))
        logs.append({})
        with warnings.catch_warnings():
            warnings.simplefilter("error" if swap else "ignore")
            callback.on_epoch_end(0, logs[-1])
    assert logs[0] == logs[1]
    assert 0 < logs[0]["mAP"] < 1


def test_a_model_that_knows_more_classes_keeps_more_detections():
    kept = []
    for model_names in (("cat", "dog"), ("cat", "dog", None), ("cat", "dog", "cow")):
        model = tiny_retinanet(len(model_names))
        models.set_info(
            model, models.ModelInfo("resnet50", len(model_names), model_names, no_resize=True)
        )
        generator = memory_set([truth()], ["cat", "dog"])
        detector = measure.as_detector(model, generator, max_detections=40, score_threshold=0.0)
        assert isinstance(detector, Detector)
        kept.append(detector.model.output_shape[1][1])
    assert kept == [40, 40, 400]


def test_places_that_were_taken_in_the_model_are_told():
    model_names, dataset_names = ["a", "b", "c"], ["a"]
    boxes, scores = np.tile([0, 0, 20, 20.0], (4, 1)), np.array([0.9, 0.8, 0.7, 0.6])
    generator = memory_set([truth((0, 0, 20, 20, 0))] * 2, dataset_names)
    full = Detections(boxes, scores, np.array([1, 2, 1, 0]))  # not padded, so cut off
    padded = Detections(boxes, scores, np.array([1, 2, 1, -1]))
    with pytest.warns(UserWarning) as told:
        measure.detect_dataset(
            generator, Told([full, padded], model_names, padding=0), max_detections=2
        )
    assert "in 1 images the model found as many objects as it can return" in str(told[1].message)
    for limit, threshold in ((1, 0.05), (2, 0.65)):  # enough, or too low to matter
        with pytest.warns(UserWarning) as told:
            measure.detect_dataset(
                generator, Told([full, padded], model_names, padding=0), threshold, limit
            )
        assert len(told) == 1
