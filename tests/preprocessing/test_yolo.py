import os

import cv2
import numpy as np
import pytest

from keras_retinanet.preprocessing import yolo
from keras_retinanet.preprocessing.yolo import YoloGenerator, read_description, read_labels

# The small data set has an outline.
pytestmark = pytest.mark.filterwarnings("ignore:.* objects are more than boxes")


@pytest.fixture
def folder(tmp_path):
    """Three images of 40 x 20: two boxes, an outline, and no label file."""
    for name in ("images/train", "labels/train", "images/val", "labels/val"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("train/b", "train/a", "train/c", "val/d"):
        image = np.full((20, 40, 3), 7, "uint8")
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), image)
    labels = tmp_path / "labels" / "train"
    (labels / "a.txt").write_text("1 0.5 0.5 0.5 0.2\n\n0 0.1 0.1 0.2 0.2\n")
    (tmp_path / "labels" / "val" / "d.txt").write_text("")
    (labels / "b.txt").write_text("2 0.25 0.1 0.5 0.9 0.75 0.4\n")
    (tmp_path / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnc: 3\nnames: [cat, dog, bus]\n"
    )
    return tmp_path


def test_reads_boxes_outlines_and_images_without_labels(folder):
    generator = YoloGenerator(str(folder / "data.yaml"))
    assert [os.path.basename(generator.image_path(i)) for i in range(3)] == [
        "a.png",
        "b.png",
        "c.png",
    ]
    assert generator.class_names() == ["cat", "dog", "bus"]
    truth = generator.load_annotations(0)
    np.testing.assert_allclose(truth["bboxes"], [[10, 8, 30, 12], [0, 0, 8, 4]])
    assert truth["labels"].tolist() == [1, 0]
    outline = generator.load_annotations(1)
    np.testing.assert_allclose(outline["bboxes"], [[10, 2, 30, 18]])
    assert outline["labels"].tolist() == [2]
    assert generator.load_annotations(2)["bboxes"].shape == (0, 4)
    assert YoloGenerator(str(folder), "val").size() == 1


def write(folder, text):
    path = folder / "data.yaml"
    path.write_text(text)
    return path


def test_names_may_be_numbered_and_the_root_given(folder):
    text = "path: images\ntrain: [train, val]\nnames:\n  0: cat\n  2: bus\n  1: dog\n"
    generator = YoloGenerator(str(write(folder, text)))
    assert generator.classes == {"cat": 0, "dog": 1, "bus": 2}
    assert generator.size() == 4


def test_a_set_may_be_a_list_of_files(folder):
    (folder / "list.txt").write_text("./images/train/b.png\nimages/val/d.png\n")
    generator = YoloGenerator(str(write(folder, "train: list.txt\nnames: [cat, dog, bus]\n")))
    assert [os.path.basename(path) for path in generator.paths] == ["b.png", "d.png"]


