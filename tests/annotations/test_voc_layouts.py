"""Made examples of what labelling tools write in PASCAL VOC's form."""

import os
import unicodedata
from collections import Counter
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from keras_retinanet.annotations import voc_layouts
from keras_retinanet.annotations.voc_layouts import find_layout, read_class_names, recognises
from keras_retinanet.preprocessing.pascal_voc import PascalVocGenerator
from tests import data_sets

BOX = "<bndbox><xmin>{}</xmin><ymin>3</ymin><xmax>20</xmax><ymax>9</ymax></bndbox>"


def xml(filename, *names, extra=""):
    """Return an annotation file that names an image file, with an object of each name."""
    objects = "".join(
        f"<object><name>{name}</name>{extra}{BOX.format(left)}</object>\n"
        for left, name in enumerate(names, 2)
    )
    return f"<annotation>\n<filename>{filename}</filename>{objects}</annotation>\n"


# Each with the files that the tool writes; those without text are images. What a person adds, such
# as the images that a tool does not export, is where its users put it.
EXPORTS = {
    "voc": {
        "ImageSets/Main/train.txt": "a\n",
        "ImageSets/Main/val.txt": "b\n",
        "ImageSets/Main/trainval.txt": "a\nb\n",
        "ImageSets/Main/cat_train.txt": "a  1\n",
        "ImageSets/Main/cat_val.txt": "b -1\n",
        "Annotations/a.xml": xml("a.jpg", "cat", "dog"),
        "Annotations/b.xml": xml("b.jpg", "dog"),
        "JPEGImages/a.jpg": None,
        "JPEGImages/b.jpg": None,
        "SegmentationClass/a.png": None,
    },
    "archive of voc": {
        "VOCdevkit/VOC2012/ImageSets/Main/train.txt": "a\n",
        "VOCdevkit/VOC2012/Annotations/a.xml": xml("a.jpg", "cat", "dog"),
        "VOCdevkit/VOC2012/JPEGImages/a.jpg": None,
    },
    "lists in ImageSets": {
        "ImageSets/train.txt": "a\n",
        "ImageSets/test.txt": "b\n",
        "annotations/a.xml": xml("a.jpg", "cat"),
        "annotations/b.xml": xml("b.jpg", "cat", "cow"),
        "Images/a.jpg": None,
        "Images/b.png": None,
    },
    "LabelImg": {
        "IMG_1.JPG": None,
        "IMG_1.xml": xml("IMG_1.JPG", "cat", extra="<pose>Unspecified</pose>"),
        "IMG_2.JPG": None,
        "IMG_2.xml": xml("C:\\Users\\me\\photos\\IMG_2.JPG", "dog", "cat"),
        "not yet.JPG": None,
    },
    "LabelImg, another folder": {
        "photos/1.png": None,
        "photos/2.png": None,
        "xml/1.xml": xml("1", "cat"),
        "xml/2.xml": xml("2", "cat", "dog"),
        "xml/classes.txt": "dog\ncat\nmouse\n",
    },
    "Roboflow": {
        "README.roboflow.txt": "pets - v1\n",
        "train/a_png.rf.0123abc.jpg": None,
        "train/a_png.rf.0123abc.xml": xml(
            "a_png.rf.0123abc.jpg", "cat", extra="<occluded>0</occluded>"
        ),
        "valid/b_png.rf.0123abc.jpg": None,
        "valid/b_png.rf.0123abc.xml": xml("b_png.rf.0123abc.jpg", "dog", "cat"),
        "test/c_png.rf.0123abc.jpg": None,
        "test/c_png.rf.0123abc.xml": xml("c_png.rf.0123abc.jpg"),
    },
    "CVAT": {
        "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:1,2,3::\n"
        "cat:4,5,6::\n",
        "ImageSets/Main/default.txt": 'frame_000000\nsub/frame_000001\n"with blanks"\n',
        "Annotations/frame_000000.xml": xml("frame_000000.PNG", "cat"),
        "Annotations/sub/frame_000001.xml": xml("sub/frame_000001.PNG", "dog", "cat"),
        "Annotations/with blanks.xml": xml("with blanks.PNG"),
        "JPEGImages/frame_000000.PNG": None,
        "JPEGImages/sub/frame_000001.PNG": None,
        "JPEGImages/with blanks.PNG": None,
    },
    "CVAT, subsets": {
        "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:4,5,6::\n",
        "ImageSets/Main/Train.txt": "1\n",
        "ImageSets/Main/Validation.txt": "2\n",
        "Annotations/1.xml": xml("1.jpg", "cat"),
        "Annotations/2.xml": xml("2.jpg", "cat", "cat"),
        "JPEGImages/1.jpg": None,
        "JPEGImages/2.jpg": None,
    },
    "VoTT": {
        "pascal_label_map.pbtxt": "item {\n id: 1\n name: 'cat'\n}\n",
        "ImageSets/Main/cat_train.txt": "1.jpg 1\n2.jpg -1\n",
        "ImageSets/Main/dog_train.txt": "1.jpg -1\n2.jpg 1\n",
        "ImageSets/Main/cat_val.txt": "3.jpg 1\n",
        "ImageSets/Main/dog_val.txt": "3.jpg -1\n",
        "Annotations/1.xml": xml("1.jpg", "cat"),
        "Annotations/2.xml": xml("2.jpg", "dog"),
        "Annotations/3.xml": xml("3.jpg", "cat"),
        **dict.fromkeys(("JPEGImages/1.jpg", "JPEGImages/2.jpg", "JPEGImages/3.jpg")),
    },
    "Label Studio": {
        "Annotations/8d0b-a.xml": xml("8d0b-a", "cat"),
        "Annotations/97ff-b.xml": xml("97ff-b", "dog", "dog"),
        "images/8d0b-a.jpg": None,
        "images/97ff-b.jpeg": None,
    },
    "makesense": {
        "labels_my-project-name_2024-01-01/a.xml": xml("a.jpg", "cat"),
        "labels_my-project-name_2024-01-01/b.xml": xml("b.jpg", "dog"),
        "images/a.jpg": None,
        "images/b.jpg": None,
    },
    "Kaggle": {
        "annotations/road0.xml": xml("road0.png", "stop", "light"),
        "annotations/road1.xml": xml("road1.png", "stop"),
        "images/road0.png": None,
        "images/road1.png": None,
        "__MACOSX/annotations/._road0.xml": "\0\5\26\7",
        "annotations/.DS_Store": "\0",
    },
    "Kaggle, sets below": {
        "train_zip/train/apple_1.jpg": None,
        "train_zip/train/apple_1.xml": xml("apple_1.jpg", "apple"),
        "test_zip/test/apple_2.jpg": None,
        "test_zip/test/apple_2.xml": xml("apple_2.jpg", "apple", "apple"),
    },
    "sets below the kinds": {
        "images/train/1.jpg": None,
        "images/val/1.jpg": None,
        "annotations/train/1.xml": xml("1.jpg", "cat"),
        "annotations/val/1.xml": xml("1.jpg", "dog", "cat"),
    },
    "kinds below the sets": {
        "train/images/1.jpg": None,
        "train/Annotations/1.xml": xml("1.jpg", "cat"),
        "valid/images/1.jpg": None,
        "valid/Annotations/1.xml": xml("1.jpg", "dog", "cat"),
    },
    "sets of images only": {
        "train/1.jpg": None,
        "test/2.jpg": None,
        "annotations/1.xml": xml("1.jpg", "cat"),
        "annotations/2.xml": xml("2.jpg", "dog", "cat"),
    },
    "lists of one folder": {
        "ImageSets/Main/train.txt": "a\n",
        "JPEGImages/a.jpg": None,
        "JPEGImages/a.xml": xml("a.jpg", "cat"),
    },
    "lists of the folder above": {
        "ImageSets/Main/train.txt": "a\n",
        "a.jpg": None,
        "a.xml": xml("a.jpg", "cat"),
    },
    "Oxford pets": {
        "annotations/xmls/Beagle_1.xml": xml("Beagle_1.jpg", "dog"),
        "annotations/trimaps/Beagle_1.png": None,
        "annotations/README": "Pets",
        "images/Beagle_1.jpg": None,
    },
    "deep": {
        "a/b/1.xml": xml("1.jpg", "cat"),
        "a/b/1.jpg": None,
        "a/c/1.xml": xml("1.jpg", "dog"),
        "a/c/1.jpg": None,
    },
}
# Export -> set -> image file of each annotation file.
SETS = {
    "voc": {"train": ["JPEGImages/a.jpg"], "val": ["JPEGImages/b.jpg"]},
    "archive of voc": {"train": ["VOCdevkit/VOC2012/JPEGImages/a.jpg"]},
    "lists in ImageSets": {"train": ["Images/a.jpg"], "test": ["Images/b.png"]},
    "LabelImg": {"train": ["IMG_1.JPG", "IMG_2.JPG"]},
    "LabelImg, another folder": {"train": ["photos/1.png", "photos/2.png"]},
    "Roboflow": {
        "train": ["train/a_png.rf.0123abc.jpg"],
        "valid": ["valid/b_png.rf.0123abc.jpg"],
        "test": ["test/c_png.rf.0123abc.jpg"],
    },
    "CVAT": {
        "default": [
            "JPEGImages/frame_000000.PNG",
            "JPEGImages/sub/frame_000001.PNG",
            "JPEGImages/with blanks.PNG",
        ]
    },
    "CVAT, subsets": {"Train": ["JPEGImages/1.jpg"], "Validation": ["JPEGImages/2.jpg"]},
    "VoTT": {"train": ["JPEGImages/1.jpg", "JPEGImages/2.jpg"], "val": ["JPEGImages/3.jpg"]},
    "Label Studio": {"train": ["images/8d0b-a.jpg", "images/97ff-b.jpeg"]},
    "makesense": {"train": ["images/a.jpg", "images/b.jpg"]},
    "Kaggle": {"train": ["images/road0.png", "images/road1.png"]},
    "Kaggle, sets below": {
        "train": ["train_zip/train/apple_1.jpg"],
        "test": ["test_zip/test/apple_2.jpg"],
    },
    "sets below the kinds": {"train": ["images/train/1.jpg"], "val": ["images/val/1.jpg"]},
    "kinds below the sets": {"train": ["train/images/1.jpg"], "valid": ["valid/images/1.jpg"]},
    "sets of images only": {"train": ["train/1.jpg"], "test": ["test/2.jpg"]},
    "lists of one folder": {"train": ["JPEGImages/a.jpg"]},
    "lists of the folder above": {"train": ["a.jpg"]},
    "Oxford pets": {"train": ["images/Beagle_1.jpg"]},
    "deep": {"train": ["a/b/1.jpg", "a/c/1.jpg"]},
}


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            suffix = path.suffix.lower()
            path.write_bytes(cv2.imencode(suffix, np.full((20, 30, 3), 7, "uint8"))[1].tobytes())
        else:
            path.write_text(text)
    return str(folder)


