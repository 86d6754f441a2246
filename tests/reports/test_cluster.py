"""A run on a Ray cluster of this machine equals one in a process."""

import json
import sys

import cv2
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.bin import detect
from keras_retinanet.detection.detector import Detector
from keras_retinanet.reports import cluster
from keras_retinanet.reports.cluster import ClusterRun, detect_on_cluster
from keras_retinanet.reports.detections import Selection
from tests.fakes import detailed_finder, picture, tiny_retinanet

BOX = (4, 6, 20, 24)


@pytest.fixture
def files(tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for i, path in enumerate(paths):
        cv2.imwrite(path, picture(32, 40, BOX, label=i % 2, score=0.9))
    (tmp_path / "2.png").write_text("text")
    return paths


@pytest.fixture
def in_this_process(monkeypatch):
    """Let a machine be this process, which goes on to other things."""
    monkeypatch.setattr("keras_retinanet.system.devices.start_tensorflow", lambda **options: None)


def work(copies=(), classes=None):
    return ClusterRun("model.keras", {}, Selection(0.5, None, classes), 2, 10**6, dict(copies))


def test_a_machine_makes_a_row_of_each_image(in_this_process, files, monkeypatch, tmp_path):
    monkeypatch.setattr(models, "load_model", lambda path: detailed_finder())
    copies = [(files[1], str(tmp_path / "copy.png")), (files[3], str(tmp_path))]
    worker = cluster._Worker(work(copies))
    rows = worker({"path": np.array(files, object)})
    assert rows["path"] == files
    rows = [{name: column[i] for name, column in rows.items()} for i in range(4)]
    results = [cluster._result(row) for row in rows]
    for i in (0, 1, 3):
        (found,) = results[i].found.detections
        assert found["box"] == list(BOX)
        assert found["name"] == ("cat", "dog")[i % 2]
        assert (results[i].found.width, results[i].maximum) == (40, None)
    assert results[2].found is None
    assert "2.png: expected an image" in results[2].error
    assert (tmp_path / "copy.png").is_file()
    assert [bool(result.error) for result in results] == [False, False, True, True]


def test_unknown_classes_are_refused(in_this_process, monkeypatch):
    monkeypatch.setattr(models, "load_model", lambda path: detailed_finder())
    with pytest.raises(ValueError, match="got 'cow'; it has cat, dog"):
        cluster._Worker(work(classes=("cow",)))


def test_a_missing_ray_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install 'keras-retinanet\[ray\]'"):
        list(detect_on_cluster(work(), ["a.png"]))


@pytest.mark.filterwarnings("default")
def test_a_cluster_gives_what_one_process_gives(files, tmp_path, capsys, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # a cluster that --address does not name
    models.save_model(models.convert_model(tiny_retinanet()), tmp_path / "model.keras")
    assert Detector.load(tmp_path / "model.keras").info is not None
    reports = []
    for options in ([], ["--engine", "ray"]):
        report = tmp_path / f"found{len(options)}.json"
        arguments = ["--json", str(report), "--score-threshold", "0.01", *options]
        with pytest.raises(SystemExit) as stop:
            detect.main([str(tmp_path / "model.keras"), *files, *arguments])
        assert stop.value.code == 1
        reports.append(json.loads(report.read_text()))
    assert [entry["file"] for entry in reports[0]] == [files[i] for i in (0, 1, 3)]
    assert reports[0] == reports[1]
    # What the machines cannot do is one line, and earlier results stay.
    arguments = [str(tmp_path / "model.keras"), *files, "--json", str(report), "--classes", "cow"]
    with pytest.raises(SystemExit) as stop:
        detect.main([*arguments, "--engine", "ray"])
    assert stop.value.code == 2
    assert (
        "error: --engine ray: ValueError: expected the name of a class" in capsys.readouterr().err
    )
    assert json.loads(report.read_text()) == reports[1]
