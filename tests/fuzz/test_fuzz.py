"""A short run of the fuzz script (`run.py` has the long one), and the inputs that once failed."""

import json

import numpy as np
import pytest

from tests.fuzz.mutators import DIGITS, mutate
from tests.fuzz.readers import READERS
from tests.fuzz.run import Trial

# Reader, file, what stands there (the first of it is replaced; None for all), what takes its place.
ONCE_FAILED = [
    ("csv classes", "classes.csv", b"Van,1", b"Van,99999999999"),
    ("csv classes", "classes.csv", b"Van,1", b"Van," + DIGITS.encode()),
    ("csv annotations", "annotations.csv", b"Car", b"," * 2_000_000),
    *(
        (reader, "annotations/instances_val2017.json", *change)
        for reader in ("coco table", "coco file", "coco generator")
        for change in (
            (b'"id": 1', b'"id": []'),
            (b'"id": 1', b'"id": {}'),
            (b'"id": 1', b'"id": 1' + b"0" * 400),
            (b'"id": 1', b'"id": ' + DIGITS.encode()),
            (b'"image_id": 1', b'"image_id": 1e999'),
            (b'"images"', b'"a": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b', "images"'),
        )
    ),
    ("voc objects", "Annotations/a.xml", b"<name>", b"<a>" * 100_000 + b"<name>"),
    ("kitti labels", "train/labels/b.txt", b"Van", b"x" * 100_000),
    ("yolo labels", "labels/a.txt", b"0 ", b"1" + b"0" * 400 + b" "),
    ("yolo description", "data.yaml", b"names:\n", b"names: !!bool x\nx:\n"),
    ("yolo description", "data.yaml", b"path: .", b"path: " + b"[" * 950),
    ("yolo description", "data.yaml", b"path: .", b"- " * 500 + b"1"),
    ("yolo description", "data.yaml", None, b"names: 1" + b"0" * 400),
    (
        "yolo generator",
        "data.yaml",
        None,
        b"a0: &a0 [1]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b"*a%d, " % (i - 1) * 10) for i in range(1, 9))
        + b"train: images\nnames: [Car, Van]\nval: *a8\n",
    ),
    ("open images classes", "2018_04/class-descriptions-boxable.csv", b",Van", b"- " * 950),
    *(
        (reader, "2018_04/bbox_labels_600_hierarchy.json", *change)
        for reader in ("open images hierarchy", "open images old hierarchy")
        for change in (
            (None, b""),
            (b'[{"LabelName": "/m/Van"}]', b"0"),
            (b'{"LabelName": "/m/Van"}', b'{"LabelName": "x", "Subcategory": [' * 900),
            (b'"LabelName"', b'"' + b"x" * 10_000 + b'": 1, "LabelName"'),
        )
    ),
    ("config", "config.ini", b"levels = 3", b"levels = 3" + b"1\n" * 1_000_000),
    ("old config", "config.ini", b"levels = 3", b"levels = 3" + b"1\n" * 1_000_000),
    ("image sizes", "a.TIFF", None, b"II+\0\x08" + bytes(10) + b"\x40" + bytes(100)),
    ("image sources", "value.json", None, b"[]"),
    ("image sources", "value.json", b"a.jpg", b"a/" * 10_000),
    ("image sources", "value.json", b"a.jpg", b"*/" * 10_000),
    ("info", "value.json", b'"filter_settings"', b'"' + b"x" * 10_000 + b'"'),
    ("anchors", "value.json", None, b"1"),
    ("anchors", "value.json", b"[16.0", b'["16"'),
    ("anchors", "value.json", b"[16.0", b"[1" + b"0" * 400),
    ("anchors", "value.json", b'"sizes"', b'"x"'),
    ("anchors", "value.json", b"[8", b"[1e999"),
    ("coder", "value.json", None, b"1"),
    ("coder", "value.json", b"[0.0", b"[[]"),
    ("coder", "value.json", b"[0.0", b'["' + b"x" * 10_000 + b'"'),
    ("coder", "value.json", b'"corner"', b"1" + b"0" * 400),
    ("filter settings", "value.json", b'"nms_threshold": 0.5', b'"nms_threshold": 1' + b"0" * 400),
    ("filter settings", "value.json", b'"nms"', b'"' + b"x" * 10_000 + b'"'),
]


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """A function of a reader's name that returns its trial, made once."""
    trials = {}

    def made(reader):
        if reader not in trials:
            trials[reader] = Trial(READERS[reader], tmp_path_factory.mktemp("fuzz"))
        return trials[reader]

    return made


@pytest.mark.parametrize("reader", READERS)
def test_readers_raise_what_they_promise(trial, reader):
    tried = trial(reader)
    # A step through those that are `SPECIAL`, of which some readers have very many.
    special = range(0, tried.special, 1 if tried.special < 40 else 10)
    outcomes = [
        tried.run(0, index)
        for index in (*special, *range(tried.special, tried.special + READERS[reader].tests))
    ]
    assert [outcome for outcome in outcomes if outcome.defect] == []


@pytest.mark.parametrize(("reader", "file", "old", "new"), ONCE_FAILED)
def test_what_once_failed_is_read_or_refused(trial, reader, file, old, new):
    tried = trial(reader)
    before = tried.files[file]
    content = new if old is None else before.replace(old, new, 1)
    assert content != before
    outcome = tried.run_with(0, file, content)
    assert outcome.defect is None, outcome


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.xml", "a.csv", "a.npz", "a.keras", "a.h5"])
def test_inputs_follow_from_the_seed(name):
    content = json.dumps({"a": [1, {"b": "c"}]}).encode()
    found = [
        [mutate(np.random.default_rng([0, index]), content, name) for index in range(20)]
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert len(set(found[0])) > 10
