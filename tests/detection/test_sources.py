import glob

import pytest

from keras_retinanet.detection.sources import find_images


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("b.png", "a.jpg", "c.png", "notes.txt"):
        (photos / name).write_bytes(b"")
    return photos


def test_sources_are_listed_in_order_and_once(folder):
    names = [str(folder / name) for name in ("a.jpg", "b.png", "c.png")]
    assert find_images([str(folder)]) == names
    assert find_images([names[2], str(folder / "*.png"), str(folder)]) == [
        names[2],
        names[1],
        names[0],
    ]
    assert find_images([str(folder.parent / "**" / "*.png")]) == names[1:]
    # A file is taken as it is: without a known extension, and with signs that mean a pattern.
    odd = folder / "odd[1]"
    odd.write_bytes(b"")
    assert find_images([str(odd), str(folder / glob.escape("odd[1]"))]) == [str(odd)]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("gone.jpg", "no such file or folder"),
        ("*.gif", "no file matches"),
        ("..", "a folder without files ending in .jpg"),
    ],
)
def test_a_source_without_images_is_named(folder, source, reason):
    path = str(folder / source)
    with pytest.raises(ValueError, match="no image found") as error:
        find_images([str(folder / "a.jpg"), path])
    assert f"{path} ({reason}" in str(error.value)
