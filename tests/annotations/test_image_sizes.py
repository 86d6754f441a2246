import os

import cv2
import numpy as np
import pytest

from keras_retinanet.annotations import image_sizes
from keras_retinanet.annotations.image_sizes import cache_path, read_sizes
from keras_retinanet.preprocessing.csv_generator import CSVGenerator

SIZES = {"a.jpg": (40, 20), "b.png": (10, 20), "c.bmp": (7, 9)}
EXPECTED = [*map(list, SIZES.values()), [0, 0], [0, 0]]


@pytest.fixture
def many(monkeypatch):
    """Let every data set count as one of many images."""
    monkeypatch.setattr(image_sizes, "FEW", 0)


@pytest.fixture
def paths(tmp_path):
    """Paths of three images, of one that is none and of one that is not there."""
    for name, size in SIZES.items():
        write(tmp_path / name, size)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    return [str(tmp_path / name) for name in (*SIZES, "broken.jpg", "absent.jpg")]


@pytest.fixture
def opened(monkeypatch):
    """Return the list of the images opened from here on."""
    found, header_size = [], image_sizes.header_size

    def noting(path):
        found.append(os.path.basename(path))
        return header_size(path)

    monkeypatch.setattr(image_sizes, "header_size", noting)
    return found


def write(path, size):
    cv2.imwrite(str(path), np.zeros((size[1], size[0], 3), "uint8"))


def test_few_images_leave_no_file(paths, tmp_path):
    assert read_sizes(paths, tmp_path / "a.csv").tolist() == EXPECTED
    assert not os.path.exists(cache_path(tmp_path / "a.csv"))


@pytest.mark.parametrize("long", [0, 1e-9, 60])
def test_threads_make_no_difference(monkeypatch, paths, tmp_path, opened, long):
    """They take all parts, all but the first, or none."""
    monkeypatch.setattr(image_sizes, "_PART", 2)
    monkeypatch.setattr(image_sizes, "_SLOW", long)
    assert read_sizes(paths, tmp_path / "a.csv").tolist() == EXPECTED
    assert len(opened) == 5


def test_an_image_is_open_all_once(many, paths, tmp_path, opened):
    source = tmp_path / "a.csv"
    assert read_sizes(paths, source).tolist() == EXPECTED
    assert len(opened) == 5
    assert (tmp_path / ".a.csv.image-sizes.npz").is_file()
    opened.clear()
    # Whether an image cannot be read is found out anew: the disk may have failed.
    assert read_sizes(paths, source).tolist() == EXPECTED
    assert opened == ["broken.jpg", "absent.jpg"]


def test_other_order_and_fewer_images(many, paths, tmp_path, opened):
    read_sizes(paths, tmp_path / "a.csv")
    opened.clear()
    assert read_sizes(paths[2::-2], tmp_path / "a.csv").tolist() == [EXPECTED[2], EXPECTED[0]]
    assert opened == []


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_changed_image_is_open_all_again(many, paths, tmp_path, opened, change):
    read_sizes(paths[:3], tmp_path / "a.csv")
    opened.clear()
    before = os.stat(paths[2])
    write(paths[2], (9, 7) if change == "time" else (30, 30))
    after = os.stat(paths[2])
    if change == "size":
        os.utime(paths[2], ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        assert before.st_size == 54 + 9 * 24 or before.st_size != after.st_size
        os.utime(paths[2], ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    found = read_sizes(paths[:3], tmp_path / "a.csv").tolist()
    assert found == [*EXPECTED[:2], [9, 7] if change == "time" else [30, 30]]
    assert opened == ["c.bmp"]


def test_a_moved_data_set_keeps_its_sizes(many, paths, tmp_path, opened):
    read_sizes(paths[:3], tmp_path / "a.csv")
    opened.clear()
    moved = tmp_path.with_name(tmp_path.name + " moved")
    tmp_path.rename(moved)
    new = [path.replace(str(tmp_path), str(moved)) for path in paths[:3]]
    assert read_sizes(new, moved / "a.csv").tolist() == EXPECTED[:3]
    assert opened == []
    moved.rename(tmp_path)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "folder"])
def test_a_damaged_file_makes_no_difference(many, paths, tmp_path, opened, damage):
    source = tmp_path / "a.csv"
    read_sizes(paths, source)
    cache = tmp_path / ".a.csv.image-sizes.npz"
    content = cache.read_bytes()
    cache.unlink()
    if damage == "folder":
        cache.mkdir()
    else:
        cache.write_bytes({"empty": b"", "cut": content[:200], "text": b"hello"}[damage])
    opened.clear()
    assert read_sizes(paths, source).tolist() == EXPECTED
    assert len(opened) == 5
    assert damage == "folder" or cache.read_bytes()[:2] == b"PK"
    assert sorted(entry for entry in os.listdir(tmp_path) if entry.startswith(".")) == [cache.name]