def test_a_step_up_too_many_is_forgiven(folder):
    text = "train: ../images/train\nnames: [cat, dog, bus]\n"
    assert YoloGenerator(str(write(folder, text))).size() == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "expected YAML"),
        ("train: x\n", "expected the key 'names'"),
        ("names: [a, a]\n", "duplicate class name"),
        ("names: {x: a}\n", "expected the labels 0, 1"),
        ("names: [a]\nnc: 2\n", "nc: 2 classes, but 1 names"),
        ("names: [a]\nnc: 1000000000000\n", "nc: 1000000000000 classes, but 1 names"),
        ("names: [a]\nnc: many\n", "nc: invalid literal"),
        ("names: [a]\nnc: [1]\n", "nc: invalid literal"),
        ("names: !!bool x\n", "expected the key 'names' with the classes, got 'x'"),
        ("names: {yes: a}\n", "expected the labels 0, 1"),
        ("names: {-1: a}\n", "expected the labels 0, 1"),
        ("names: {1: a, 01: b}\n", "expected the labels 0, 1"),
        ("names: {0: a, 99999999999: cat}\n", "names: 'cat': expected an id of 0 to 2001"),
        ("names: {1" + "0" * 400 + ": cat}\n", "names: 'cat': expected an id of 0 to 2000"),
        ("names: [[a], b]\n", "names: expected a name for each label, got \\['a'\\]"),
        ("names: {0: }\n", "names: expected a name for each label, got ''"),
        ("names: [a]\npath: [b]\n", "path: expected a folder"),
        ("names: [a]\ntrain: {b: c}\n", "train: expected a path or a list of paths"),
        ("names: [a]\ntrain: [[b]]\n", "train: expected a path or a list of paths"),
        ("names: [a]\nkpt_shape: 17\n", "kpt_shape: expected .keypoints, 2 or 3., got '17'"),
        ("names: [a]\nkpt_shape: [17, 4]\n", "kpt_shape: expected .keypoints, 2 or 3."),
        ("names: [a]\nkpt_shape: [x, 3]\n", "kpt_shape: invalid literal"),
        ("[a]\n", "expected the key 'names'"),
        ("", "expected the key 'names'"),
    ],
)
def test_malformed_descriptions_are_named(folder, text, message):
    path = write(folder, text)
    with pytest.raises(ValueError, match=message) as error:
        read_description(path)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value)) < 300 + len(str(path))


def test_names_are_what_is_written(folder):
    text = "names: {0: no, 1: 2024, 02: ~}\nnc: 3.0\npath: null\nval:\ntrain: images/train\n"
    description = read_description(write(folder, text))
    assert description["classes"] == {"no": 0, "2024": 1, "~": 2}
    assert description["sets"] == {"train": "images/train"}
    assert os.path.samefile(description["root"], folder)
    assert description["keypoints"] is None
    text = "names: [cat]\nkpt_shape: [17, 3]\n"
    assert read_description(write(folder, text))["keypoints"] == 51


def test_a_root_of_another_machine_is_that_of_the_file(folder):
    text = "path: /nowhere/set\ntrain: images/train\nvalid: images/val\nnames: [cat, dog, bus]\n"
    path = write(folder, text)
    with pytest.warns(UserWarning, match="path: there is no folder /nowhere/set: that of the file"):
        assert YoloGenerator(path).size() == 3
    with pytest.warns(UserWarning, match="that of the file"):
        assert YoloGenerator(path, "val").size() == 1


def test_classes_without_names_are_called_after_their_ids(folder):
    path = write(folder, "train: images/train\nnc: 3\n")
    with pytest.warns(UserWarning, match="no 'names': the classes are called 0 to 2"):
        assert YoloGenerator(path).class_names() == ["0", "1", "2"]
    for number in ("0", "1000000000"):
        with pytest.raises(ValueError, match="nc: expected 1 to 50000 classes, got"):
            read_description(write(folder, f"train: images/train\nnc: {number}\n"))


