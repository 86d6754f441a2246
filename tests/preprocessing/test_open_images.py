import json
import os
import warnings

import cv2
import numpy as np
import pytest

from keras_retinanet.annotations.open_images_layouts import LAYOUTS, find_version, recognises
from keras_retinanet.preprocessing.data import OpenImagesData
from keras_retinanet.preprocessing.open_images import (
    OpenImagesGenerator,
    find_hierarchy_parent,
    generate_images_annotations_json,
    get_labels,
    load_hierarchy,
    load_hierarchy_children,
    read_boxes,
)

HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
    "IsDepiction,IsInside"
)
CLASSES = '/m/cat,Cat\n/m/dog,"Dog\'s"\n/m/animal,Animal\n\n'
TREE = {
    "LabelName": "/m/entity",
    "Subcategory": [
        {
            "LabelName": "/m/animal",
            "Subcategory": [
                {"LabelName": "/m/dog"},
                {"LabelName": "/m/unused", "Subcategory": [{"LabelName": "/m/dog"}]},
            ],
        },
        {"LabelName": "/m/cat"},
    ],
}
# Image "a" is 40 x 20; "b" has a class that is not used; "c" is not there.
ROWS = [
    ("a", "/m/cat", 0.25, 0.5, 0.1, 0.6),
    ("a", "/m/dog", 0, 1, 0, 1),
    ("b", "/m/animal", 0.5, 1, 0.5, 1),
    ("b", "/m/tree", 0, 1, 0, 1),
    ("c", "/m/cat", 0, 1, 0, 1),
]


def csv_of(rows):
    lines = [
        f"{ident},human,{name},1,{x1},{x2},{y1},{y2},0,0,0,0,0"
        for ident, name, x1, x2, y1, y2 in rows
    ]
    return "\n".join([HEADER, *lines, ""])


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_images(folder, names="ab"):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / f"{name}.jpg"), np.full((20, 40, 3), 7, "uint8"))


@pytest.fixture
def v4(tmp_path):
    write(tmp_path, "2018_04/class-descriptions-boxable.csv", CLASSES)
    write(tmp_path, "2018_04/bbox_labels_600_hierarchy.json", json.dumps(TREE))
    write(tmp_path, "2018_04/train/train-annotations-bbox.csv", csv_of(ROWS))
    write_images(tmp_path / "images" / "train")
    return tmp_path


def open_set(folder, *args, missing=1, **arguments):
    arguments = {"annotation_cache_dir": str(folder / "cache"), **arguments}
    if not missing:
        return OpenImagesGenerator(str(folder), *args, **arguments)
    with pytest.warns(UserWarning, match=f"left out {missing} images, missing"):
        return OpenImagesGenerator(str(folder), *args, **arguments)


def test_reads_boxes_in_pixels(v4):
    generator = open_set(v4, "train")
    assert [os.path.basename(path) for path in generator.paths] == ["a.jpg", "b.jpg"]
    assert generator.class_names() == ["Cat", "Dogs", "Animal"]
    truth = generator.load_annotations(0)
    np.testing.assert_allclose(truth["bboxes"], [[10, 2, 20, 12], [0, 0, 40, 20]])
    assert truth["labels"].tolist() == [0, 1]
    assert generator.load_annotations(1)["labels"].tolist() == [2]
    assert generator.image_aspect_ratio(0) == 2


def test_a_filter_numbers_its_classes_anew(v4):
    generator = open_set(v4, "train", labels_filter=["Animal", "Cat"])
    assert generator.classes == {"Animal": 0, "Cat": 1}
    assert generator.load_annotations(0)["labels"].tolist() == [1]
    assert generator.load_annotations(1)["labels"].tolist() == [0]
    only = open_set(v4, "train", labels_filter=["Cat"], missing=0)
    assert only.size() == 1


def test_a_parent_brings_its_children(v4):
    generator = open_set(v4, "train", parent_label="Animal")
    assert generator.class_names() == ["Animal", "Dogs"]
    assert [generator.load_annotations(i)["labels"].tolist() for i in range(2)] == [[1], [0]]


def test_hierarchy():
    below = load_hierarchy_children(find_hierarchy_parent(TREE, "/m/animal"))
    assert below == ["/m/animal", "/m/dog", "/m/unused", "/m/dog"]
    assert find_hierarchy_parent(TREE, "/m/none") is None