def counted(folder, stems):
    """Return class name -> objects in the annotation files of some stems, by ElementTree alone."""
    counts = Counter()
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if name.endswith(".xml") and os.path.relpath(path, folder) in stems:
                counts.update(node.text for node in ElementTree.parse(path).iterfind("object/name"))
    return counts


@pytest.mark.filterwarnings("ignore:.*no annotation file and are left out")
@pytest.mark.parametrize("export", EXPORTS)
def test_exports_of_tools(tmp_path, export):
    folder = write(tmp_path, EXPORTS[export])
    assert recognises(folder)
    layout = find_layout(folder)
    assert set(SETS[export]) == set(layout.sets) - {"trainval"}
    for set_name, images in SETS[export].items():
        generator = PascalVocGenerator(folder, set_name, classes=None)
        assert [os.path.relpath(path, folder) for path in generator.paths] == images
        names = [
            generator.label_to_name(label)
            for index in range(generator.size())
            for label in generator.load_annotations(index)["labels"]
        ]
        files = layout.annotation_files(set_name).values()
        assert Counter(names) == counted(folder, {os.path.relpath(f, folder) for f in files})


@pytest.mark.parametrize("form", sorted(set(data_sets.FORMS) - {"pascal"}))
def test_other_forms_are_not_recognised(tmp_path, form):
    assert not recognises(data_sets.write(tmp_path, form))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a.jpg": None},
        {"annotations.xml": "<annotations><image/></annotations>"},
        {"a.xml": "<!-- <annotation> --><html/>"},
        {"a.xml": "no XML"},
        {"a.xml": ""},
        # KITTI's lists are in `ImageSets/` too.
        {"ImageSets/train.txt": "000000\n", "training/label_2/000000.txt": "Car"},
    ],
)
def test_what_is_no_data_set_is_not_recognised(tmp_path, files):
    assert not recognises(write(tmp_path, files))


