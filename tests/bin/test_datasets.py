import argparse
import shlex

import pytest

from keras_retinanet.annotations.image_lists import ImageListError
from keras_retinanet.bin import datasets
from keras_retinanet.preprocessing.csv_generator import CSVGenerator
from keras_retinanet.preprocessing.shapes.dataset import ShapesGenerator
from tests import data_sets


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
    yaml = tmp_path / "data.yaml"
    for sets, given, opened in (
        ("train: one\nval: two", [], "one"),
        ("train: one\nval: two", ["--yolo-set", "val"], "two"),
        ("val: two\ntest: three", [], "two"),
        ("test: three", [], "three"),
    ):
        yaml.write_text(f"{sets}\nnames: [cat]\n")
        with pytest.raises(FileNotFoundError, match=f"folder of images not found: .*/{opened}"):
            datasets.open_one(parse("debug", "yolo", str(tmp_path), *given))
    with pytest.raises(ValueError, match=r"no set 'val' \(sets: test\)"):
        datasets.open_one(parse("debug", "yolo", str(tmp_path), "--yolo-set", "val"))
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


def test_yolo_without_a_set_to_evaluate_on(tmp_path):
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat]\n")
    for command in ("train", "evaluate"):
        assert datasets.open_validation(parse(command, "yolo", str(tmp_path))) is None


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


def write_csv(folder):
    """Write a CSV data set of two images; return its files."""
    for name in "ab":
        (folder / f"{name}.png").write_bytes(b"")
    (folder / "boxes.csv").write_text("a.png,1,1,6,6,dog\nb.png,1,1,13,6,cat\n")
    (folder / "classes.csv").write_text("cat,0\ndog,1\n")
    return str(folder / "boxes.csv"), str(folder / "classes.csv")


def with_list(folder, text, *arguments):
    """Return the options of evaluate with a list of images."""
    (folder / "list.txt").write_text(text)
    options = parse("evaluate", *arguments)
    options.image_list = str(folder / "list.txt")
    return options


def test_a_command_reads_the_images_of_a_list(tmp_path):
    options = with_list(tmp_path, "b.png\n", "csv", *write_csv(tmp_path))
    assert datasets.open_one(options).image_names == ["b.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x.png\n", r"/list\.txt: no image of the data set is .*/x\.png \(1 of 1 entries"),
        ("\n", r"/list\.txt: expected the path of an image in each line, got none"),
    ],
)
def test_a_list_that_does_not_fit_is_named(tmp_path, text, message):
    options = with_list(tmp_path, text, "csv", *write_csv(tmp_path))
    with pytest.raises(ImageListError, match=message):
        datasets.open_one(options)


def test_classes_are_those_of_the_model_or_found_and_said(tmp_path, capsys):
    annotations, _ = write_csv(tmp_path)
    options = parse("evaluate", "csv", annotations, "-")
    assert datasets.open_one(options).classes == {"cat": 0, "dog": 1}
    assert capsys.readouterr().out == "Classes found: cat 0, dog 1\n"
    known = {"dog": 0, "emu": 1, "cat": 2}
    assert datasets.open_one(options, known).classes == known
    assert capsys.readouterr().out == ""


def write_kitti(folder, *sets):
    """Write sets in KITTI form, of one image each with the name of its set."""
    for name in sets:
        for path in ("labels", "images"):
            (folder / name / path).mkdir(parents=True)
        (folder / name / "images" / f"{name}.png").write_bytes(b"")
        line = "Car 0 0 0 1 1 9 9 0 0 0 0 0 0 0\n"
        (folder / name / "labels" / f"{name}.txt").write_text(line)


def test_the_only_set_there_is_is_read_and_named(tmp_path, capsys):
    write_kitti(tmp_path, "train")
    generator = datasets.open_one(parse("evaluate", "kitti", str(tmp_path)))
    assert generator.paths == [str(tmp_path / "train" / "images" / "train.png")]
    assert capsys.readouterr().out == "No set to evaluate on: this is the set 'train'\n"
    with pytest.raises(ValueError, match=r"no set 'val' \(sets: train\)"):
        datasets.open_one(parse("debug", "kitti", str(tmp_path), "val"))