def test_the_old_functions(v4):
    metadata = str(v4 / "2018_04")
    labels, idents = get_labels(metadata)
    assert labels == {0: "Cat", 1: "Dogs", 2: "Animal"}
    assert idents == {"/m/cat": 0, "/m/dog": 1, "/m/animal": 2}
    assert load_hierarchy(metadata) == TREE
    with pytest.warns(UserWarning, match="left out 1 images, missing"):
        images = generate_images_annotations_json(str(v4), metadata, "train", idents)
    # What keras-retinanet 1.0.0 returns for these files.
    boxes = [
        {"cls_id": 0, "x1": 0.25, "x2": 0.5, "y1": 0.1, "y2": 0.6},
        {"cls_id": 1, "x1": 0.0, "x2": 1.0, "y1": 0.0, "y2": 1.0},
    ]
    assert images["a"] == {"w": 40, "h": 20, "boxes": boxes}
    assert list(images) == ["a", "b"]


@pytest.mark.parametrize("option", [{"labels_filter": ["Cow"]}, {"parent_label": "Cow"}])
def test_unknown_classes_are_named(v4, option):
    with pytest.raises(ValueError, match="unknown class 'Cow'"):
        open_set(v4, "train", missing=0, **option)


def test_the_cache_is_used_until_its_sources_change(v4, monkeypatch):
    first = open_set(v4, "train")
    monkeypatch.setattr("keras_retinanet.preprocessing.open_images.read_boxes", None)
    again = open_set(v4, "train", missing=0)
    assert again.paths == first.paths
    assert (
        again.load_annotations(0)["bboxes"].tolist() == first.load_annotations(0)["bboxes"].tolist()
    )
    monkeypatch.undo()
    write(v4, "2018_04/train/train-annotations-bbox.csv", csv_of(ROWS[1:2]))
    assert open_set(v4, "train", missing=0).load_annotations(0)["labels"].tolist() == [1]
    # A half-written cache is no cache.
    write(v4, "cache/oid_v4_train.npz", "half")
    assert open_set(v4, "train", missing=0).size() == 1


@pytest.mark.parametrize("version", ["v5", "v6", "v7"])
@pytest.mark.parametrize("prefix", ["", "oidv6-"])
def test_the_layout_of_today(tmp_path, version, prefix):
    write(tmp_path, "class-descriptions-boxable.csv", CLASSES)
    write(tmp_path, f"{prefix}train-annotations-bbox.csv", csv_of(ROWS[:2]))
    write_images(tmp_path / "train")
    generator = open_set(tmp_path, "train", version, missing=0)
    assert generator.paths == [str(tmp_path / "train" / "a.jpg")]


def test_the_layout_of_version_3(tmp_path):
    write(tmp_path, "2017_11/class-descriptions.csv", CLASSES)
    write(tmp_path, "2017_11/classes-bbox-trainable.txt", "/m/dog\n/m/cat\n")
    write(tmp_path, "2017_11/validation/annotations-human-bbox.csv", csv_of(ROWS[:2]))
    write_images(tmp_path / "images" / "validation")
    generator = open_set(tmp_path, "validation", "v3", missing=0)
    assert generator.class_names() == ["Dogs", "Cat"]
    assert generator.load_annotations(0)["labels"].tolist() == [1, 0]
    write(tmp_path, "2017_11/classes-bbox-trainable.txt", "/m/cow\n")
    with pytest.raises(ValueError, match="without a description: /m/cow"):
        open_set(tmp_path, "validation", "v3", missing=0)


@pytest.mark.parametrize(("subset", "name"), [("train", "a"), ("validation", "b")])
def test_the_challenge_splits_one_file(tmp_path, subset, name):
    folder = "challenge2018"
    write(tmp_path, f"{folder}/challenge-2018-class-descriptions-500.csv", CLASSES)
    write(tmp_path, f"{folder}/challenge-2018-train-annotations-bbox.csv", csv_of(ROWS[:4]))
    write(tmp_path, f"{folder}/challenge-2018-image-ids-valset-od.csv", "ImageID\nb\n")
    write_images(tmp_path / "images" / "train")
    generator = open_set(tmp_path, subset, "challenge2018", missing=0)
    assert [os.path.basename(path) for path in generator.paths] == [f"{name}.jpg"]
    with pytest.raises(ValueError, match="challenge2018 has train and validation, got 'test'"):
        open_set(tmp_path, "test", "challenge2018", missing=0)


