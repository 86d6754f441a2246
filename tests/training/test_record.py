import json
import os
import zipfile
from dataclasses import replace

import keras
import pytest

from keras_retinanet import models
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.training import record as record_module
from keras_retinanet.training.record import (
    PREVIOUS_STATE,
    STATE,
    RunRecord,
    class_names_of,
    is_whole_detector,
)
from tests.training.states import write_record

RECORD = RunRecord(3, {"lr": 0.5, "steps": None}, {"EarlyStopping": {"wait": 2}})


def save(path, run):
    """Save a model that knows about its run."""
    tensor = inputs = keras.Input((8, 8, 3))
    outputs = [
        keras.layers.Conv2D(4, 1, name=name)(tensor) for name in ("regression", "classification")
    ]
    model = models.RetinaNet(inputs, outputs)
    models.set_info(model, ModelInfo("tiny", 1, run=run))
    models.save_model(model, path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_record_of_a_snapshot_is_read_without_loading_it(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save(path, RECORD.to_dict())
    assert RunRecord.read(path) == RECORD
    assert RunRecord.from_dict(models.load_model(path).info.run) == RECORD
    save(path, None)
    assert RunRecord.read(path) is None


def test_what_is_no_snapshot_has_no_record(tmp_path):
    path = tmp_path / "a.keras"
    assert RunRecord.read(path) is None
    assert RunRecord.read(tmp_path) is None
    for content in (b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"{}"):
        path.write_bytes(content)
        assert RunRecord.read(path) is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo.keras")
        assert RunRecord.read(tmp_path / "fifo.keras") is None


@pytest.mark.parametrize(
    "values",
    [None, [], 3, "x", {}, {"epoch": "3", "settings": {}, "counters": {}}]
    + [{"epoch": 3, "settings": [], "counters": {}}, {"epoch": 3, "settings": {}}],
)
def test_a_malformed_record_is_none(values):
    assert RunRecord.from_dict(values) is None


def test_a_record_is_plain():
    assert RunRecord.from_dict(json.loads(json.dumps(RECORD.to_dict()))) == RECORD


def test_a_record_of_an_earlier_version_has_no_more_than_it_had():
    old = {"epoch": 3, "settings": {"lr": 0.5, "steps": None}, "counters": RECORD.counters}
    assert RunRecord.from_dict(old) == RECORD
    assert RunRecord.from_dict({**old, "learning_rate": "x"}) is None
    assert RunRecord.from_dict({**old, "of_the_future": 1}) == RECORD


def test_the_record_of_a_state_is_read_without_the_rest(tmp_path):
    assert RunRecord.of_state(tmp_path) is None
    record = replace(RECORD, step=2, learning_rate=0.25, snapshots={"a_01.keras": 3})
    record = replace(record, variables=(["a", [1], "float32"],))
    write_record(tmp_path, record)
    assert RunRecord.of_state(tmp_path) == record
    (tmp_path / STATE).rename(tmp_path / PREVIOUS_STATE)
    for content in (None, b"", b"PK\x03\x04", b"x" * 100):
        if content is not None:
            (tmp_path / STATE).write_bytes(content)
        assert RunRecord.of_state(tmp_path) == record
    (tmp_path / PREVIOUS_STATE).unlink()
    assert RunRecord.of_state(tmp_path) is None


def test_what_is_too_large_is_not_read(tmp_path, monkeypatch):
    write_record(tmp_path, RECORD)
    monkeypatch.setattr(record_module, "MAX_MODEL_CONFIG_BYTES", 10)
    assert RunRecord.of_state(tmp_path) is None


def test_checkpoints_are_whole_detectors_in_any_case():
    assert is_whole_detector("a/B.PTH")
    assert not is_whole_detector("a/b.h5")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat", None], ("cat", None)),
        ([None, None], None),
        ([], None),
        ("cat", None),
        (["cat", 3], None),
        (None, None),
    ],
)
def test_class_names_are_read_where_they_are_well_formed(tmp_path, names, expected):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"details": {"class_names": names}}}))
    assert class_names_of(path) == expected
    assert class_names_of(tmp_path / "none.keras") is None