def test_paths_that_are_no_folders_are_not_recognised(tmp_path):
    os.mkfifo(tmp_path / "a.xml")
    assert not recognises(tmp_path)
    assert not recognises(tmp_path / "a.xml")
    assert not recognises(tmp_path / "none")


@pytest.mark.parametrize(
    "content",
    [
        b"<annotation/>",
        b"\xef\xbb\xbf<annotation>",
        b"<?xml version='1.0'?>\n<!DOCTYPE annotation>\n<!-- <a> -->\n<annotation verified='yes'>",
        "<annotation>".encode("utf-16"),
    ],
)
def test_annotations_are_recognised_by_their_first_element(tmp_path, content):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.XML").write_bytes(content)
    assert recognises(tmp_path)


def test_only_a_few_files_are_looked_into(tmp_path, monkeypatch):
    write(tmp_path, {f"{i // 10}/{i}.xml": "<a/>" for i in range(1000)})
    looked_into = []
    monkeypatch.setattr(voc_layouts, "_is_annotation", looked_into.append)
    assert not recognises(tmp_path)
    assert 100 < len(looked_into) <= 150


def test_several_data_sets_in_a_folder(tmp_path):
    for year in (2007, 2012):
        write(tmp_path, {f"VOC{year}/ImageSets/Main/train.txt": "a\n"})
    with pytest.raises(ValueError, match=r"several data sets, name one: VOC2007, VOC2012$"):
        find_layout(tmp_path)


