import os

import pytest

from keras_retinanet.annotations.yolo_images import find_images, locate


@pytest.fixture
def folder(tmp_path):
    for name in ("train/images/a.png", "valid/images/b.png", "obj_train_data/c.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    return tmp_path


def found(folder, entries):
    return [os.path.relpath(path, folder) for path in find_images(str(folder), entries)]


@pytest.mark.parametrize("entry", ["train/images", "./train/images", "../train/images", "train"])
def test_an_entry_that_is_there(folder, entry):
    assert found(folder, entry) == ["train/images/a.png"]


@pytest.mark.parametrize(
    "entry",
    [
        "/content/set/train/images",
        "set/train/images",
        "../../set/train/images",
        "C:\\d\\train\\images",
    ],
)
def test_an_entry_of_another_machine_is_found_below_the_root(folder, entry):
    with pytest.warns(UserWarning, match="there is no .*: read as .*train/images$"):
        assert found(folder, entry) == ["train/images/a.png"]


def test_one_set_is_not_taken_for_another(folder):
    (folder / "images").mkdir()
    (folder / "images" / "d.png").touch()
    for entry in ("/content/set/test/images", "/content/images/", "/content/../images"):
        assert locate(str(folder), entry) == entry
        with pytest.raises(FileNotFoundError, match="folder of images not found: /content/"):
            found(folder, entry)


def test_lists_of_darknet_start_above_their_folder(folder):
    (folder / "train.txt").write_text("data/obj_train_data/c.png\ndata/obj_train_data/gone.png\n")
    assert found(folder, "train.txt") == ["obj_train_data/c.png", "obj_train_data/gone.png"]


@pytest.mark.parametrize("start", ["/home/me/darknet/data/", "C:\\me\\"])
def test_lists_of_another_machine(folder, start):
    names = ["obj_train_data/c.png", "obj_train_data/e.png"]
    lines = [start + (name.replace("/", "\\") if "\\" in start else name) for name in names]
    (folder / "train.txt").write_text("\n".join([*lines, "valid/images/b.png"]))
    with pytest.warns(UserWarning, match=r"train\.txt: there is no .*: read as .*obj_train_data/c"):
        assert found(folder, "train.txt") == [*names, "valid/images/b.png"]


def test_a_list_of_nothing_that_is_there_stays(folder):
    (folder / "train.txt").write_text("/home/me/x.png\n")
    assert find_images(str(folder), "train.txt") == ["/home/me/x.png"]
