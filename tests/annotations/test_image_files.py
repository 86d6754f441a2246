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
