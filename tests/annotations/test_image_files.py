import unicodedata

import pytest

from keras_retinanet.annotations.image_files import ImageFinder


@pytest.mark.parametrize(
    ("files", "suffix", "recorded", "found"),
    [
        (["a.jpg"], ".jpg", "", "a.jpg"),
        (["a.png"], ".jpg", "", "a.png"),
        (["a.JPG"], ".jpg", "", "a.JPG"),
        (["a.TIF"], None, "", "a.TIF"),
        (["a.png", "a.jpg"], ".png", "", "a.png"),
        (["a.png", "a.jpg"], ".bmp", "", "a.jpg"),
        (["a.png", "a.jpg"], None, "", "a.jpg"),
        # The annotations tell which one is meant.
        (["a.png", "a.jpg"], None, "a.png", "a.png"),
        (["a.png", "a.jpg"], ".jpg", "a.png", "a.jpg"),
        (["b.png"], ".jpg", "b.png", "b.png"),
        (["b.png"], ".jpg", "C:\\photos\\b.png", "b.png"),
        # The name of the annotation file says more than what some tool once wrote.
        (["a.png", "b.png"], ".jpg", "b.png", "a.png"),
        # An extension that is none of the usual ones.
        (["a_left.raw", "a.raw"], ".raw", "", "a.raw"),
        (["a_left.png"], "_left.png", "", "a_left.png"),
        (["a.txt", "a.xml", "ab.jpg"], ".jpg", "c.jpg", None),
        # Another case, if there is no file of the exact name.
        (["A.jpg"], ".jpg", "", "A.jpg"),
        (["A.jpg", "a.png"], ".jpg", "", "a.png"),
        (["B.JPG"], None, "b.jpg", "B.JPG"),
        (["A.jpg", "b.jpg"], None, "b.jpg", "A.jpg"),
        # A recorded name without an extension, or with that of a file that was converted since.
        (["b.png"], None, "b", "b.png"),
        (["b.png"], None, "b.bmp", "b.png"),
        (["b.c.png"], None, "b.c", "b.c.png"),
        (["b.png"], None, "b.c", None),
        ([], None, "../b.png", None),
    ],
)
def test_the_image_of_a_name(tmp_path, files, suffix, recorded, found):
    for file in files:
        (tmp_path / file).write_text("")
    expected = found or "a" + (suffix or ".jpg")
    assert ImageFinder(str(tmp_path)).find("a", suffix, recorded) == str(tmp_path / expected)


def test_names_may_have_folders_and_dots(tmp_path):
    (tmp_path / "b.c").mkdir()
    (tmp_path / "b.c" / "a.1.png").write_text("")
    finder = ImageFinder(str(tmp_path))
    assert finder.find("b.c/a.1", ".jpg") == str(tmp_path / "b.c" / "a.1.png")
    for name in ("none/a", "a\0", "a" * 1000):
        assert finder.find(name, ".jpg") == str(tmp_path / f"{name}.jpg")


def test_names_may_have_their_extension(tmp_path):
    for name in ("a.jpg", "a.png"):
        (tmp_path / name).write_text("")
    finder = ImageFinder(str(tmp_path))
    assert finder.look("a.png") == str(tmp_path / "a.png")
    assert finder.look("b.png") is None


def test_accents_are_written_in_two_ways(tmp_path):
    (tmp_path / unicodedata.normalize("NFD", "Ä.jpg")).write_text("")
    found = ImageFinder(str(tmp_path)).look(unicodedata.normalize("NFC", "ä"))
    assert found == str(tmp_path / unicodedata.normalize("NFD", "Ä.jpg"))
