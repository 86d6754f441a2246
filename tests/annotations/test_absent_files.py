"""The likely cause why a file is not there."""

import pytest

from keras_retinanet.annotations.absent_files import why_absent

# What is looked for in a folder with `images/a.jpg` and `images/B.png` -> what is said.
CAUSES = {
    "images\\a.jpg": "it exists with '/' instead of backslashes",
    " images/a.jpg": "it exists with no blanks before or after names",
    "images/a.jpg ": "it exists with no blanks before or after names",
    " images\\a.jpg": "'/' instead of backslashes and no blanks before or after names",
    "images\\z.jpg": "a backslash does not separate folders here: write '/'",
    "C:\\data\\images\\a.jpg": "a path of Windows; it exists without 'C:/data/'",
    "C:/data/images/z.jpg": "a path of Windows; write it relative to the annotations",
    "\\\\server\\z.jpg": "a path of Windows; write it relative to the annotations",
    "images/a.png": "but 'a.jpg' exists",
    "images/a": "but 'a.jpg' exists",
    "images/A.JPG": "but 'a.jpg' exists",
    "images/b.jpg": "but 'B.png' exists",
    "Images/a.jpg": "there is no folder 'Images'",
    "images/images/a.jpg": "it exists without 'images/'",
    "data/set/images/a.jpg": "it exists without 'data/set/'",
    "a.jpg": "it exists with 'images/' before its name",
    "nowhere/x/z.jpg": "there is no folder 'nowhere'",
    "images": "it is a folder",
    "images/link.jpg": "it is a link to nowhere",
    "images/labels.jpg": "",
    "images/z.jpg": "",
    "a/" * 10_000: "the path is too long",
    "a" * 10_000: "the path is too long",
    "images/\0.jpg": "it holds a zero byte",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "B.png", "labels.txt", "a.txt"):
        (tmp_path / "images" / name).touch()
    (tmp_path / "images" / "link.jpg").symlink_to(tmp_path / "gone")
    return tmp_path


@pytest.mark.parametrize("path", CAUSES, ids=lambda path: repr(path)[:30])
def test_the_likely_cause(folder, path):
    found, expected = why_absent(f"{folder}/{path}"), CAUSES[path]
    assert expected in found if expected else found == ""


def test_a_path_from_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert why_absent("annotations/images/a.jpg") == "it exists without 'annotations/'"
    assert why_absent("/data/images/a.jpg") == (
        "it exists from the current folder, not from that of the annotations"
    )


def test_long_names_are_shortened(folder):
    (folder / "images" / f"{'n' * 200}.jpg").touch()
    assert len(why_absent(f"{folder}/images/{'n' * 200}.png")) < 100