def test_lists_far_below_do_not_count(tmp_path):
    write(tmp_path, {**EXPORTS["LabelImg"], "old/ImageSets/Main/train.txt": "a\n"})
    assert list(find_layout(tmp_path).annotation_files("train")) == ["IMG_1", "IMG_2"]


def test_a_set_that_is_not_there(tmp_path):
    folder = write(tmp_path / "voc", EXPORTS["voc"])
    with pytest.raises(FileNotFoundError, match=r"Main/test\.txt: .* \(sets: train, trainval, val"):
        PascalVocGenerator(folder, "test")
    assert PascalVocGenerator(folder, "VAL").image_names == ["b"]
    # A list of a single class is a set too.
    assert PascalVocGenerator(folder, "cat_val").image_names == ["b"]
    folder = write(tmp_path / "robo", EXPORTS["Roboflow"])
    with pytest.raises(FileNotFoundError, match=r"no set 'x' \(sets: test, train, valid\)"):
        PascalVocGenerator(folder, "x")
    folder = write(tmp_path / "none", {"a.json": "{}", "b/c.jpg": None})
    with pytest.raises(FileNotFoundError, match=r"/train\.txt: no such .* \(it has: a\.json, b\)"):
        PascalVocGenerator(folder, "train")
    with pytest.raises(FileNotFoundError, match="nothing_here"):
        find_layout(tmp_path / "nothing_here")
    with pytest.raises(NotADirectoryError, match=r"a\.json"):
        find_layout(tmp_path / "none" / "a.json")


def test_images_beside_the_folder_of_annotations(tmp_path):
    write(tmp_path, EXPORTS["Kaggle"])
    generator = PascalVocGenerator(tmp_path / "annotations", "train", classes=None)
    assert [os.path.realpath(path) for path in generator.paths] == [
        str(tmp_path / "images" / f"road{i}.png") for i in range(2)
    ]