def test_boxes_thinner_than_a_pixel_are_left_out_and_counted(v4):
    rows = [ROWS[0], ("a", "/m/cat", 0.5, 0.501, 0, 1)]
    write(v4, "2018_04/train/train-annotations-bbox.csv", csv_of(rows))
    with pytest.warns(UserWarning, match="left out 1 boxes thinner than a pixel"):
        generator = open_set(v4, "train", missing=0)
    assert len(generator.load_annotations(0)["labels"]) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a", "/m/cat", 0.5, 0.5, 0, 1), r"line 2: x2 \(0.5\) must be higher than x1 \(0.5\)"),
        (("a", "/m/cat", 0, 1, 0.5, 0.4), r"line 2: y2 \(0.4\) must be higher than y1 \(0.5\)"),
        (("a", "/m/cat", "x", 1, 0, 1), "line 2: malformed XMin: could not convert"),
        (("a", "/m/cat", "9" * 5000, 1, 0, 1), "line 2: malformed XMin: expected a finite"),
        (("a", "/m/cat", 0, 1e300, 0, 1), "line 2: malformed XMax: expected at most 1e"),
        (("a", "/m/cat", 10, 50, 20, 60), "line 2: expected fractions .*: are they pixels"),
        (('"a', "/m/cat", 0, 1, 0, '1\n"'), "line 2: a quote is not closed"),
        (("x" * 2**20, "/m/cat", 0, 1, 0, 1), "line 2: expected fewer than 1048576"),
    ],
)
def test_malformed_boxes_are_named(tmp_path, row, message):
    path = write(tmp_path, "boxes.csv", csv_of([row]))
    with pytest.raises(ValueError, match=message) as error:
        read_boxes(path, {"/m/cat": 0})
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value)) < 300 + len(str(path))


def test_boxes_that_leave_their_image_are_clipped_or_dropped_in_training(v4):
    # Of 40 x 20 pixels: 0.4 pixels outside; 4 pixels; far away.
    sides = [(0.25, 0.5, 0.1, 0.6), (-0.01, 1, 0, 1.02), (0, 1.1, 0, 1), (0, 30, 0, 1)]
    rows = csv_of([("a", "/m/cat", *box) for box in sides])
    write(v4, "2018_04/train/train-annotations-bbox.csv", rows)
    generator = open_set(v4, "train", missing=0, no_resize=True)
    with pytest.warns(UserWarning, match="invalid boxes"), pytest.warns(match="clipped boxes"):
        _, annotations = generator.sample(0, 0)
    np.testing.assert_allclose(annotations["bboxes"], [[10, 2, 20, 12], [0, 0, 40, 20]])


def test_pixels_instead_of_fractions_are_an_error_of_the_set(v4):
    rows = csv_of([ROWS[0], *(("a", "/m/cat", 0, 30, 0, 10) for _ in range(2))])
    path = write(v4, "2018_04/train/train-annotations-bbox.csv", rows)
    message = r"line 3: expected fractions .* 1 other of 3 boxes are not: are they pixels\?"
    with pytest.raises(ValueError, match=f"^{path}: {message}"):
        open_set(v4, "train", missing=0)


def test_a_header_of_the_class_file_shifts_no_labels(v4):
    write(v4, "2018_04/class-descriptions-boxable.csv", f"LabelName,DisplayName\n{CLASSES}")
    with pytest.warns(UserWarning, match="line 1 is a header, left out: LabelName,DisplayName"):
        generator = open_set(v4, "train")
    assert generator.class_names() == ["Cat", "Dogs", "Animal"]
    assert generator.load_annotations(0)["labels"].tolist() == [0, 1]


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "boxes.csv")
    with pytest.raises(ValueError, match="expected a regular file"):
        read_boxes(tmp_path / "boxes.csv", {"/m/cat": 0})


@pytest.mark.parametrize("text", ["x", "[" * 100_000, '{"LabelName": "a", "Subcategory": 0}'])
def test_the_old_function_names_a_malformed_hierarchy(v4, text):
    path = write(v4, "2018_04/bbox_labels_600_hierarchy.json", text)
    with pytest.raises(ValueError, match=f"^{path}: "):
        load_hierarchy(str(v4 / "2018_04"))


