import argparse

import pytest

from keras_retinanet.bin import datasets
from keras_retinanet.preprocessing.csv_generator import CSVGenerator
from keras_retinanet.preprocessing.shapes import ShapesGenerator


def parse(command, *arguments, positionals=()):
    parser = argparse.ArgumentParser()
    datasets.add_dataset_parsers(parser, [], command, positionals)
    return parser.parse_args(arguments)


def test_shapes_have_disjoint_sets_to_train_and_to_evaluate_on():
    options = parse("train", "shapes")
    training, validation = datasets.open_training(options), datasets.open_validation(options)
    assert isinstance(training, ShapesGenerator)
    assert validation.size() == 200
    assert (training.set_name, validation.set_name) == ("train", "val")


def test_csv_evaluates_on_what_is_given(tmp_path):
    for name in ("train.csv", "val.csv"):
        (tmp_path / name).write_text(f"{name}.png,,,,,\n")
        (tmp_path / f"{name}.png").write_bytes(b"")
    (tmp_path / "classes.csv").write_text("cat,0\n")
    train, val, classes = (str(tmp_path / f"{name}.csv") for name in ("train", "val", "classes"))

    options = parse("train", "csv", train, classes)
    assert datasets.open_validation(options) is None
    options = parse("train", "csv", train, classes, "--val-annotations", val)
    assert datasets.open_training(options).image_names == ["train.csv.png"]
    assert datasets.open_validation(options).image_names == ["val.csv.png"]
    options = parse("evaluate", "csv", val, classes, "m.keras", positionals=[("model", "a model")])
    assert options.model == "m.keras"
    assert isinstance(datasets.open_validation(options), CSVGenerator)
    assert datasets.open_validation(options).image_names == ["val.csv.png"]


@pytest.mark.parametrize(
    ("opener", "name"), [("open_training", "train"), ("open_validation", "val")]
)
def test_coco_reads_the_sets_of_2017(tmp_path, opener, name):
    options = parse("train", "coco", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"instances_{name}2017.json"):
        getattr(datasets, opener)(options)