@pytest.mark.filterwarnings("ignore:.*no annotation file and are left out")
@pytest.mark.parametrize(
    ("recorded", "images", "found"),
    [
        ("a.jpg", ["images/A.JPG"], "images/A.JPG"),
        ("b.jpg", ["images/b.jpg"], "images/b.jpg"),
        ("b", ["images/b.jpg"], "images/b.jpg"),
        # Converted since.
        ("b.png", ["images/b.jpg"], "images/b.jpg"),
        ("sub/b.jpg", ["images/sub/b.jpg"], "images/sub/b.jpg"),
        ("C:\\photos\\b.jpg", ["images/B.jpg"], "images/B.jpg"),
        # Its own name first, and what is near.
        ("b.jpg", ["images/a.jpg", "images/b.jpg"], "images/a.jpg"),
        ("b.jpg", ["far/a.jpg", "images/b.jpg"], "images/b.jpg"),
        ("a.jpg", ["far/a.jpg", "annotations/a.jpg", "images/a.jpg"], "annotations/a.jpg"),
        ("a.jpg", ["far/a.jpg"], "far/a.jpg"),
        # Far away the recorded name has to tell them apart.
        ("a.jpg", ["far/a.jpg", "masks/a.png"], "far/a.jpg"),
        ("", ["far/a.jpg", "masks/a.png"], None),
        ("a.jpg", ["far/a.jpg", "further/a.jpg"], None),
        ("a.jpg", [f"{i}/a.{'jpg' if i == 9 else 'png'}" for i in range(10)], "9/a.jpg"),
        ("a.jpg", [f"{i}/a.{'jpg' if i == 9 else 'png'}" for i in range(30)], None),
        ("", ["images/b.jpg"], None),
    ],
)
def test_the_image_of_an_annotation_file(tmp_path, recorded, images, found):
    folder = write(tmp_path, {"annotations/a.xml": xml(recorded, "cat"), **dict.fromkeys(images)})
    if found is None:
        with pytest.raises(ValueError, match="1 of 1 image files not found, the first: .*/a.jpg"):
            PascalVocGenerator(folder, "train", classes=None)
    else:
        generator = PascalVocGenerator(folder, "train", classes=None)
        assert generator.paths == [os.path.join(folder, found)]


def test_images_of_another_set_are_others(tmp_path):
    files = {"train/a.xml": xml("a.jpg"), "pics/valid/a.jpg": None, "pics/train/b.jpg": None}
    folder = write(tmp_path, files)
    with pytest.raises(ValueError, match="1 of 1 image files not found, the first: .*train/a.jpg"):
        PascalVocGenerator(folder, "train")
    write(tmp_path, {"pics/a.jpg": None})
    assert PascalVocGenerator(folder, "train").paths == [os.path.join(folder, "pics/a.jpg")]


def test_names_with_their_extension_and_accents(tmp_path):
    name = unicodedata.normalize("NFD", "ä")
    folder = write(
        tmp_path,
        {
            "1.jpg.xml": xml("", "cat"),
            "1.jpg": None,
            f"{name}.xml": xml("", "cat"),
            "ä.jpg": None,
        },
    )
    generator = PascalVocGenerator(folder, "train", classes=None)
    assert [os.path.basename(path) for path in generator.paths] == ["1.jpg", "ä.jpg"]


def test_what_is_left_out_is_said(tmp_path):
    files = {
        **EXPORTS["Roboflow"],
        "train/new.jpg": None,
        "train/new too.jpg": None,
        "other/x.xml": xml("x.jpg", "cat"),
    }
    folder = write(tmp_path, files)
    with (
        pytest.warns(UserWarning, match=r"2 images have no .* first: .*new too\.jpg"),
        pytest.warns(match=r"1 annotation files are in no set \(sets: .*\), the first: other/x"),
    ):
        generator = PascalVocGenerator(folder, "train", classes=None)
    assert generator.size() == 1


def test_links_in_a_circle(tmp_path):
    folder = write(tmp_path, EXPORTS["deep"])
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "images").symlink_to(tmp_path / "a" / "b")
    assert len(find_layout(folder).annotation_files("train")) == 2


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("classes.txt", "dog\ncat\n", ["dog", "cat"]),
        ("labels.txt", "\ufeff dog \r\n\r\ntraffic light\r\n", ["dog", "traffic light"]),
        ("labels.txt", "#1\na:b\n", ["#1", "a:b"]),
        ("labelmap.txt", "# label:color\nbackground:0,0,0::\nb:1,2,3::\na\n", ["b", "a"]),
    ],
)
def test_class_names(tmp_path, name, text, names):
    (tmp_path / name).write_text(text)
    assert read_class_names(tmp_path / name) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", r"names\.txt: expected a class name in each line, got none"),
        ("a\nb\na\n", r"names\.txt: duplicate class name: 'a'"),
    ],
)
def test_malformed_class_names(tmp_path, text, message):
    (tmp_path / "obj.names.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_class_names(tmp_path / "obj.names.txt")
