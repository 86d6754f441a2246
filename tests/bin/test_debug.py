"""`retinanet-debug`, from files to pictures, keys and reports."""

import json
import os
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_retinanet.augmentation.settings import SETTING_SPECS
from keras_retinanet.bin import debug
from keras_retinanet.reports import window
from tests import data_sets
from tests.fakes import picture

RED, GREEN = [0, 0, 255], [0, 255, 0]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three images of 64 by 48 pixels: a cat of 30 by 30, nothing, a dog of 5 by 5."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i, box in enumerate([(10, 10, 40, 40), None, (28, 20, 33, 25)]):
        image = picture(48, 64, box) // 2 + 20 * (i + 1)
        cv2.imwrite(str(tmp_path / "photos" / f"{i}.png"), image)
    (tmp_path / "boxes.csv").write_text(
        "photos/0.png,10,10,40,40,cat\nphotos/1.png,,,,,\nphotos/2.png,28,20,33,25,dog\n"
    )
    (tmp_path / "classes.csv").write_text("cat,0\ndog,1\n")
    return tmp_path


ARGUMENTS = ["csv", "boxes.csv", "classes.csv"]


def code_of(arguments):
    try:
        debug.main(arguments)
    except SystemExit as stop:
        return stop.code
    return 0


def read(path):
    return cv2.imread(str(path))


def has(image, colour):
    return bool((image == colour).all(axis=2).any())


def test_all_pictures_are_written_below_the_output_folder(folder, capsys):
    debug.main([*ARGUMENTS, "--no-gui", "--no-resize", "--output-dir", "out"])
    names = sorted(path.name for path in (folder / "out" / "photos").iterdir())
    assert names == ["0_debug.png", "1_debug.png", "2_debug.png"]
    # Without more flags the images are as they are.
    for i in range(3):
        shown = read(folder / "out" / "photos" / f"{i}_debug.png")
        np.testing.assert_array_equal(shown, read(folder / "photos" / f"{i}.png"))
    assert "wrote 3 pictures to out" in capsys.readouterr().out


def test_flags_change_the_pictures(folder):
    flags = "--no-gui --flatten-output --show-annotations --image-min-side 96 --image-max-side 200"
    debug.main([*flags.split(), *ARGUMENTS])
    cat, nothing, dog = (read(folder / f"{i}_debug.png") for i in range(3))
    assert cat.shape == nothing.shape == dog.shape == (96, 128, 3)
    # 60 pixels match an anchor of 64; 10 match none.
    assert cat[80, 80].tolist() == GREEN
    assert dog[50, 66].tolist() == RED
    assert not has(nothing, RED) and not has(nothing, GREEN)
    debug.main([*flags.split(), *ARGUMENTS, "--anchors", "--display-name", "--output-dir", "more"])
    assert has(read(folder / "more" / "0_debug.png"), [255, 255, 0])
    named = read(folder / "more" / "1_debug.png")
    assert (named[-14:, :30] != nothing[-14:, :30]).any()


def test_anchors_of_a_config_are_those_drawn(folder):
    (folder / "small.ini").write_text(
        "[anchor_parameters]\nsizes=5\nstrides=4\nratios=1\nscales=1\n[pyramid_levels]\nlevels=2\n"
    )
    debug.main(
        ["--config", "small.ini", "--no-resize", "--no-gui", "--show-annotations", *ARGUMENTS]
    )
    assert has(read(folder / "photos" / "0_debug.png"), RED)
    assert has(read(folder / "photos" / "2_debug.png"), GREEN)


def test_random_transform_is_that_of_the_first_epoch(folder):
    flags = ["--no-gui", "--no-resize", "--random-transform", "--flatten-output"]
    debug.main([*flags, *ARGUMENTS, "--output-dir", "a"])
    debug.main([*flags, *ARGUMENTS, "--output-dir", "b"])
    first, again = (read(folder / name / "0_debug.png") for name in "ab")
    np.testing.assert_array_equal(first, again)
    assert (first != read(folder / "photos" / "0.png")).any()


@pytest.mark.parametrize("flag", ["--mosaic", "--copy-paste"])
def test_mixed_images_are_shown_with_the_boxes_of_all(folder, flag):
    shared = [*ARGUMENTS, "--no-gui", "--no-resize", "--flatten-output", "--show-annotations"]
    debug.main([*shared, "--output-dir", "plain"])
    debug.main([*shared, flag, "1", "--output-dir", "mixed"])
    drawn = 0
    for i in range(3):
        plain, mixed = (read(folder / name / f"{i}_debug.png") for name in ("plain", "mixed"))
        assert mixed.shape == plain.shape
        drawn += (mixed != plain).any() and (has(mixed, GREEN) or has(mixed, RED))
    assert drawn >= 2
    debug.main([*shared, flag, "0", "--output-dir", "never"])
    for i in range(3):
        plain, never = (read(folder / name / f"{i}_debug.png") for name in ("plain", "never"))
        np.testing.assert_array_equal(plain, never)


