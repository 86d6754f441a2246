import os

import pytest

from keras_retinanet.annotations.label_files import find_label_files, label_path


def touch(*paths):
    for path in paths:
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w").close()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# image, label file, whether that is an unusual place
PLACES = [
    ("images/a.jpg", "labels/a.txt", False),
    ("images/train/a.jpg", "labels/train/a.txt", False),
    ("./images/a.jpg", "./labels/a.txt", False),
    ("train/images/a.b.jpg", "train/labels/a.b.txt", False),
    ("images/images/a.jpg", "images/labels/a.txt", False),
    ("images/images/a.jpg", "labels/images/a.txt", True),
    ("Images/a.jpg", "labels/a.txt", False),
    ("IMAGES/a.JPG", "labels/a.txt", False),
    ("JPEGImages/a.jpg", "labels/a.txt", False),
    ("images/a.jpg", "Labels/a.txt", True),
    ("Images/train/a.jpg", "LABELS/train/a.txt", True),
    ("images/a.jpg", "annotations/a.txt", True),
    ("JPEGImages/a.jpg", "Annotations/a.txt", True),
    ("images/a.jpg", "label/a.txt", True),
    ("images/a.jpg", "labels/a.TXT", False),
    ("images/a.jpg", "images/a.txt", True),
    ("train/a.jpg", "train/a.txt", False),
    ("a.jpg", "a.txt", False),
    ("my images/a.jpg", "my images/a.txt", False),
]


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize(("image", "label", "unusual"), PLACES)
def test_where_label_files_are_found(folder, image, label, unusual, absolute):
    touch(image, label)
    if absolute:
        image, label = os.path.join(folder, image), os.path.join(folder, label)
    found = find_label_files([image])
    assert found.paths == [label]
    assert found.unusual == ([os.path.dirname(label)] if unusual else [])
    assert (found.unlabelled, found.without_image, found.found_instead) == ([], [], "")
    assert label_path(image) == label


def test_the_usual_folder_comes_first(folder):
    touch("images/a.jpg", "labels/a.txt", "Labels/a.txt", "annotations/a.txt", "images/a.txt")
    assert find_label_files(["images/a.jpg"]).paths == ["labels/a.txt"]


def test_paths_from_another_folder_and_links(folder, monkeypatch):
    touch("data/images/train/a.jpg", "data/labels/train/a.txt")
    (folder / "here").mkdir()
    (folder / "shots").symlink_to("data/images/train")
    (folder / "linked").mkdir()
    (folder / "linked" / "images").symlink_to("../data/images")
    touch("linked/labels/train/a.txt")
    # As written, then where the link leads to.
    assert find_label_files(["linked/images/train/a.jpg"]).paths == ["linked/labels/train/a.txt"]
    assert find_label_files(["shots/a.jpg"]).paths == [f"{folder}/data/labels/train/a.txt"]
    monkeypatch.chdir(folder / "here")
    assert label_path("../data/images/train/a.jpg") == "../data/labels/train/a.txt"
    monkeypatch.chdir(folder / "data" / "images" / "train")
    assert label_path("a.jpg") == f"{folder}/data/labels/train/a.txt"
    assert label_path("./a.jpg") == f"{folder}/data/labels/train/a.txt"


def test_what_has_no_counterpart_is_listed(folder):
    touch("images/a.jpg", "images/b.jpg", "images/b.png", "labels/b.txt", "labels/c.txt")
    touch(
        "labels/classes.txt", "images/empty/d.jpg", "beside/e.jpg", "beside/e.txt", "beside/f.txt"
    )
    images = ["images/a.jpg", "images/b.jpg", "images/b.png", "images/empty/d.jpg", "beside/e.jpg"]
    found = find_label_files(images)
    assert found.paths == [None, "labels/b.txt", "labels/b.txt", None, "beside/e.txt"]
    assert found.unlabelled == ["images/empty"]
    # Beside images, a text file may be anything.
    assert found.without_image == ["labels/c.txt"]


@pytest.mark.parametrize(
    ("files", "expected", "instead"),
    [
        (["labels/a.json", "labels/b.json"], "labels/a.txt", "labels has 2 entries such as a.json"),
        (["labels/a.jpg.txt"], "labels/a.txt", "labels has 1 entries such as a.jpg.txt"),
        (["Annotations/a.xml"], "labels/a.txt", "Annotations has 1 entries such as a.xml"),
        (["images/a.json"], "labels/a.txt", "images has 1 entries such as a.json"),
        (["txt/a.txt"], "labels/a.txt", "the current folder has the folders images, txt"),
    ],
)
def test_what_is_there_instead(folder, files, expected, instead):
    touch("images/a.jpg", *files)
    found = find_label_files(["images/a.jpg"])
    assert found.paths == [None]
    assert (found.expected, found.found_instead) == (expected, instead)
    # All paths of messages are short.
    deep = "x" * 100 + "/" + "y" * 100 + "/images/"
    touch(*(deep + file.removeprefix("images/") for file in ["a.jpg"]))
    found = find_label_files([deep + "a.jpg"])
    assert len(found.expected) <= 50
    assert len(found.found_instead) <= 150
