"""The programs in README.md run as they stand there; its commands and tables are right.

So are those of docs/published-detectors.md, and the commands of docs/coco.md.
"""

import os
import re
import shlex
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from keras_retinanet import models
from keras_retinanet.bin import convert_model, debug, detect, evaluate, train, train_options
from keras_retinanet.preprocessing.data import CSVData, ShapesData
from keras_retinanet.preprocessing.shapes import ShapesGenerator, dataset, export_set
from keras_retinanet.training import run
from keras_retinanet.zoo.class_names import COCO_91
from keras_retinanet.zoo.table import ENTRIES, is_name
from tests import tiny
from tests.fakes import detailed_finder, picture

README = Path(__file__).parents[1] / "README.md"
PUBLISHED = README.parent / "docs" / "published-detectors.md"
COCO = README.parent / "docs" / "coco.md"
COMMANDS = {
    "retinanet-train": train,
    "retinanet-debug": debug,
    "retinanet-evaluate": evaluate,
    "retinanet-detect": detect,
    "retinanet-convert-model": convert_model,
}


def program(words):
    """Return the one Python program in README and docs that has some words in it."""
    text = README.read_text() + PUBLISHED.read_text()
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (found,) = [text for text in programs if words in text]
    return found


def command_lines():
    """Return the lines that call a command; not `auto`, which looks at its folder."""
    text = README.read_text() + PUBLISHED.read_text() + COCO.read_text()
    blocks = re.findall(r"```shell\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in re.split(r"\n| && ", block)]
    return [line for line in lines if line.startswith("retinanet-") and " auto " not in line]


@pytest.fixture
def short_runs(monkeypatch):
    """Let `train` do one step on a backbone of a few weights; give the plans it was called with."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    tiny.train_eagerly(monkeypatch)
    monkeypatch.setitem(dataset.DEFAULT_SIZES, "val", 4)
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


def test_detect_from_python(tmp_path, monkeypatch, capsys):
    """A network that finds rectangles stands for the published one, which is not downloaded."""
    model = detailed_finder(num_classes=len(COCO_91), class_names=COCO_91)
    asked = []
    monkeypatch.setattr(models, "load_model", lambda name: asked.append(name) or model)
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.png", picture(40, 60, (5, 8, 30, 25), label=1))  # as JPEG it would change
    os.rename("photo.png", "photo.jpg")
    exec(program("detector.detect"), {})
    assert re.fullmatch(r"person 1\.0 \[ *5\. +8\. 30\. 25\.\]\n", capsys.readouterr().out)
    monkeypatch.setattr(models, "convert_model", lambda model: model)  # it is an inference model
    names = {}
    exec(program("rule=model.info"), names)
    assert names["boxes"][0, 0].tolist() == [5, 8, 30, 25]
    assert asked == ["coco", "coco"]


@pytest.mark.parametrize("line", command_lines())
def test_commands_have_the_options_they_use(line):
    name, *arguments = shlex.split(line, comments=True)
    COMMANDS[name].parse_args(arguments)


def test_the_commands_for_coco_are_the_recipes_of_the_paper():
    """16 images in 90,000 updates at a rate of 0.01, or 1.5 times as many."""
    lines = re.findall(r"^retinanet-train (.*)$", COCO.read_text(), re.MULTILINE)
    assert len({line for line in lines if "--multi-gpu 8" in line}) == 3
    for line in lines:
        options = train.parse_args(shlex.split(line))
        plan = train_options.make_plan(options)
        assert (plan.optimizer, plan.lr, plan.weight_decay) == ("sgd", 0.01, 1e-4)
        assert plan.batch_size * plan.accumulate == 16
        updates = plan.epochs * plan.steps / plan.accumulate
        jitter = plan.augmentation.scale_range
        assert (updates, jitter) == {
            "paper": (90_000, (1, 1)),
            "long": (135_000, (0.8, 1)),
        }[options.recipe]


def test_published_models_have_the_names_they_are_called_by():
    text = README.read_text() + PUBLISHED.read_text()
    names = re.findall(r"(?:retinanet-detect|--weights) ([a-z]\w*)[ `]", text)
    names += re.findall(r"\b(?:torchvision|detectron2|mmdet|fizyr)_res\w+", text)
    assert {"coco", "detectron2_resnet50"} <= set(names)
    assert all(map(is_name, names))


def test_the_table_of_published_models_is_that_of_the_package():
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", PUBLISHED.read_text(), re.MULTILINE)
    assert dict(rows) == {
        entry.name: " | ".join(
            [
                entry.source,
                entry.backbone,
                entry.classes,
                str(entry.average_precision or "-"),
                f"{entry.parameters / 1e6:.1f} M",
                entry.licence,
            ]
        )
        for entry in ENTRIES.values()
    }