def test_old_flags_stand_before_or_after_the_data_set():
    flags = "--no-resize --anchors --display-name --show-annotations --random-transform"
    flags += " --image-min-side 400 --image-max-side 500 --config c.ini --no-gui --output-dir x"
    flags += " --flatten-output --group-method none"
    before = vars(debug.parse_args([*flags.split(), *ARGUMENTS]))
    assert before == vars(debug.parse_args([*ARGUMENTS, *flags.split()]))
    assert before == {
        "resize": False,
        **dict.fromkeys(("anchors", "display_name", "show_annotations", "random_transform"), True),
        **{"image_min_side": 400, "image_max_side": 500, "config": "c.ini"},
        **{"no_gui": True, "output_dir": "x", "flatten_output": True, "group_method": "none"},
        **{"dataset_type": "csv", "annotations": "boxes.csv", "classes": "classes.csv"},
        **{"check": False, "json": None, "max_pixels": 2**28, "image_list": None, "base_dir": None},
        **dict.fromkeys(SETTING_SPECS.keys() - {"scale_range"}),
    }


def test_old_defaults():
    options = debug.parse_args(["oid", "folder", "validation"])
    assert (options.image_min_side, options.image_max_side) == (800, 1333)
    assert options.resize is True
    assert (options.output_dir, options.config, options.no_gui) == (".", None, False)
    assert (options.version, options.annotation_cache_dir) == ("v4", ".")
    shapes = debug.parse_args(["shapes"])
    assert (shapes.image_min_side, shapes.image_max_side) == (128, 192)


def test_an_unreadable_image_is_skipped_and_named(folder, capsys):
    (folder / "photos" / "1.png").write_bytes(b"")
    assert code_of([*ARGUMENTS, "--no-gui", "--output-dir", "out"]) == 2
    assert sorted(os.listdir(folder / "out" / "photos")) == ["0_debug.png", "2_debug.png"]
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: skipped 1 of 3 images: ")
    assert "1.png: expected an image, got an empty file" in error


def test_without_a_display_it_says_so_and_stops(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert code_of(["shapes"]) == 2
    error = capsys.readouterr().err
    assert error == "error: there is no display for a window: use --no-gui to write pictures\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing aborts")