def test_a_file_of_other_arrays_makes_no_difference(many, paths, tmp_path):
    with open(cache_path(tmp_path / "a.csv"), "wb") as file:
        np.savez(file, names=np.zeros(3, "uint8"), stamps=np.zeros((2, 2)), sizes=np.ones((4, 2)))
    assert read_sizes(paths, tmp_path / "a.csv").tolist() == EXPECTED


def test_a_folder_that_cannot_be_written(many, paths, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    # Root may write into any folder, so its mode does not tell.
    monkeypatch.setattr(image_sizes, "replacing", refuse)
    assert read_sizes(paths, tmp_path / "a.csv").tolist() == EXPECTED
    assert not os.path.exists(cache_path(tmp_path / "a.csv"))


def test_a_generator_groups_by_the_kept_sizes(many, tmp_path, opened):
    sizes = [(40, 20), (10, 30), (20, 20), (20, 10)]
    for number, size in enumerate(sizes):
        write(tmp_path / f"{number}.png", size)
    (tmp_path / "a.csv").write_text("".join(f"{number}.png,,,,,\n" for number in range(4)))
    (tmp_path / "c.csv").write_text("dog,0\n")
    for times in (4, 0):
        opened.clear()
        generator = CSVGenerator(
            str(tmp_path / "a.csv"), str(tmp_path / "c.csv"), batch_size=2, shuffle_groups=False
        )
        assert generator.groups == [[1, 2], [0, 3]]
        assert [generator.image_aspect_ratio(i) for i in range(4)] == [2, 1 / 3, 1, 2]
        assert len(opened) == times


NAN, INF = float("nan"), float("inf")
# What is stored instead: an array, or a function of the right one.
FORGED = {
    "negative": {"sizes": lambda right: -right},
    "zero": {"sizes": lambda right: right * [0, 1]},
    "no number": {"sizes": lambda right: right + NAN},
    "infinite": {"sizes": lambda right: right + INF},
    "fractions": {"sizes": lambda right: right + 0.5},
    "huge": {"sizes": lambda right: right + 1e300},
    "of one image too few": {"sizes": lambda right: right[1:]},
    "of three numbers": {"sizes": lambda right: np.ones((3, 3))},
    "in another order": {"sizes": lambda right: np.asfortranarray(right)},
    "complex": {"sizes": lambda right: right.astype(complex)},
    "integers": {"sizes": lambda right: right.astype("int64")},
    "objects": {"sizes": lambda right: right.astype(object)},
    "times of another type": {"stamps": lambda right: right.astype("float64")},
    "times without a second": {"stamps": lambda right: right[:, :1]},
    "names of another type": {"names": lambda right: np.array(["a.jpg", "b.png", "c.bmp"])},
    "names repeated": {"names": lambda right: np.frombuffer(b"a.jpg\0a.jpg\0c.bmp", "uint8")},
    "names missing": {"names": lambda right: np.empty(0, "uint8")},
    "one array too many": {"more": lambda right: np.zeros(3)},
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_file_makes_no_difference(many, paths, tmp_path, opened, kind):
    source = tmp_path / "a.csv"
    read_sizes(paths, source)
    with np.load(cache_path(source)) as stored:
        arrays = dict(stored)
    for name, change in FORGED[kind].items():
        arrays[name] = change(arrays.get(name))
    np.savez(cache_path(source), **arrays)
    opened.clear()
    assert read_sizes(paths, source).tolist() == EXPECTED
    assert len(opened) == 5
    opened.clear()
    read_sizes(paths[:3], source)  # the new file is right
    assert opened == []


def test_no_changed_bit_changes_a_size(many, paths, tmp_path):
    source = tmp_path / "a.csv"
    read_sizes(paths[:3], source)
    with open(cache_path(source), "rb") as file:
        content = file.read()
    for place in range(0, len(content), 3):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        with open(cache_path(source), "wb") as file:
            file.write(changed)
        assert read_sizes(paths[:3], source).tolist() == EXPECTED[:3]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no FIFOs")
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_is_no_regular_file_makes_no_difference(many, paths, tmp_path, kind):
    source = tmp_path / "a.csv"
    if kind == "fifo":
        os.mkfifo(cache_path(source))
    else:
        os.symlink("/dev/zero", cache_path(source))
    assert read_sizes(paths, source).tolist() == EXPECTED
    assert os.path.isfile(cache_path(source))
