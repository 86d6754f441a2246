"""`retinanet-evaluate`, from files to lines and a JSON file."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from keras_retinanet import models
from keras_retinanet.bin import evaluate
from keras_retinanet.detection import runners
from keras_retinanet.detection.runners import Runner
from keras_retinanet.images import BGR_MEAN
from keras_retinanet.system import devices
from tests.fakes import detailed_finder, picture, tiny_retinanet

BOXES = [(2, 2, 20, 20), (5, 5, 30, 25), (1, 8, 12, 30), (4, 4, 28, 28)]
LINES = """\
Loading model, this may take a second...
3 instances of class cat with average precision: 0.6667
1 instances of class dog with average precision: 1.0000
Inference time for 4 images: TIME
mAP using the weighted average of precisions among classes: 0.7500
mAP: 0.8333
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.832
"""


@pytest.fixture(scope="module")
def finder():
    return detailed_finder()


@pytest.fixture
def csv_set(tmp_path):
    """Three cats, of which two are found, and a dog that is."""
    rows = []
    for i, box in enumerate(BOXES):
        image = picture(32, 32, None if i == 2 else box, label=i == 3)
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
        rows.append(f"{i}.png,{','.join(map(str, box))},{'dog' if i == 3 else 'cat'}")
    (tmp_path / "boxes.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "classes.csv").write_text("cat,0\ndog,1\n")
    (tmp_path / "model.keras").write_text("stands for a model")
    return tmp_path


def arguments(folder):
    return ["csv", *(str(folder / name) for name in ("boxes.csv", "classes.csv", "model.keras"))]


@pytest.fixture
def loads(monkeypatch):
    """Make the command load a given model; remember what it asked for."""

    def loads_model(model):
        asked = []
        monkeypatch.setattr(
            models, "load_model", lambda path, **named: asked.append((path, named)) or model
        )
        return asked

    return loads_model


def test_printed_lines_and_json(csv_set, loads, finder, capsys):
    loads(finder)
    path = csv_set / "new" / "numbers.json"
    evaluate.main([*arguments(csv_set), "--json", str(path), "--batch-size", "3"])
    out = capsys.readouterr().out
    lines = out.splitlines()
    took = lines[3].rpartition(" ")[2]
    assert float(took) > 0
    assert len(took.partition(".")[2]) == 4
    assert out.replace(took, "TIME").startswith(LINES)
    assert len(lines) == 18
    numbers = json.loads(path.read_text())
    coco = numbers["coco"]
    assert list(coco) == ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100"]
    assert coco["AP50"] == pytest.approx((67 / 101 + 1) / 2)
    assert coco["APl"] == -1
    assert numbers["pascal"] == {
        "mAP": pytest.approx(5 / 6),
        "weighted_mAP": pytest.approx(3 / 4),
        "per_class": {
            "cat": {"AP": pytest.approx(2 / 3), "instances": 3},
            "dog": {"AP": 1.0, "instances": 1},
        },
    }
    assert numbers["images"] == 4
    assert round(numbers["seconds_per_image"], 4) == float(took)
    assert list(numbers) == ["coco", "pascal", "images", "seconds_per_image"]


def test_options_stand_before_or_after_the_data_set(csv_set):
    options = ["--batch-size", "3", "--iou-threshold", "0.7"]
    before = vars(evaluate.parse_args([*options, *arguments(csv_set)]))
    after = vars(evaluate.parse_args([*arguments(csv_set), *options]))
    assert before == after
    assert (before["batch_size"], before["iou_threshold"]) == (3, 0.7)
    assert before["model"] == str(csv_set / "model.keras")


def test_old_flags_and_their_defaults(csv_set):
    old = "--convert-model --backbone resnet101 --gpu 0 --save-path x --image-min-side 400"
    old += " --image-max-side 500 --no-resize --config c.ini --group-method none"
    given = vars(evaluate.parse_args([*old.split(), *arguments(csv_set)]))
    assert given["convert_model"] is given["no_resize"] is True
    assert (given["image_min_side"], given["image_max_side"]) == (400, 500)
    plain = vars(evaluate.parse_args(["coco", "folder", "model.h5"]))
    assert (plain["score_threshold"], plain["iou_threshold"]) == (0.05, 0.5)
    assert plain["max_detections"] is None  # 100, or more if an image has more objects
    assert (plain["coco_path"], plain["model"]) == ("folder", "model.h5")


def test_thresholds_reach_the_numbers(csv_set, loads, finder, capsys):
    loads(finder)
    evaluate.main([*arguments(csv_set), "--score-threshold", "1.0"])
    assert "mAP: 0.0000" in capsys.readouterr().out
    evaluate.main([*arguments(csv_set), "--max-detections", "1"])
    assert "mAP: 0.8333" in capsys.readouterr().out


def test_pictures_are_saved(csv_set, loads, finder):
    loads(finder)
    evaluate.main([*arguments(csv_set), "--save-path", str(csv_set / "pictures")])
    assert sorted(p.name for p in (csv_set / "pictures").iterdir()) == [
        f"{i}.png" for i in range(4)
    ]


@pytest.mark.filterwarnings("default:the data set to evaluate on has no box")
def test_a_data_set_without_boxes(csv_set, loads, finder, capsys):
    loads(finder)
    (csv_set / "boxes.csv").write_text("0.png,,,,,\n")
    evaluate.main([*arguments(csv_set), "--json", str(csv_set / "n.json")])
    out, err = capsys.readouterr()
    assert "warning: the data set to evaluate on has no box: every row of" in err
    assert "0 instances of class cat with average precision: 0.0000" in out
    assert "No test instances found." in out
    assert json.loads((csv_set / "n.json").read_text())["coco"]["AP"] == -1


@pytest.mark.filterwarnings("default::UserWarning")
def test_given_sides_win_over_the_trained_ones_with_a_warning(csv_set, loads, capsys):
    loads(detailed_finder(no_resize=False, image_min_side=64, image_max_side=96))
    evaluate.main(arguments(csv_set))
    quiet = capsys.readouterr()
    assert "mAP: 0.8333" in quiet.out
    assert "warning" not in quiet.err
    evaluate.main([*arguments(csv_set), "--image-min-side", "128", "--image-max-side", "128"])
    told = capsys.readouterr()
    assert "mAP: 0.8333" in told.out
    warning = (
        "warning: detecting with sides 128 and 128; the model was trained with sides 64 and 96"
    )
    assert warning in told.err
    evaluate.main([*arguments(csv_set), "--no-resize"])
    assert "warning: detecting with unresized images; the model" in capsys.readouterr().err


@pytest.mark.filterwarnings("default::UserWarning")
def test_backbone_is_handed_on_and_useless_options_are_named(csv_set, loads, finder, capsys):
    asked = loads(finder)
    evaluate.main([*arguments(csv_set), "--backbone", "resnet101", "--convert-model"])
    assert asked == [(str(csv_set / "model.keras"), {"backbone_name": "resnet101"})]
    assert "warning: --convert-model has no effect on a converted model" in capsys.readouterr().err


@pytest.mark.filterwarnings("default::UserWarning")
def test_other_class_names_are_told(csv_set, loads, capsys):
    loads(detailed_finder(class_names=("cat", "hound")))
    evaluate.main(arguments(csv_set))
    told = capsys.readouterr()
    assert "['cat', 'hound'], the data set's ['cat', 'dog']" in told.err
    assert "mAP: 0.8333" in told.out


@pytest.mark.filterwarnings("default::UserWarning")
def test_classes_in_another_order_are_paired_by_name(csv_set, loads, capsys):
    loads(detailed_finder(class_names=("dog", "cat")))
    evaluate.main(arguments(csv_set))
    told = capsys.readouterr()
    assert "warning: classes are paired by name: all 2 of the data set (cat, dog)" in told.err
    assert "mAP: 0.0000" in told.out


def test_images_are_resized_by_the_rule_of_the_model(csv_set, loads, capsys, monkeypatch):
    rules = []

    def remember(options, known_classes, **named):
        rules.append(named["resize_rule"])
        return open_one(options, known_classes, **named)

    open_one = evaluate.datasets.open_one
    monkeypatch.setattr(evaluate.datasets, "open_one", remember)
    loads(detailed_finder(resize_rule="mmdet"))
    evaluate.main(arguments(csv_set))
    assert rules == ["mmdet"]


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # Keras's way to save
def test_a_training_snapshot_is_converted_on_the_way(csv_set, capsys):
    snapshot = tiny_retinanet(seed=2)
    converted = models.convert_model(snapshot, score_threshold=0)
    numbers = {}
    for name, model in (("snapshot", snapshot), ("converted", converted)):
        path = csv_set / f"{name}.keras"
        models.save_model(model, path)
        command = [*arguments(csv_set)[:-1], str(path), "--score-threshold", "0"]
        evaluate.main([*command, "--batch-size", "4", "--json", f"{path}.json"])
        assert "3 instances of class cat" in capsys.readouterr().out
        numbers[name] = json.loads((csv_set / f"{name}.keras.json").read_text())
        numbers[name].pop("seconds_per_image")
    assert numbers["snapshot"] == numbers["converted"]
    assert numbers["snapshot"]["coco"]["AR100"] > 0  # 100 boxes an image hit something


def wrong(capsys, argv):
    with pytest.raises(SystemExit) as error:
        evaluate.main(argv)
    captured = capsys.readouterr()
    assert error.value.code == 2
    lines = [line for line in captured.err.splitlines() if not line.startswith("warning")]
    assert len(lines) == 1
    return lines[0]


def test_wrong_number_of_classes(csv_set, loads, capsys):
    loads(detailed_finder(class_names=None))
    (csv_set / "classes.csv").write_text("cat,0\ndog,1\ncow,2\n")
    assert "the model has 2 classes (names unknown), the data set has 3 (cat, dog, cow)" in wrong(
        capsys, arguments(csv_set)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch-size", "0"], "error: --batch-size: expected at least 1, got 0"),
        (["--iou-threshold", "50"], "error: --iou-threshold: expected 0 to 1, got 50.0"),
        (["--json", "."], "error: --json .: expected a file, got a folder"),
    ],
)
def test_impossible_values(csv_set, capsys, options, message):
    assert wrong(capsys, [*arguments(csv_set), *options]) == message


def test_missing_and_broken_files(csv_set, loads, finder, capsys):
    (csv_set / "model.keras").unlink()
    assert wrong(capsys, arguments(csv_set)).startswith("error: model not found: ")
    (csv_set / "model.keras").write_text("no model")
    assert "model.keras" in wrong(capsys, arguments(csv_set))
    loads(finder)
    (csv_set / "1.png").write_bytes(b"")
    assert "1.png: expected an image" in wrong(capsys, arguments(csv_set))


def test_a_published_model_by_name(csv_set, loads, finder, capsys, monkeypatch):
    asked = loads(finder)
    monkeypatch.chdir(csv_set)
    evaluate.main([*arguments(csv_set)[:-1], "coco"])
    assert asked == [("coco", {})]
    assert "mAP: 0.8333" in capsys.readouterr().out
    monkeypatch.setattr(devices, "start_tensorflow", None)  # an unknown name is told before
    assert "did you mean coco? " in wrong(capsys, [*arguments(csv_set)[:-1], "cocoo"])


@pytest.mark.parametrize(("allowed", "code"), [("0", 1), ("100", None), (None, None)])
def test_a_model_is_compared_with_a_reference(csv_set, monkeypatch, capsys, allowed, code):
    # The one finds what the other finds, with the sides of an image exchanged for half of them.
    better, worse = detailed_finder(), detailed_finder(image_min_side=16, no_resize=False)
    by_name = {"model.keras": worse, "better.keras": better}
    (csv_set / "better.keras").write_text("stands for a model")
    monkeypatch.setattr(models, "load_model", lambda path, **named: by_name[os.path.basename(path)])
    report = csv_set / "numbers.json"
    options = ["--reference", str(csv_set / "better.keras"), "--json", str(report)]
    options += [] if allowed is None else ["--max-drop", allowed]
    stopped = None
    try:
        evaluate.main([*arguments(csv_set), *options])
    except SystemExit as stop:
        stopped = stop.code
    assert stopped == code
    output = capsys.readouterr()
    found = re.search(
        r"^AP ([\d.]+), of the reference ([\d.]+): ([\d.]+) points below it$", output.out, re.M
    )
    ap, expected, drop = map(float, found.groups())
    assert expected - ap == pytest.approx(drop, abs=0.011)
    assert drop > 1
    assert json.loads(report.read_text())["coco"]["AP"] == pytest.approx(ap / 100, abs=1e-4)
    is_told = "points below that of the reference, more than --max-drop 0" in output.err
    assert is_told == (code == 1)


class Exported(Runner):
    """Stands for an exported file: the finder, which takes uint8 images."""

    info = replace(detailed_finder().info, normalisation="network")
    input_type = "uint8"

    def run(self, batch):
        assert batch.dtype == "uint8"
        return detailed_finder().predict_on_batch(batch.astype("float32") - BGR_MEAN)


def test_an_exported_file_is_measured_like_a_model(csv_set, monkeypatch, capsys):
    monkeypatch.setattr(runners, "open_exported", lambda path: Exported())
    (csv_set / "model.onnx").touch()
    evaluate.main([*arguments(csv_set)[:-1], str(csv_set / "model.onnx")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == LINES.splitlines()[1:3]
    assert lines[6] == LINES.splitlines()[6]


def test_large_images_are_cut_into_tiles(csv_set, loads, finder, capsys):
    image = np.zeros((100, 320, 3), "uint8")
    rows = []
    for x in (10, 110, 210):
        image[40:60, x : x + 25] = picture(20, 25, (0, 0, 25, 20))
        rows.append(f"large.png,{x},40,{x + 25},60,cat")
    cv2.imwrite(str(csv_set / "large.png"), image)
    (csv_set / "boxes.csv").write_text("\n".join(rows) + "\n")
    loads(finder)
    for options, precision in (([], "0.0000"), (["--tile", "60", "--overlap", "30"], "1.0000")):
        evaluate.main([*arguments(csv_set), *options])
        assert f"class cat with average precision: {precision}" in capsys.readouterr().out


def test_only_the_command_assumes_frozen_weights(csv_set, loads, finder, monkeypatch):
    loads(finder)
    calls = []
    monkeypatch.setattr(devices, "start_tensorflow", lambda **named: calls.append(named))
    monkeypatch.setattr(sys, "argv", ["x", *arguments(csv_set)])
    evaluate.main()
    evaluate.command()
    assert calls == [{"weights_are_frozen": False}, {"weights_are_frozen": True}]


def test_help_is_quick():
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "keras_retinanet.bin.evaluate", "csv", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--max-detections" in done.stdout
    assert time.perf_counter() - start < 3  # TensorFlow alone takes longer to import


@pytest.mark.parametrize("value", ["nan", "-1", "101"])
def test_a_drop_that_cannot_be_is_refused(csv_set, value, capsys):
    with pytest.raises(SystemExit):
        evaluate.main([*arguments(csv_set), "--reference", "a.keras", "--max-drop", value])
    assert "--max-drop: expected points from 0 to 100" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:the data set to evaluate on has no box")
def test_nothing_is_compared_without_boxes(csv_set, loads, finder, capsys):
    loads(finder)
    (csv_set / "boxes.csv").write_text("0.png,,,,,\n1.png,,,,,\n")
    options = ["--reference", str(csv_set / "model.keras"), "--max-drop", "1"]
    with pytest.raises(SystemExit) as stop:
        evaluate.main([*arguments(csv_set), *options])
    assert stop.value.code == 2
    assert "there is no AP to compare" in capsys.readouterr().err