def test_a_display_that_is_not_there_is_named(monkeypatch, capsys):
    monkeypatch.setenv("DISPLAY", ":9876")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert code_of(["shapes"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no window can be opened on the display :9876: use --no-gui")


@pytest.mark.filterwarnings("default::UserWarning")
def test_keys_move_through_the_data_set(folder, monkeypatch, capsys):
    shown, keys = [], [ord("m"), 65363, ord("m"), ord("n"), ord("x"), 2424832, ord("q")]
    monkeypatch.setattr(window, "check_display", lambda: None)
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKeyEx", lambda: keys.pop(0))
    images = [read(folder / "photos" / f"{i}.png") for i in range(3)]
    (folder / "photos" / "1.png").write_bytes(b"")
    debug.main([*ARGUMENTS, "--no-resize"])
    assert keys == []
    for image, index in zip(shown, (0, 1, 2, 0, 2, 2, 1), strict=True):
        if index == 1:
            assert image.shape == (480, 640, 3)  # says that it cannot be read
        else:
            np.testing.assert_array_equal(image, images[index])
    assert "1.png: expected an image, got an empty file" in capsys.readouterr().err


def test_an_image_shown_again_is_changed_anew(folder, monkeypatch):
    shown, keys = [], [ord("x"), 27]
    monkeypatch.setattr(window, "check_display", lambda: None)
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKeyEx", lambda: keys.pop(0))
    debug.main([*ARGUMENTS, "--random-transform"])
    first, second = shown
    assert (first != second).any()


def test_check_of_a_good_set(folder, capsys):
    assert code_of([*ARGUMENTS, "--check", "--json", "new/report.json"]) == 0
    written = json.loads((folder / "new" / "report.json").read_text())
    assert (written["images"], written["boxes"], written["broken"]) == (3, 2, False)
    output = capsys.readouterr()
    assert "Images: 3 (unreadable: 0, without boxes: 1)" in output.out
    assert "Nothing is broken." in output.out
    assert "Reading: 3 of 3" in output.err


def test_check_of_a_broken_set(folder, capsys):
    (folder / "photos" / "0.png").unlink()
    (folder / "photos" / "1.png").write_bytes(b"")
    with open("boxes.csv", "a") as file:
        file.write("photos/2.png,50,40,70,47,dog\n")
    assert code_of(["--check", "--json", "report.json", *ARGUMENTS]) == 1
    written = json.loads((folder / "report.json").read_text())
    assert [entry["file"] for entry in written["unreadable"]] == ["photos/0.png", "photos/1.png"]
    assert written["dropped"] == [{"file": "photos/2.png", "boxes": 1}]
    assert written["classes"]["dog"]["boxes"] == 1
    out = capsys.readouterr().out
    assert "Unreadable images (2):" in out
    assert "photos/1.png: expected an image, got an empty file" in out
    assert "photos/2.png: 1" in out


def report_of(arguments):
    """Return the exit code and the report of --check."""
    code = code_of([*arguments, "--check", "--json", "report.json"])
    with open("report.json") as file:
        return code, json.load(file)


def test_check_of_boxes_at_the_edge_and_of_repetitions(folder, capsys):
    with open("boxes.csv", "a") as file:
        file.write("photos/2.png,40,40,65,48.9,dog\n" + 2 * "./photos/2.png,1,1,9,9,cat\n")
    code, report = report_of(ARGUMENTS)
    assert code == 0
    assert report["clipped"] == [{"file": "photos/2.png", "boxes": 1}]
    assert report["repeated_images"] == {"number": 1, "first": "./photos/2.png is photos/2.png"}
    assert report["repeated_boxes"]["number"] == 1
    output = capsys.readouterr()
    assert "Images with boxes clipped: outside by up to a pixel (1):" in output.out
    assert "Images listed again, which count again: 1, the first: " in output.out
    assert "listed again" not in output.err


@pytest.mark.parametrize(
    ("form", "cause"),
    [
        ("csv", "every row of annotations.csv is 'img_file,,,,,', an image without objects"),
        ("coco", "the list 'annotations' in ./annotations/instances_val2017.json is empty"),
        ("kitti", ""),
        ("pascal", ""),
        ("yolo", ""),
    ],
)
def test_check_of_a_set_without_a_box(tmp_path, monkeypatch, capsys, form, cause):
    monkeypatch.chdir(tmp_path)
    data_sets.write(tmp_path, form, {"a": [], "b": []})
    arguments = {
        "csv": ["csv", "annotations.csv", "classes.csv"],
        "coco": ["coco", "."],
        "kitti": ["kitti", ".", "train"],
        "pascal": ["pascal", ".", "--pascal-set", "train"],
        "yolo": ["yolo", "data.yaml"],
    }[form]
    try:
        debug.main([*arguments, "--check"])
    except SystemExit as stop:
        code = stop.code
    if code != 1:  # a reader refuses it by itself
        assert code.startswith("error: ")
        return
    assert f"There is no box at all: {cause}" in capsys.readouterr().out


def test_check_of_declared_sizes_and_exif_rotation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data_sets.write(tmp_path, "coco")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save("images/val2017/a.jpg", exif=exif)
    Image.new("RGB", (20, 40)).save("images/val2017/b.jpg")
    code, report = report_of(["coco", "."])
    assert code == 1
    assert [entry["orientation"] for entry in report["rotated"]] == [6]
    assert [entry["sizes"] for entry in report["other_size"]] == [
        "20 x 40 pixels, annotated as 40 x 20"
    ]
    out = capsys.readouterr().out
    assert "Images of another size than annotated (1):\n  ./images/val2017/b.jpg: 20 x 40" in out
    assert "Images with an EXIF orientation" in out
    assert "Nothing is broken." not in out


def test_check_names_images_with_too_many_pixels(folder):
    code, report = report_of([*ARGUMENTS, "--max-pixels", str(64 * 48 - 1)])
    assert code == 1
    assert len(report["unreadable"]) == 3
    assert report_of([*ARGUMENTS, "--max-pixels", str(64 * 48)])[0] == 0


def test_check_of_annotations_that_cannot_be_understood(folder, capsys):
    (folder / "boxes.csv").write_text("photos/0.png,10,10,10,40,cat\n")
    error = code_of([*ARGUMENTS, "--check"])
    # Python prints such a message on stderr and exits with code 1.
    assert error.startswith("error: invalid CSV annotations file: boxes.csv: line 1: x2 (10) must")
    assert code_of(["csv", "nowhere.csv", "classes.csv", "--check"]) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--json", "x.json"], "--json is for --check"),
        (["--check", "--json", "."], "--json .: expected a file, got a folder"),
        (["--image-min-side", "0"], "--image-min-side: expected at least 1, got 0"),
        (["--mosaic", "2"], "--mosaic: expected a number in 0..1, got 2"),
        (["--max-pixels", "0"], "--max-pixels: expected at least 1, got 0"),
        (["--no-gui", "--config", "nowhere.ini"], "nowhere.ini"),
    ],
)
def test_mistakes_are_named(flags, message, capsys):
    assert code_of(["shapes", *flags]) == 2
    assert message in capsys.readouterr().err


def test_a_list_of_images_chooses_what_is_checked(folder, capsys):
    (folder / "list.txt").write_text("2.png\nphotos/0.png\n")
    assert code_of([*ARGUMENTS, "--check", "--image-list", "list.txt"]) == 0
    assert "Images: 2 (" in capsys.readouterr().out
    # That a list does not fit is wrong usage, and no fault of the data set.
    (folder / "list.txt").write_text("7.png\n")
    assert code_of([*ARGUMENTS, "--check", "--image-list", "list.txt"]) == 2
    assert "error: list.txt: no image of the data set is" in capsys.readouterr().err
