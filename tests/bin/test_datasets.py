import argparse

import pytest

from keras_retinanet.bin import datasets
from keras_retinanet.preprocessing.csv_generator import CSVGenerator
from keras_retinanet.preprocessing.shapes.dataset import ShapesGenerator


def parse(command, *arguments, positionals=()):
    parser = argparse.ArgumentParser()
    datasets.add_dataset_parsers(parser, [], command, positionals)
    return parser.parse_args(arguments)


def test_shapes_have_disjoint_sets_to_train_and_to_evaluate_on():
    options = parse("train", "shapes")
    training, validation = (
        datasets.named_data(options).open_training(),
        datasets.open_validation(options),
    )
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
    assert datasets.named_data(options).open_training().image_names == ["train.csv.png"]
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
        getattr(datasets.named_data(options), opener)()


def test_pascal_trains_on_train_and_evaluates_on_val(tmp_path):
    options = parse("train", "pascal", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"/train\.txt"):
        datasets.named_data(options).open_training()
    with pytest.raises(FileNotFoundError, match=r"val\.txt"):
        datasets.open_validation(options)
    options = parse("evaluate", "pascal", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"test\.txt"):
        datasets.open_validation(options)
    options = parse("evaluate", "pascal", str(tmp_path), "--pascal-set", "mine")
    with pytest.raises(FileNotFoundError, match=r"mine\.txt"):
        datasets.open_validation(options)


def test_pascal_has_its_own_classes_and_skips(tmp_path):
    for folder in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("a\n")
    (tmp_path / "JPEGImages" / "a.png").write_bytes(b"")
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation></annotation>")
    (tmp_path / "classes.csv").write_text("cell,0\n")
    arguments = (
        *("train", "pascal", str(tmp_path), "--skip-difficult"),
        *("--pascal-val-set", "val", "--classes", str(tmp_path / "classes.csv")),
    )
    generator = datasets.open_validation(parse(*arguments))
    assert generator.class_names() == ["cell"]
    assert (generator.skip_difficult, generator.skip_truncated) == (True, False)
    assert generator.paths == [str(tmp_path / "JPEGImages" / "a.png")]
    # An extension that is given comes first.
    (tmp_path / "JPEGImages" / "a.bmp").write_bytes(b"")
    generator = datasets.open_validation(parse(*arguments, "--image-extension", ".bmp"))
    assert generator.paths == [str(tmp_path / "JPEGImages" / "a.bmp")]


@pytest.mark.parametrize(
    ("name", "opener", "missing"),
    [
        ("kitti", "open_training", "train.labels"),
        ("kitti", "open_validation", "val.labels"),
        ("yolo", "open_training", r"data\.yaml"),
        ("oid", "open_training", "2018_04.class-descriptions-boxable"),
    ],
)
def test_what_is_missing_is_named(tmp_path, name, opener, missing):
    options = parse("train", name, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=missing):
        getattr(datasets.named_data(options), opener)()


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["coco", "DIR"], "instances_val2017"),
        (["coco", "DIR", "--coco-set", "mine"], "instances_mine"),
        (["pascal", "DIR"], r"test\.txt"),
        (["pascal", "DIR", "--pascal-set", "mine", "--image-extension", ".png"], r"mine\.txt"),
        (["kitti", "DIR", "mine"], "mine.labels"),
        (["oid", "DIR", "test"], "2018_04.class-descriptions-boxable"),
        (["csv", "DIR/a.csv", "DIR/classes.csv"], r"classes\.csv"),
        (["yolo", "DIR"], r"data\.yaml"),
    ],
)
def test_debug_names_its_sets_as_it_always_did(tmp_path, arguments, missing):
    options = parse("debug", *(text.replace("DIR", str(tmp_path)) for text in arguments))
    with pytest.raises(FileNotFoundError, match=missing):
        datasets.open_validation(options)


def test_debug_looks_at_the_training_set_where_no_other_was_ever_usual(tmp_path):
    (tmp_path / "data.yaml").write_text("test: images\nnames: [cat]\n")
    for given, name in (([], "train"), (["--yolo-set", "val"], "val")):
        options = parse("debug", "yolo", str(tmp_path), *given)
        with pytest.raises(ValueError, match=f"expected the key '{name}'"):
            datasets.open_validation(options)
    assert datasets.open_validation(parse("debug", "shapes")).set_name == "train"
    options = parse("debug", "shapes", "--shapes-set", "val")
    assert datasets.open_validation(options).set_name == "val"


def test_debug_has_the_subset_of_open_images(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "keras_retinanet.preprocessing.open_images.OpenImagesGenerator",
        lambda *args, **arguments: seen.append((args, arguments["parent_label"])),
    )
    datasets.open_validation(parse("debug", "oid", "there", "test", "--parent-label", "Cat"))
    assert seen == [(("there", "test"), "Cat")]


def test_yolo_without_a_set_to_evaluate_on_names_the_key(tmp_path):
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat]\n")
    with pytest.raises(ValueError, match="expected the key 'val'"):
        datasets.open_validation(parse("evaluate", "yolo", str(tmp_path)))


def test_the_options_of_open_images_reach_the_reader(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "keras_retinanet.preprocessing.open_images.OpenImagesGenerator",
        lambda *args, **arguments: seen.update(arguments, args=args),
    )
    options = parse("train", "oid", "there", "--version", "v7", "--labels-filter", "Cat, Dog")
    datasets.open_validation(options, batch_size=2)
    assert seen.pop("args") == ("there", "validation")
    assert seen == {
        "version": "v7",
        "labels_filter": ["Cat", "Dog"],
        "annotation_cache_dir": ".",
        "parent_label": None,
        "batch_size": 2,
    }
