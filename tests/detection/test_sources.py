import glob
import io
import os

import pytest

from keras_retinanet.detection import sources
from keras_retinanet.detection.sources import find_images


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("b.png", "a.jpg", "c.png", "notes.txt"):
        (photos / name).write_bytes(b"")
    return photos


def add(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def below(folder, found):
    return [os.path.relpath(path, folder) for path in found.images]


def test_sources_are_listed_in_order_and_once(folder):
    names = [str(folder / name) for name in ("a.jpg", "b.png", "c.png")]
    found = find_images([str(folder)])
    assert list(found.images) == names
    assert found.left_out == [str(folder / "notes.txt")]
    assert found.errors == {}
    assert list(find_images([names[2], str(folder / "*.png"), str(folder)]).images) == [
        names[2],
        names[1],
        names[0],
    ]
    assert list(find_images([str(folder.parent / "**" / "*.png")]).images) == names[1:]
    # A file is taken as it is: without a known extension, and with signs that mean a pattern.
    odd = folder / "odd[1]"
    odd.write_bytes(b"")
    found = find_images([str(odd), str(folder / glob.escape("odd[1]"))])
    assert list(found.images) == [str(odd)]


def test_subfolders_are_read_in_order(folder):
    add(folder, "z/1.jpg", "d/2.jpg", "d/1.jpg", "d/e/f.gif", ".hidden/1.jpg", "d/._1.jpg")
    add(folder, "d/.DS_Store")
    found = find_images([str(folder)])
    expected = ["a.jpg", "b.png", "c.png", "d/1.jpg", "d/2.jpg", "d/e/f.gif", "z/1.jpg"]
    assert below(folder, found) == list(found.images.values()) == expected
    assert found.left_out == [str(folder / name) for name in ("notes.txt", "d/._1.jpg")]
    assert below(folder, find_images([str(folder)], recursive=False)) == expected[:3]
    # A pattern that matches folders names them.
    assert set(below(folder, find_images([str(folder / "*")]))) == set(expected)


def test_the_output_folder_is_not_read(folder):
    add(folder, "out/a.jpg", "d/out/1.jpg")
    found = find_images([str(folder)], output=str(folder / "d" / ".." / "out"))
    assert below(folder, found) == ["a.jpg", "b.png", "c.png", "d/out/1.jpg"]


def test_links_that_lead_back_do_not_hang(folder):
    add(folder, "d/1.jpg")
    (folder / "d" / "up").symlink_to(folder)
    (folder / "self.jpg").symlink_to("self.jpg")
    (folder / "again").symlink_to(folder / "d")
    found = find_images([str(folder)])
    # A link that leads nowhere is an image that cannot be opened.
    assert below(folder, found) == ["a.jpg", "b.png", "c.png", "self.jpg", "again/1.jpg"]


def test_the_same_names_in_two_folders(folder, tmp_path):
    add(tmp_path, "other/a.jpg")
    found = find_images([str(folder), str(tmp_path / "other")])
    assert list(found.images.values()) == ["a.jpg", "b.png", "c.png", "a.jpg"]


def test_a_folder_that_cannot_be_listed_does_not_cost_the_others(folder, monkeypatch):
    add(folder, "d/1.jpg", "e/1.jpg")
    listed = os.listdir

    def refuse(path):
        if str(path).endswith("d"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(sources.os, "listdir", refuse)
    found = find_images([str(folder)])
    assert below(folder, found) == ["a.jpg", "b.png", "c.png", "e/1.jpg"]
    assert list(found.errors) == [str(folder / "d")]
    with pytest.raises(PermissionError):
        find_images([str(folder / "d")])


OTHERS = {
    "a.pdf": (b"%PDF-1.4", "a PDF document"),
    "a.npy": (b"\x93NUMPY", "a NumPy array"),
    "a.csv": (b"hello", "a text file"),
    "a.keras": (b"PK\3\4", "an archive such as .zip or .keras"),
    "a.h5": (b"\x89HDF", "a model"),
    "a.heic": (b"\0\0\0\x18ftypheic", "a HEIC image"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_is_no_image_is_named_and_the_others_are_read(folder, name):
    content, kind = OTHERS[name]
    path = folder / name
    path.write_bytes(content)
    found = find_images([str(path), str(folder / "a.jpg")])
    assert below(folder, found) == ["a.jpg"]
    assert str(found.errors[str(path)]).startswith(f"{path}: expected an image, got {kind}")
    with pytest.raises(ValueError, match=f"got {kind}"):
        find_images([str(path)])


def test_a_fifo_is_left_to_the_reader(folder):
    os.mkfifo(folder / "pipe.jpg")
    assert "pipe.jpg" in below(folder, find_images([str(folder)]))
    assert below(folder, find_images([str(folder / "pipe.jpg")])) == ["pipe.jpg"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("gone.jpg", "no such file or folder"),
        ("A.jpg", "no such file or folder: but 'a.jpg' exists"),
        ("*.gif", "no file matches"),
        (
            "texts",
            "a folder without files ending in .jpg, .png or the like; it holds 2 others such",
        ),
        (
            "clips",
            "a folder without files ending in .jpg, .png or the like; it holds 1 others such",
        ),
        ("", "an empty name"),
        ("ftp://example.org/a.jpg", "addresses of ftp are not read"),
    ],
)
def test_a_source_without_images_is_named(folder, source, reason):
    add(folder, "texts/a.txt", "texts/b.txt", "clips/a.mp4")
    path = source if source == "" or "://" in source else str(folder / source)
    with pytest.raises(ValueError, match="no image found") as error:
        find_images([str(folder / "a.jpg"), path])
    assert f"{path} ({reason}" in str(error.value)
    assert ("name the file itself" in str(error.value)) == (source == "clips")


def test_an_empty_folder_says_that_its_subfolders_were_left_out(folder):
    add(folder, "d/e/1.jpg")
    with pytest.raises(ValueError, match="not looking into its subfolders"):
        find_images([str(folder / "d")], recursive=False)


@pytest.mark.parametrize(
    ("source", "name", "is_live"),
    [
        ("https://example.org/a/b%20c.jpg?size=3", "b_20c.jpg", None),
        ("http://example.org/", "example.org", None),
        ("HTTPS://example.org/clip.mp4", "clip.mp4", False),
        ("https://example.org/live/list.m3u8", "list.mp4", True),
        ("rtsp://user@camera:554/stream1", "stream1.mp4", True),
        ("rtsp://user:secret@camera:554/", "camera.mp4", True),
        ("0", "camera-0.mp4", True),
    ],
)
def test_addresses_and_cameras(source, name, is_live):
    found = find_images([source])
    assert found.images == {source: name}
    assert found.videos == ({} if is_live is None else {source: is_live})


def test_a_file_named_by_a_number_is_no_camera(folder):
    add(folder, "0")
    path = str(folder / "0")
    assert find_images([path]).videos == {}


VIDEOS = {
    "clip.mp4": b"\0\0\0\x20ftypisom",
    "clip": b"\x1a\x45\xdf\xa3",
    "clip.avi": b"",
}


@pytest.mark.parametrize("name", VIDEOS)
def test_files_of_videos_are_known_by_name_or_content(folder, name):
    path = folder / name
    path.write_bytes(VIDEOS[name])
    found = find_images([str(path), str(folder / "a.jpg")])
    assert below(folder, found) == [name, "a.jpg"]
    assert found.images[str(path)] == "clip.mp4"
    assert found.videos == {str(path): False}


def test_lists_in_files_and_on_stdin(folder):
    (folder / "list.txt").write_text("c.png\n\na.jpg\n")
    found = find_images([str(folder / "list.txt")])
    assert below(folder, found) == ["c.png", "a.jpg"]
    lines = [f"{folder / 'b.png'}\n", "\n", f"{folder / 'a.jpg'}\r\n", "0"]
    found = find_images(["-"], stdin=lines)
    assert list(found.images) == [str(folder / "b.png"), str(folder / "a.jpg"), "0"]
    with pytest.raises(ValueError, match="expected a source, got none"):
        find_images(["-"], stdin=[])
    # A list may name what is gone: this does not cost the others.
    found = find_images(["-"], stdin=["gone.jpg", str(folder / "a.jpg")])
    assert below(folder, found) == ["a.jpg"]
    assert "no such file" in str(found.errors["gone.jpg"])


def test_the_output_folder_may_be_among_the_sources(folder):
    add(folder, "out/a.jpg")
    sources = [str(folder / "a.jpg"), str(folder / "out")]
    assert below(folder, find_images(sources, output=str(folder / "out"))) == ["a.jpg"]
    sources = [str(folder / "*")]
    found = find_images(sources, output=str(folder / "out"))
    assert below(folder, found) == ["a.jpg", "b.png", "c.png"]


def test_a_list_may_name_addresses_and_cameras(folder):
    (folder / "list.txt").write_text("a.jpg\nhttps://host/x.png\nrtsp://camera/1\n0\ngone.jpg\n")
    found = find_images([str(folder / "list.txt")])
    assert list(found.images) == [
        str(folder / "a.jpg"), "https://host/x.png", "rtsp://camera/1", "0"
    ]  # fmt: skip
    assert found.videos == {"rtsp://camera/1": True, "0": True}
    assert list(found.errors) == [str(folder / "gone.jpg")]


def test_names_on_stdin_need_not_be_text(folder, monkeypatch):
    name = os.fsdecode(b"caf\xe9.jpg")
    (folder / name).write_bytes(b"")
    stdin = io.TextIOWrapper(io.BytesIO(os.fsencode(f"{folder / name}\n")), "utf-8")
    monkeypatch.setattr("sys.stdin", stdin)
    assert list(find_images(["-"]).images) == [str(folder / name)]
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ValueError, match="expected a source, got none"):
        find_images(["-"])