def test_objects_that_are_more_than_boxes_are_counted(folder):
    lines = f"1 0.5 0.5 0.5 0.2 {KEYPOINTS}\n1 0.2 0.4 0.8 0.4 0.8 0.6 0.2 0.6\n0 0.5 0.5 0.1 0.1\n"
    fill(folder, {"a": lines})
    message = (
        r"data\.yaml: train: 3 of 4 objects are more than boxes, of which only the box is used: "
        r"1 oriented boxes \(four corners\), 1 outlines, 1 with keypoints"
    )
    with pytest.warns(UserWarning, match=message):
        YoloGenerator(str(folder))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.5", "line 1: expected 'class x y width height'"),
        ("0 0.1 0.1 0.2 0.2 0.3", "line 1: expected 'class x y width height'"),
        ("cat 0.5 0.5 0.5 0.5", "line 1: malformed class: invalid literal"),
        ("3 0.5 0.5 0.5 0.5", "line 1: unknown class 3 (classes: [0, 1])"),
        ("2 0.5 0.5 0.5 0.5", "line 1: unknown class 2 (classes: [0, 1]): they count from 0"),
        ("0 0.5 x 0.5 0.5", "line 1: malformed number: could not convert"),
        ("0 0.5 nan 0.5 0.5", "line 1: malformed number: expected a finite number"),
        ("0 10 10 20 20", "line 1: expected fractions of the image's sides, 0 to 1"),
        ("0 0.5 0.5 0.5 0.5 0.9", "got 6 fields: if the last is a score, leave it out"),
        ("0,0.5,0.5,0.5,0.5", "got 1 fields: separate them by spaces, not commas"),
        ("0, 0.5, 0.5, 0.5", "got 4 fields: separate them by spaces, not commas"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "got 8 fields"),
        ("0.5 0.5 0.5 0.5 0.5", "line 1: malformed class: invalid literal"),
        ("1" + "0" * 30 + " 0.5 0.5 0.5 0.5", "line 1: unknown class 1"),
        ("9" * 5000 + " 0.5 0.5 0.5 0.5", "line 1: malformed class: "),
        ("-1 0.5 0.5 0.5 0.5", "line 1: unknown class -1"),
        ("0 0.5 0.5 0.5 1e999", "line 1: malformed number: expected a finite number"),
        ("0 0.5 0.5 0.5 " + "9" * 5000, "line 1: malformed number: expected a finite number"),
        ("0 0.5 0.5 0.5 1e300", "line 1: malformed number: expected at most 1e+09"),
        ("0 " + "0.5 " * 1_000_000, "line 1: expected a width and a height above 0"),
        ("0 " + "0.5 " * 1_000_001, "got 1000002 fields"),
        ("Car 0.00 0 -1.57 10.5 2 30 12.25 1.5 1.6 4.0 1.0 1.5 20.0 -1.5", "malformed class"),
        ("0 0.5 0.5 0 0.5", "line 1: expected a width and a height above 0"),
    ],
)
def test_malformed_labels_are_named(tmp_path, line, message):
    path = tmp_path / "a.txt"
    path.write_text(line)
    with pytest.raises(ValueError, match="^invalid YOLO label file: ") as error:
        read_labels(path, (40, 20), {0, 1})
    assert f"{path}: " in str(error.value)
    assert message in str(error.value)
    assert len(str(error.value)) < 300 + len(str(path))


KEYPOINTS = "0.1 0.1 2 0.3 0.3 1 0 0 0"


@pytest.mark.parametrize(
    ("line", "keypoints"),
    [
        ("1 0.5 0.5 0.5 0.2", None),
        ("1\t0.5\t0.5\t0.5\t0.2\r\n", None),
        ("\ufeff  1   0.5 0.5 0.5 0.2  \r", None),
        ("1.0 0.5 0.5 0.5 0.2", None),
        ("1.000000000000000000e+00 5e-1 5e-1 5e-1 2e-1", None),
        # An outline, and a turned box.
        ("1 0.25 0.4 0.75 0.4 0.5 0.6", None),
        ("1 0.25 0.5 0.5 0.4 0.75 0.5 0.5 0.6", None),
        # Keypoints, of a number that the description tells, or that no outline has.
        (f"1 0.5 0.5 0.5 0.2 {KEYPOINTS}", 9),
        (f"1 0.5 0.5 0.5 0.2 {KEYPOINTS}", None),
        ("1 0.5 0.5 0.5 0.2 0.1 0.1 0.3 0.3", 4),
        ("1 0.5 0.5 0.5 0.2", 4),
        # As many numbers as an outline may have, but a 2 is no coordinate.
        (f"1 0.5 0.5 0.5 0.2 {KEYPOINTS} 0.5 0.5 2.000000", None),
    ],
)
def test_spellings_of_one_box(tmp_path, line, keypoints):
    path = tmp_path / "a.txt"
    path.write_bytes(line.encode())
    (found,) = read_labels(path, (40, 20), {0, 1}, keypoints)
    np.testing.assert_allclose(found, (10, 8, 30, 12, 1))


