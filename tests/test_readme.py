"""The programs in README.md run as they stand there."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from keras_retinanet import models
from keras_retinanet.preprocessing.data import CSVData, ShapesData
from keras_retinanet.preprocessing.shapes import ShapesGenerator, export_set
from keras_retinanet.training import run
from tests import tiny

README = Path(__file__).parents[1] / "README.md"


def program(words):
    """Return the one Python program in the README that has some words in it."""
    programs = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (found,) = [text for text in programs if words in text]
    return found


@pytest.fixture
def short_runs(monkeypatch):
    """Let `train` do one step on a backbone of a few weights; give the plans it was called with."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    plans, train = [], run.train

    def one_step(plan):
        plans.append(plan)
        small = {"backbone": "tiny", "imagenet_weights": False, "feature_size": 8}
        sides = {"image_min_side": 64, "image_max_side": 96}
        return train(replace(plan, **small, **sides, epochs=1, steps=1))

    monkeypatch.setattr(run, "train", one_step)
    return plans


def test_train_from_python(short_runs, tmp_path, monkeypatch, capsys):
    for set_name in ("annotations", "val"):
        export_set(ShapesGenerator(set_name, size=3), str(tmp_path))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(program("training.run import train"), names)
    shapes, own = short_runs
    assert shapes.data == ShapesData()
    assert shapes.epochs == 3
    assert own.data == CSVData("annotations.csv", "classes.csv", "val.csv")
    assert (own.epochs, own.batch_size, own.snapshot_path) == (20, 2, "snapshots/cells")
    assert isinstance(names["model"], models.RetinaNet)
    assert (tmp_path / "snapshots" / "cells" / "tiny_csv_01.keras").is_file()
    assert "The trained model on 3 held-out images:" in capsys.readouterr().out