def test_what_is_not_there_is_named(v4):
    with pytest.raises(ValueError, match="expected one of v3, v4, challenge2018, v5, v6, v7"):
        open_set(v4, "train", "v2", missing=0)
    with pytest.raises(FileNotFoundError, match="validation-annotations-bbox.csv"):
        open_set(v4, "validation", missing=0)
    write(v4, "2018_04/train/train-annotations-bbox.csv", "ImageID\n")
    with pytest.raises(ValueError, match="line 1: expected the columns .'LabelName'"):
        open_set(v4, "train", missing=0)
    write(v4, "2018_04/train/train-annotations-bbox.csv", csv_of(ROWS[-1:]))
    with pytest.raises(ValueError, match="found none of the 1 annotated"):
        open_set(v4, "train", missing=0)
    assert set(LAYOUTS) == {"v3", "v4", "v5", "v6", "v7", "challenge2018"}


def damaged_caches(whole):
    middle = len(whole) // 2
    return {
        "cut off": whole[:middle],
        "overwritten": whole[:middle] + b"\x55" * 20 + whole[middle + 20 :],
        "empty": b"",
        "of another kind": b"\x93NUMPY\x01\x00",
    }


@pytest.mark.parametrize("damage", damaged_caches(b""))
def test_a_damaged_cache_is_made_anew(v4, damage):
    first = open_set(v4, "train")
    path = v4 / "cache" / "oid_v4_train.npz"
    path.write_bytes(damaged_caches(path.read_bytes())[damage])
    again = open_set(v4, "train")
    assert again.paths == first.paths
    assert again.load_annotations(0)["labels"].tolist() == [0, 1]
    # The new one is whole.
    assert open_set(v4, "train", missing=0).paths == first.paths