def test_the_description_tells_how_many_keypoints_there_are(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1 0.5 0.5 0.5 0.2 0.1 0.1 0.3 0.3")
    with pytest.raises(ValueError, match="got 9 fields: by kpt_shape, 6 numbers follow a box"):
        read_labels(path, (40, 20), {0, 1}, 6)
    # Without it, they are the corners of an outline.
    assert read_labels(path, (40, 20), {0, 1}) == [(4, 2, 20, 10, 1)]


def test_rounding_at_the_edge_is_cut_off(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0 0.5 0.5 1.000001 1.000001")
    assert read_labels(path, (40, 20), {0}) == [(0, 0, 40, 20, 0)]


def test_label_files_lie_beside_the_last_folder_of_images():
    path = os.path.join("", "images", "set", "images", "a.b.jpg")
    assert yolo.label_path(path) == os.path.join("", "images", "set", "labels", "a.b.txt")


def test_what_is_not_there_is_named(folder):
    with pytest.raises(ValueError, match="expected the key 'test'"):
        YoloGenerator(str(folder), "test")
    path = str(write(folder, "train: nowhere\nval: labels\nnames: [cat]\n"))
    with pytest.raises(FileNotFoundError, match="folder of images not found: .*nowhere"):
        YoloGenerator(path)
    with pytest.raises(ValueError, match="expected images, found none"):
        YoloGenerator(path, "val")


def test_missing_images_of_a_list_are_named_or_left_to_reading(folder):
    (folder / "list.txt").write_text("./images/gone.png\n")
    path = str(write(folder, "train: list.txt\nnames: [cat]\n"))
    with pytest.raises(ValueError, match=r"1 of 1 image files not found, .*gone\.png"):
        YoloGenerator(path)
    generator = YoloGenerator(path, missing_ok=True)
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        generator.load_image(0)


def fill(folder, labels):
    """Write label files of the training set."""
    for name, text in labels.items():
        (folder / "labels" / "train" / f"{name}.txt").write_text(text)


def test_boxes_that_leave_their_image_are_clipped_or_dropped_in_training(folder):
    # Of 40 x 20 pixels: 0.4 and 0.9 pixels outside; 4 pixels; far away.
    lines = "0 0.49 0.5 1 0.2\n0 0.5 0.545 0.2 1\n0 0.5 0.5 1.2 0.2\n0 0.5 0.5 50 0.2\n"
    fill(folder, {"a": f"0 0.5 0.5 0.2 0.2\n{lines}"})
    generator = YoloGenerator(str(folder), no_resize=True)
    with pytest.warns(UserWarning, match="invalid boxes"), pytest.warns(match="clipped boxes"):
        _, annotations = generator.sample(0, 0)
    np.testing.assert_allclose(
        annotations["bboxes"], [[16, 8, 24, 12], [0, 8, 39.6, 12], [16, 0.9, 24, 20]]
    )
    assert generator.dropped_in_training == {generator.paths[0]: 2}


def test_pixels_instead_of_fractions_are_an_error_of_the_set(folder):
    fill(folder, {"a": "\n0 20 10 8 4\n0 20 10 8 4\n", "b": "0 20 10 8 4\n"})
    with pytest.raises(ValueError, match=r"line 2: expected fractions .*: are they pixels\?"):
        YoloGenerator(str(folder))


ELSEWHERE = [
    # folder of images, what data.yaml says, folder of labels, whether that is said
    ("images/train", "images/train", "labels/train", False),
    ("images/train", "images/train/", "labels/train", False),
    ("images/train", "./images/train", "labels/train", False),
    ("images/train", "../images/train", "labels/train", False),
    ("images/train", "list.txt", "labels/train", False),
    ("Images", "Images", "labels", False),
    ("Images", "Images", "Labels", True),
    ("images", "images", "Annotations", True),
    ("JPEGImages", "JPEGImages", "Annotations", True),
    ("images/images", "images/images", "images/labels", False),
    ("images/images", "images", "images/labels", False),
    ("train/images", "train", "train/labels", False),
    ("train", "train", "train", False),
    ("images", "images", "images", True),
]


@pytest.mark.parametrize("start", ["inside", "above", "absolute", "linked"])
@pytest.mark.parametrize(("images", "entry", "labels", "said"), ELSEWHERE)
def test_where_labels_may_be(tmp_path, monkeypatch, recwarn, images, entry, labels, said, start):
    folder = tmp_path / "set"
    for name in (images, labels):
        (folder / name).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / images / "a.png"), np.zeros((20, 40, 3), "uint8"))
    (folder / labels / "a.txt").write_text("0 0.5 0.5 0.5 0.2\n")
    (folder / "list.txt").write_text(f"{images}/a.png\n")
    write(folder, f"train: {entry}\nnames: [cat]\n")
    (tmp_path / "link").symlink_to("set")
    monkeypatch.chdir(folder if start == "inside" else tmp_path)
    data = {"inside": "data.yaml", "above": "set", "linked": "link/data.yaml"}
    generator = YoloGenerator(data.get(start, str(folder)))
    np.testing.assert_allclose(generator.load_annotations(0)["bboxes"], [[10, 8, 30, 12]])
    texts = [str(warning.message) for warning in recwarn]
    assert any("the labels are in an unusual folder" in text for text in texts) == said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "labels has 1 entries such as a.json"),
        ({"labels": "marks"}, "has the folders images, marks"),
    ],
)
def test_a_set_without_label_files_says_where_they_were_looked_for(tmp_path, change, message):
    for name in ("images", change.get("labels", "labels")):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((20, 40, 3), "uint8"))
    (tmp_path / change.get("labels", "labels") / "a.json").write_text("{}")
    path = write(tmp_path, "train: images\nnames: [cat]\n")
    generator = YoloGenerator(path)
    assert not generator.has_boxes()
    cause = generator.why_no_boxes()
    assert cause.startswith("no label file for any of 1 images")
    assert "labels/a.txt; " in cause
    assert message in cause
    assert len(cause) < 250


