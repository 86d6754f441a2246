"""The numbers of an evaluation as text and in a file."""

import json

import pytest

from keras_retinanet.evaluation.metrics import COCO_KEYS
from keras_retinanet.reports import numbers
from tests.fakes import MemoryGenerator, picture, truth

SUMMARY = {key: i / 10 for i, key in enumerate(COCO_KEYS)}


@pytest.fixture
def generator():
    return MemoryGenerator([picture(8, 8)] * 2, [truth()] * 2, ("cat", None, "dog"))


def test_lines(generator):
    text = numbers.format_numbers(generator, {0: (0.75, 3), 2: (0.25, 1)}, SUMMARY, 0.0321)
    assert text.startswith(
        "3 instances of class cat with average precision: 0.7500\n"
        "1 instances of class dog with average precision: 0.2500\n"
        "Inference time for 2 images: 0.0321\n"
        "mAP using the weighted average of precisions among classes: 0.6250\n"
        "mAP: 0.5000\n"
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.000\n"
    )
    assert len(text.splitlines()) == 5 + 12


def test_lines_without_ground_truth(generator):
    text = numbers.format_numbers(generator, {0: (0.0, 0), 2: (0.0, 0)}, SUMMARY, 0.1)
    assert text.splitlines()[2] == "No test instances found."
    assert "mAP" not in text


def test_of_many_classes_the_best_and_the_worst():
    names = {label: f"c{label}" for label in range(25)}
    precisions = {label: (label / 100, 2) for label in range(25)}
    lines = numbers.format_classes(precisions, names).splitlines()
    assert [line.split()[4] for line in lines[:10]] == [f"c{i}" for i in range(24, 14, -1)]
    assert lines[10] == "... 5 classes between these"
    assert [line.split()[4] for line in lines[11:]] == [f"c{i}" for i in range(9, -1, -1)]
    few = {label: (ap, 0 if label > 12 else 2) for label, (ap, _) in precisions.items()}
    lines = numbers.format_classes(few, names, "ap.csv").splitlines()
    assert [line.split()[4] for line in lines[:10]] == [f"c{i}" for i in range(12, 2, -1)]
    assert lines[10] == "... 12 classes without boxes (all are in ap.csv)"
    assert [line.split()[4] for line in lines[11:]] == ["c2", "c1", "c0"]
    none = dict.fromkeys(names, (0.0, 0))
    assert numbers.format_classes(none, names) == "... 25 classes without boxes"
    some = {label: precisions[label] for label in range(20)}
    assert len(numbers.format_classes(some, names).splitlines()) == 20


def test_a_shortened_report_fits_a_screen():
    names = [f"c{label}" for label in range(500)]
    data = MemoryGenerator([picture(8, 8)], [truth()], names)
    precisions = {label: (label / 1000, 1) for label in range(500)}
    text = numbers.format_numbers(data, precisions, SUMMARY, 0.1, shortened=True, all_in="x.csv")
    assert len(text.splitlines()) <= 40
    assert "480 classes between these (all are in x.csv)" in text
    full = numbers.format_numbers(data, precisions, SUMMARY, 0.1)
    assert len(full.splitlines()) == 500 + 3 + 12


def test_json(generator, tmp_path):
    path = tmp_path / "new" / "numbers.json"
    numbers.write_json(path, generator, {0: (0.75, 3), 2: (0.25, 1)}, SUMMARY, 0.5)
    assert json.loads(path.read_text()) == {
        "coco": {key: SUMMARY[key] for key in COCO_KEYS[:9]},
        "pascal": {
            "mAP": 0.5,
            "weighted_mAP": 0.625,
            "per_class": {
                "cat": {"AP": 0.75, "instances": 3},
                "dog": {"AP": 0.25, "instances": 1},
            },
        },
        "images": 2,
        "seconds_per_image": 0.5,
    }
