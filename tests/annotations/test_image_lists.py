import os

import pytest

from keras_retinanet.annotations.image_lists import (
    ImageListError,
    read_image_list,
    relative_names,
    select_images,
    write_image_list,
)

IMAGES = ["/set/a.jpg", "/set/night/a.jpg", "/set/night/b.jpg", "/set/day/b.jpg", "/set/day/c.jpg"]


@pytest.mark.parametrize(
    ("entries", "chosen"),
    [
        (["/set/night/b.jpg"], [2]),
        (["/set/day/../night//b.jpg", "/set/./a.jpg"], [0, 2]),
        # Relative to the data set, or to a folder above.
        (["night/a.jpg", "day/c.jpg"], [1, 4]),
        (["set/day/b.jpg"], [3]),
        # A file name that is the only one, or in the fewest folders.
        (["c.jpg"], [4]),
        (["a.jpg"], [0]),
        # The data set was elsewhere: the longest ending in common counts.
        (["/old/night/b.jpg", "/old/set/a.jpg"], [0, 2]),
        (["/c/d/e/f/c.jpg"], [4]),
        (["c.jpg", "c.jpg", "/set/day/c.jpg"], [4]),
        (["/set/day/c.jpg", "/set/a.jpg"], [0, 4]),
    ],
)
def test_an_entry_is_the_image_whose_path_ends_most_as_it_does(entries, chosen):
    assert select_images(IMAGES, entries).tolist() == chosen


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["a.jpg", "x.jpg", "y.jpg"], r"is x\.jpg \(2 of 3 entries match none of 5 images"),
        (["b.jpg"], r"b\.jpg may be any of 2 images: /set/night/b\.jpg, /set/day/b\.jpg"),
        (["c"], "no image of the data set is c "),
    ],
)
def test_what_is_no_image_or_several_is_named(entries, message):
    with pytest.raises(ImageListError, match=message) as caught:
        select_images(IMAGES, entries)
    assert len(str(caught.value)) < 300


def test_an_image_that_is_listed_twice_is_chosen_twice():
    assert select_images(["/a.jpg", "/b.jpg", "/x/../a.jpg"], ["a.jpg"]).tolist() == [0, 2]


def test_relative_paths_start_at_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert select_images(["a/x.jpg", "b/x.jpg"], [str(tmp_path / "b" / "x.jpg")]).tolist() == [1]


def test_a_list_is_found_again_after_the_data_set_has_moved(tmp_path):
    file = tmp_path / "runs" / "val-images.txt"
    write_image_list(file, relative_names(IMAGES))
    assert file.read_text().split() == [
        *("a.jpg", "night/a.jpg", "night/b.jpg", "day/b.jpg", "day/c.jpg")
    ]
    for place in ("/set", "/moved/to/another/place", str(tmp_path)):
        moved = [path.replace("/set", place, 1) for path in IMAGES]
        assert select_images(moved, read_image_list(file)).tolist() == [0, 1, 2, 3, 4]


def test_names_do_not_depend_on_where_the_data_set_is():
    assert relative_names(["/a/b/c.jpg", "/a/b/d.jpg"]) == ["c.jpg", "d.jpg"]
    assert relative_names(["/c.jpg"]) == ["c.jpg"]
    assert relative_names(["/b/c.jpg", "/d.jpg"]) == ["b/c.jpg", "d.jpg"]
    assert relative_names(["x/../y/c.jpg", "y/z/d.jpg"]) == ["c.jpg", "z/d.jpg"]


def test_paths_in_a_file_are_relative_to_its_folder(tmp_path):
    (tmp_path / "list.txt").write_bytes("\ufeffa b.jpg\r\n\n../c.jpg\n/d/e.jpg".encode())
    assert read_image_list(tmp_path / "list.txt") == [
        *(str(tmp_path / "a b.jpg"), str(tmp_path.parent / "c.jpg"), "/d/e.jpg")
    ]


def test_a_file_without_names_is_refused(tmp_path):
    (tmp_path / "list.txt").write_text("\n \n")
    with pytest.raises(ValueError, match=r"list\.txt: expected the path of an image in each line"):
        read_image_list(tmp_path / "list.txt")


def test_names_that_are_not_utf8_are_kept(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    write_image_list(tmp_path / "list.txt", [name])
    assert read_image_list(tmp_path / "list.txt") == [str(tmp_path / name)]


def test_a_name_with_a_line_end_cannot_be_listed(tmp_path):
    with pytest.raises(ValueError, match=r"list\.txt: a list cannot hold the name 'a\\nb"):
        write_image_list(tmp_path / "list.txt", ["a\nb.jpg"])


def test_a_path_of_a_million_folders_takes_no_time():
    with pytest.raises(ImageListError, match="no image of the data set is"):
        select_images(IMAGES, ["x/" * 1_000_000 + "y.jpg"])
    assert select_images(IMAGES, ["x/" * 1_000_000 + "c.jpg"]).tolist() == [4]