def test_a_list_is_looked_for_in_the_set_to_train_on_too(tmp_path, capsys):
    write_kitti(tmp_path, "train", "val")
    arguments = ("kitti", str(tmp_path))
    for name, said in (
        ("val", ""),
        (
            "train",
            "The set to evaluate on has not all images of the list: this is the set 'train'\n",
        ),
    ):
        options = with_list(tmp_path, f"{name}.png", *arguments)
        (path,) = datasets.open_one(options).paths
        assert path.endswith(f"{name}.png")
        assert capsys.readouterr().out == said
    options.subset = "val"  # a set that is named is obeyed
    with pytest.raises(ImageListError, match=r"list\.txt: no image of the data set is"):
        datasets.open_one(options)


def test_coco_has_its_sets_and_images_in_each_command():
    given = ("coco", "there", "--coco-set", "a", "--images", "pictures")
    data = datasets.named_data(parse("train", *given, "--coco-val-set", "b"))
    assert (data.path, data.train_set, data.val_set, data.images) == ("there", "a", "b", "pictures")
    data = datasets.named_data(parse("train", "coco", "there"))
    assert (data.train_set, data.val_set, data.images) == (None, None, None)
    for command in ("evaluate", "debug"):
        for option in ("--coco-set", "--coco-val-set"):
            data = datasets.named_data(parse(command, "coco", "there", option, "c"))
            assert (data.train_set, data.val_set) == (None, "c")
        data = datasets.named_data(parse(command, *given))
        assert (data.val_set, data.images) == ("a", "pictures")


def test_debug_need_not_name_the_only_set_of_kitti():
    assert datasets.named_data(parse("debug", "kitti", "there")).val_set is None
    assert datasets.named_data(parse("debug", "kitti", "there", "train")).val_set == "train"


def test_pascal_evaluates_and_shows_the_set_that_there_is(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation><filename>a.png</filename></annotation>")
    (tmp_path / "a.png").write_bytes(b"")
    for command in ("evaluate", "debug"):
        options = parse(command, "pascal", str(tmp_path))
        with pytest.warns(UserWarning, match="no set 'test', so this is the set 'train'"):
            assert datasets.open_validation(options).image_names == ["a"]
    assert datasets.open_validation(parse("train", "pascal", str(tmp_path))) is None


def parse_auto(command, *arguments, extra=()):
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=7)
    datasets.add_dataset_parsers(parser, [], command, [(name, "") for name in extra])
    return datasets.parse(parser, [*arguments, *extra], command, extra)


@pytest.mark.parametrize("command", ["train", "evaluate", "debug"])
@pytest.mark.parametrize("form", ["csv", "coco", "pascal", "kitti", "oid", "yolo"])
def test_auto_stands_for_a_command_and_says_which(tmp_path, capsys, command, form):
    folder = data_sets.write(tmp_path, form)
    extra = ["model"] if command == "evaluate" else []
    options = parse_auto(command, "--epochs", "3", "auto", str(folder), extra=extra)
    assert (options.dataset_type, options.epochs) == (form, 3)
    assert not hasattr(options, "path")
    printed = capsys.readouterr().out
    assert printed.startswith(f"read as: {form} {folder}")
    typed = shlex.split(printed.removeprefix("read as: "))
    assert vars(parse_auto(command, "--epochs", "3", *typed, extra=extra)) == vars(options)
    assert datasets.named_data(options).name == form


def test_auto_names_what_fits_or_what_is_there(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"expected a data set of one of the forms coco, .* a\.jpg"
    ):
        parse_auto("train", "auto", str(tmp_path))
    for form in ("csv", "yolo"):
        data_sets.write(tmp_path, form)
    with pytest.raises(ValueError, match="more than one form fits, .*'csv .* or 'yolo "):
        parse_auto("train", "auto", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        parse_auto("train", "auto", str(tmp_path / "gone"))