# What is stored instead of an array of the cache.
FORGED = {
    "sizes negative": {"sizes": lambda right: -right},
    "sizes zero": {"sizes": lambda right: 0 * right},
    "sizes of one image too few": {"sizes": lambda right: right[1:]},
    "sizes as fractions": {"sizes": lambda right: right + 0.5},
    "sizes huge": {"sizes": lambda right: right + 2**40},
    "starts not rising": {"starts": lambda right: right[::-1].copy()},
    "starts beyond the end": {"starts": lambda right: right * 7},
    "starts of one too many": {"starts": lambda right: np.append(right, right[-1:])},
    "rows of four numbers": {"rows": lambda right: right[:, :4].copy()},
    "rows without a number": {"rows": lambda right: right + float("nan")},
    "rows reversed": {"rows": lambda right: right * [-1, 1, -1, 1, 1]},
    "rows without an area": {"rows": lambda right: right * [0, 1, 0, 1, 1]},
    "labels negative": {"rows": lambda right: right - [0, 0, 0, 0, 9]},
    "labels too high": {"rows": lambda right: right + [0, 0, 0, 0, 9]},
    "labels as fractions": {"rows": lambda right: right + [0, 0, 0, 0, 0.5]},
    "names repeated": {"idents": lambda right: np.array(["a"] * len(right))},
    "names as bytes": {"idents": lambda right: right.astype("S")},
    "objects": {"idents": lambda right: right.astype(object)},
    "one array missing": {"starts": None},
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_cache_is_made_anew(v4, kind):
    first = open_set(v4, "train")
    path = v4 / "cache" / "oid_v4_train.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    for name, change in FORGED[kind].items():
        right = arrays.pop(name)
        if change is not None:
            arrays[name] = change(right)
    np.savez(path, **arrays)
    again = open_set(v4, "train")
    assert (again.paths, again.sizes) == (first.paths, first.sizes)
    for name in ("labels", "bboxes"):
        expected = first.load_annotations(0)[name].tolist()
        assert again.load_annotations(0)[name].tolist() == expected
    assert open_set(v4, "train", missing=0).paths == first.paths


def test_a_changed_file_of_equal_size_and_time_is_read(v4):
    path = v4 / "2018_04/train/train-annotations-bbox.csv"
    for last, expected in ((ROWS[0], 0), (("a", "/m/dog", *ROWS[0][2:]), 1)):
        write(v4, "2018_04/train/train-annotations-bbox.csv", csv_of([last]))
        os.utime(path, ns=(5, 5))
        found = open_set(v4, "train", missing=0).load_annotations(0)["labels"]
        assert found.tolist() == [expected]


def test_the_cache_knows_which_images_were_held_out(tmp_path):
    folder = "challenge2018"
    write(tmp_path, f"{folder}/challenge-2018-class-descriptions-500.csv", CLASSES)
    write(tmp_path, f"{folder}/challenge-2018-train-annotations-bbox.csv", csv_of(ROWS[:3]))
    write(tmp_path, f"{folder}/challenge-2018-image-ids-valset-od.csv", "ImageID\nb\n")
    write_images(tmp_path / "images" / "train")
    assert open_set(tmp_path, "train", "challenge2018", missing=0).size() == 1
    write(tmp_path, f"{folder}/challenge-2018-image-ids-valset-od.csv", "ImageID\nnone\n")
    assert open_set(tmp_path, "train", "challenge2018", missing=0).size() == 2


CLASS_NAMES = {"/m/cat": "Cat", "/m/dog": "Dogs", "/m/animal": "Animal"}
HEADED = f"LabelName,DisplayName\n{CLASSES}"
# Of a layout: the files of classes and boxes, and the folder of the images.
DOWNLOADS = {
    "today": (
        "oidv7-class-descriptions-boxable.csv",
        "oidv6-train-annotations-bbox.csv",
        "train",
    ),
    "annotations": (
        "annotations/class-descriptions-boxable.csv",
        "annotations/train-annotations-bbox.csv",
        "images/train",
    ),
    "annotations of today": (
        "annotations/oidv7-class-descriptions-boxable.csv",
        "annotations/oidv6-train-annotations-bbox.csv",
        "images",
    ),
    "OIDv4_ToolKit": (
        "OID/csv_folder/class-descriptions-boxable.csv",
        "OID/csv_folder/train-annotations-bbox.csv",
        "OID/Dataset/train/Cat_Dog",
    ),
    "the folder OID": (
        "csv_folder/class-descriptions-boxable.csv",
        "csv_folder/train-annotations-bbox.csv",
        "Dataset/train/Cat",
    ),
    "FiftyOne": ("train/metadata/classes.csv", "train/labels/detections.csv", "train/data"),
    "v4": (
        "2018_04/class-descriptions-boxable.csv",
        "2018_04/train/train-annotations-bbox.csv",
        "images/train",
    ),
}


@pytest.mark.filterwarnings("ignore:.*is a header, left out")
@pytest.mark.parametrize("version", ["v4", "v7"])
@pytest.mark.parametrize("layout", DOWNLOADS)
def test_where_downloads_are_put(tmp_path, layout, version):
    if (layout, version) == ("v4", "v7"):
        pytest.skip("a folder of its own")
    classes, boxes, images = DOWNLOADS[layout]
    write(tmp_path, classes, HEADED)
    write(tmp_path, boxes, csv_of(ROWS))
    write_images(tmp_path / images)
    data = OpenImagesData(tmp_path, version, annotation_cache_dir=tmp_path / "cache")
    assert recognises(tmp_path)
    assert find_version(tmp_path) == "v4"
    assert data.set_names() == ["train"]
    assert data.open_validation() is None
    for _ in range(2):  # the second time from the cache
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # image c is not there
            generator = data.open_training()
        assert generator.paths == [str(tmp_path / images / f"{name}.jpg") for name in "ab"]
        assert generator.class_names() == list(CLASS_NAMES.values())
        truth = generator.load_annotations(0)
        np.testing.assert_allclose(truth["bboxes"], [[10, 2, 20, 12], [0, 0, 40, 20]])
        assert truth["labels"].tolist() == [0, 1]


def test_what_is_not_open_images_is_not_recognised(tmp_path):
    assert not recognises(tmp_path)
    write(tmp_path, "class-descriptions-boxable.csv", CLASSES)
    assert not recognises(tmp_path)
    write(tmp_path, "train-annotations-bbox.csv", csv_of(ROWS))
    assert not recognises(tmp_path)  # no images
    (tmp_path / "train").mkdir()
    assert recognises(tmp_path)
    assert not recognises(tmp_path / "train-annotations-bbox.csv")


def test_images_added_to_the_folder_of_a_class_are_noticed(tmp_path):
    classes, boxes, images = DOWNLOADS["OIDv4_ToolKit"]
    write(tmp_path, classes, CLASSES)
    write(tmp_path, boxes, csv_of(ROWS))
    write_images(tmp_path / images, "a")
    for names in ("a", "ab", "abc"):
        write_images(tmp_path / images, names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            generator = open_set(tmp_path, "train", missing=0)
        assert generator.size() == len(names)


def test_a_list_chooses_images_with_their_sizes(v4):
    complete = open_set(v4, "train")
    chosen = open_set(v4, "train", missing=0, image_list=[complete.paths[-1]])
    assert chosen.paths == complete.paths[-1:]
    assert list(chosen.sizes) == list(complete.sizes)[-1:]
    assert chosen.image_aspect_ratio(0) == complete.image_aspect_ratio(complete.size() - 1)