def test_empty_label_files_mean_no_objects(folder):
    generator = YoloGenerator(str(folder), "val")
    assert not generator.has_boxes()
    assert generator.why_no_boxes() == "all 1 label files are empty"


def test_folders_without_label_files_are_said(folder):
    (folder / "images" / "more").mkdir()
    cv2.imwrite(str(folder / "images" / "more" / "e.png"), np.zeros((20, 40, 3), "uint8"))
    with pytest.warns(UserWarning, match="train: 1 folders of images have no label file.*more"):
        generator = YoloGenerator(write(folder, "train: images\nnames: [cat, dog, bus]\n"))
    assert generator.size() == 5


def test_folders_are_read_with_links_and_without_hidden_files(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    cv2.imwrite(str(other / "e.avif.JPG"), np.zeros((20, 40, 3), "uint8"))
    train = folder / "images" / "train"
    (train / "linked").symlink_to(other)
    (train / "loop").symlink_to(train)
    for name in (".checkpoints/a.png", "._a.png", "notes.md"):
        (train / name).parent.mkdir(exist_ok=True)
        (train / name).write_text("")
    names = [os.path.relpath(path, train) for path in yolo.find_images("", [str(train)])]
    assert names == ["a.png", "b.png", "c.png", "linked/e.avif.JPG"]


@pytest.mark.parametrize("name", ["b.png", "./b.png", "images/train/b.png", "  b.png \r"])
def test_lists_are_relative_to_themselves_or_the_root(folder, name):
    lists = folder / "images" / "train" / "list.txt"
    lists.write_text(f"\ufeff\n{name}\n")
    found = yolo.find_images(str(folder), "images/train/list.txt")
    assert found == [str(folder / "images" / "train" / "b.png")]


@pytest.mark.skipif(os.sep != "/", reason="elsewhere a backslash separates folders")
def test_backslashes_are_the_likely_cause(folder):
    path = write(folder, "train: images\\train\nnames: [cat]\n")
    with pytest.raises(FileNotFoundError, match="'/' separates folders"):
        YoloGenerator(path)
