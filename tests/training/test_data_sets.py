"""The sets of a run, up to a run that is trained on one part and evaluated on the other."""

import csv
import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from keras_retinanet import models
from keras_retinanet.bin import debug, evaluate
from keras_retinanet.preprocessing.data import CocoData, CSVData, ShapesData
from keras_retinanet.training import data_sets, run
from keras_retinanet.training.plan import SettingError, SettingWarning, TrainingPlan
from keras_retinanet.training.record import RunRecord
from tests import tiny

SIDES = {"image_min_side": 64, "image_max_side": 96}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A plan for ten images with a bright square each, a fifth of them to evaluate on."""
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    annotations, classes = tiny.write_squares(tmp_path / "set", [(64, 80)] * 10)
    return TrainingPlan(
        data=CSVData(annotations, classes),
        backbone="tiny",
        imagenet_weights=False,
        snapshot_path="out",
        val_share=0.2,
        feature_size=32,
        epochs=1,
        **SIDES,
    )


def open_sets(plan, known_classes=None, **arguments):
    """Return both sets of a plan, and what was said."""
    lines = []
    sets = data_sets.open_sets(plan, known_classes, arguments, lines.append)
    return *sets, lines


def listed(name):
    return set(Path("out", name).read_text().split())


def test_the_parts_are_disjoint_and_complete(plan):
    training, validation, lines = open_sets(plan)
    assert (training.size(), validation.size()) == (8, 2)
    images = map(str, Path("set").absolute().glob("*.png"))
    assert sorted(training.paths + validation.paths) == sorted(images)
    assert listed("train-images.txt") == {path.rpartition("/")[2] for path in training.paths}
    assert listed("val-images.txt") == {path.rpartition("/")[2] for path in validation.paths}
    assert lines == ["Held out 2 of 10 images (val-images.txt); boxes: square 2 of 10"]
    assert training.image_names == [path.rpartition("/")[2] for path in training.paths]
    assert list(validation.image_data) == validation.image_names
    assert validation.load_annotations(1)["bboxes"].tolist() == [[12, 16, 52, 48]]


def test_augmentation_is_for_one_part(plan):
    training, validation, _ = open_sets(plan)
    assert training.transform_generator is not None
    assert validation.transform_generator is None
    assert (training.shuffle_groups, validation.shuffle_groups) == (True, False)
    assert (training.group_method, validation.group_method) == ("ratio", "ratio")


def test_the_seed_decides_and_the_data_set_may_move(plan, tmp_path):
    first = [path.rpartition("/")[2] for path in open_sets(plan)[1].paths]
    (tmp_path / "set").rename(tmp_path / "moved")
    moved = CSVData("moved/ann.csv", "moved/cls.csv")
    assert [
        path.rpartition("/")[2] for path in open_sets(replace(plan, data=moved))[1].paths
    ] == first
    others = [
        open_sets(replace(plan, data=moved, seed=seed))[1].image_names for seed in range(1, 4)
    ]
    assert any(other != first for other in others)


def test_a_data_set_with_a_set_to_evaluate_on_has_no_share_to_hold_out(plan):
    data = replace(plan.data, val_annotations=plan.data.annotations)
    with pytest.raises(
        SettingError, match="val_share: the data set has its own set to evaluate on, of 10 im"
    ):
        open_sets(replace(plan, data=data))
    with pytest.raises(SettingError, match="of 200 images: leave this out"):
        open_sets(replace(plan, data=ShapesData()))


def test_a_single_image_cannot_be_divided(plan, tmp_path):
    (tmp_path / "set" / "ann.csv").write_text("0.png,1,1,5,5,square\n")
    with pytest.raises(SettingError, match="val_share: expected two images or more"):
        open_sets(plan)


def test_without_a_share_the_sets_are_those_of_the_data(plan):
    training, validation, lines = open_sets(replace(plan, val_share=None))
    assert (training.size(), validation, lines) == (10, None, [])


def test_warnings_about_the_data_come_once(plan, tmp_path):
    with open(tmp_path / "set" / "ann.csv", "a") as file:
        file.write("0.png,12,16,52,48,square\n")
    with pytest.warns(UserWarning, match="boxes listed again") as caught:
        open_sets(plan)
    assert len(caught) == 1


def test_many_classes_are_not_all_named(plan, tmp_path):
    names = [f"class{i}" for i in range(30)]
    (tmp_path / "set" / "cls.csv").write_text("".join(f"{n},{i}\n" for i, n in enumerate(names)))
    rows = [f"{i % 10}.png,1,1,{20 + i},30,{name}\n" for i, name in enumerate(names)]
    (tmp_path / "set" / "ann.csv").write_text("".join(rows))
    *_, (line,) = open_sets(plan)
    assert line.endswith(", and 10 more classes")
    assert line.count(" of 1") == 21  # and "of 10 images"


def found(plan):
    """Return a plan whose classes are found in the files."""
    return replace(plan, data=replace(plan.data, classes="-"))


def test_classes_that_are_found_are_said_and_written(plan, tmp_path):
    with open(tmp_path / "set" / "ann.csv", "w") as file:
        csv.writer(file).writerows(
            [f"{i}.png", 1, 1, 30, 30, "cat, grey" if i % 2 else "ant"] for i in range(10)
        )
    training, validation, lines = open_sets(found(plan))
    assert training.classes == validation.classes == {"ant": 0, "cat, grey": 1}
    assert lines[0] == "Classes found: ant 0, cat, grey 1 (out/classes.csv)"
    assert Path("out/classes.csv").read_text() == 'ant,0\n"cat, grey",1\n'
    again = CSVData(plan.data.annotations, "out/classes.csv")
    assert open_sets(replace(plan, data=again))[0].classes == training.classes


def test_a_set_to_evaluate_on_has_the_classes_of_the_set_to_train_on(plan, tmp_path):
    (tmp_path / "set" / "ann.csv").write_text("0.png,1,1,9,9,ant\n1.png,1,1,9,9,bee\n")
    (tmp_path / "set" / "val.csv").write_text("2.png,1,1,9,9,bee\n")
    data = replace(plan.data, val_annotations="set/val.csv", classes="-")
    training, validation, _ = open_sets(replace(plan, data=data, val_share=None))
    assert validation.classes == training.classes == {"ant": 0, "bee": 1}
    assert validation.load_annotations(0)["labels"].tolist() == [1]


def test_a_run_that_goes_on_has_the_classes_of_its_snapshot(plan):
    training, validation, lines = open_sets(found(plan), {"ant": 0, "square": 1})
    assert training.classes == validation.classes == {"ant": 0, "square": 1}
    assert not any(line.startswith("Classes found") for line in lines)


def numbers_of(path):
    return json.loads(Path(path).read_text())["coco"]


def test_what_is_held_out_is_measured_again_from_its_list(plan, tmp_path, capsys):
    lines = []
    result = run.train(
        replace(found(plan), epochs=2, steps=32, lr=3e-3, optimizer_clipnorm=1.0), log=lines.append
    )
    assert "The trained model on 2 held-out images:" in "".join(lines)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("tiny_csv_01.keras", "tiny_csv_02.keras", "history.csv", "class_ap.csv"),
        *("curves.png", "detections.png"),
        *("train-images.txt", "val-images.txt", "classes.csv"),
        *("best.keras", "state.zip", "state-previous.zip"),
    }
    capsys.readouterr()
    arguments = ["csv", plan.data.annotations, "-", "out/tiny_csv_02.keras"]
    lists = ["--image-list", "out/val-images.txt", "--json", "numbers.json"]
    evaluate.main([*arguments, *lists])
    assert "2 instances of class square" in capsys.readouterr().out
    measured = numbers_of("numbers.json")
    assert measured["AR100"] > 0.5
    for name, value in measured.items():
        assert value == pytest.approx(result.coco[name], abs=1e-6)
    # Found without a model, the classes are said.
    debug.main(["csv", plan.data.annotations, "-", "--check", *lists[:2]])
    out = capsys.readouterr().out
    assert "Classes found: square 0\n" in out
    assert "Images: 2 (" in out


def test_a_run_that_goes_on_holds_out_the_same_images(plan):
    run.train(plan, log=lambda line: None)
    before = listed("val-images.txt")
    snapshot = "out/tiny_csv_01.keras"
    assert RunRecord.read(snapshot).settings["val_share"] == 0.2
    further = TrainingPlan.for_data(plan.data, snapshot=snapshot, epochs=2, snapshot_path="out")
    assert further.val_share == 0.2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_sets(further)
    assert listed("val-images.txt") == before
    own = replace(further, data=replace(plan.data, val_annotations=plan.data.annotations))
    with pytest.warns(SettingWarning, match="val_share: has no effect: the data set has its own"):
        training, validation, _ = open_sets(own, batch_size=1, group_method="ratio")
    assert (training.size(), validation.size(), training.group_method) == (10, 10, "ratio")
    for other in (replace(further, val_share=0.5), replace(further, seed=3)):
        with pytest.warns(UserWarning, match=r"out/val-images\.txt is replaced: other images"):
            open_sets(other)


def write_coco(folder, size):
    """Write a COCO data set of images with a bright square each."""
    tiny.write_squares(folder, [(64, 80)] * size)
    images = [
        {"id": 10 + i, "file_name": f"{i}.png", "width": 80, "height": 64} for i in range(size)
    ]
    boxes = [{"image_id": 10 + i, "category_id": 4, "bbox": [12, 16, 40, 32]} for i in range(size)]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 4, "name": "square"}]}
    (folder / "annotations").mkdir()
    (folder / "images").mkdir()
    for image in images:
        (folder / "images" / "train2017").mkdir(exist_ok=True)
        name = image["file_name"]
        (folder / name).rename(folder / "images" / "train2017" / name)
    (folder / "annotations" / "instances_train2017.json").write_text(json.dumps(content))


def test_coco_is_measured_on_the_images_held_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(models.BACKBONES, tiny.NAME, tiny.ENTRY)
    monkeypatch.chdir(tmp_path)
    write_coco(tmp_path, 8)
    plan = TrainingPlan(
        data=CocoData("."),
        backbone="tiny",
        imagenet_weights=False,
        snapshot_path="out",
        val_share=0.25,
        feature_size=32,
        epochs=1,
        steps=48,
        lr=3e-3,
        optimizer_clipnorm=1.0,
        **SIDES,
    )
    result = run.train(plan, log=lambda line: None)
    lists = ["--image-list", "out/val-images.txt", "--json", "numbers.json"]
    evaluate.main(["coco", ".", "out/tiny_coco_01.keras", *lists])
    out = capsys.readouterr().out
    assert "No set to evaluate on: this is the set 'train2017'\n" in out
    assert "2 instances of class square" in out
    measured = numbers_of("numbers.json")
    assert measured["AR100"] > 0.3
    for name, value in measured.items():
        assert value == pytest.approx(result.coco[name], abs=1e-6)


def test_a_run_without_a_set_to_evaluate_on_says_so(plan):
    plan = replace(plan, val_share=None)
    for changes, said in (({}, 1), ({"evaluation": False}, 0)):
        lines = []
        data_sets.open_data(replace(plan, **changes), None, lines.append)
        assert lines.count("No data to evaluate on: --val-share 0.2 holds some out") == said
