import cv2
import pytest
from PIL import Image

from keras_retinanet.system.image_kinds import (
    IMAGE_EXTENSIONS,
    is_image_name,
    kind_by_content,
    kind_by_name,
)

# Pillow opens them, but they are data, videos, or programs that a printer runs.
NO_PHOTOS = {
    *(".bufr", ".emf", ".eps", ".grib", ".h5", ".hdf"),
    *(".iim", ".mpeg", ".mpg", ".ps", ".wmf"),
}


def test_what_pillow_or_opencv_reads_is_an_image():
    Image.init()
    opened = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    assert opened - NO_PHOTOS <= set(IMAGE_EXTENSIONS)
    others = set(IMAGE_EXTENSIONS) - opened
    assert {end for end in others if not cv2.haveImageWriter(f"a{end}")} <= {
        ".mpo",  # JPEG
        ".pxm",  # PPM
    }
    assert len(set(IMAGE_EXTENSIONS)) == len(IMAGE_EXTENSIONS)


@pytest.mark.parametrize("name", ["a.jpg", "a/b.JPEG", "x.y.Avif", "a.gif", "a.jfif", "a.jp2"])
def test_names_of_images(name):
    assert is_image_name(name)
    assert kind_by_name(name) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clip.mp4", "a video: take frames out first, such as with `ffmpeg -i VIDEO "),
        ("clip.MOV", "a video"),
        ("a.webm", "a video"),
        ("a.heic", "a HEIC image, which is not read"),
        ("a.CR2", "a raw photo"),
        ("a.npy", "a NumPy array"),
        ("a.pdf", "a PDF"),
        ("a.txt", "a text file"),
        ("model.keras", "a model"),
        ("a.unknown", ""),
        ("noextension", ""),
    ],
)
def test_other_names(name, words):
    assert not is_image_name(name)
    assert kind_by_name(name).startswith(words) == bool(words) or not words


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\0\0\0\x20ftypisom", "a video"),
        (b"\0\0\0\x18ftypqt  ", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (b"\x1a\x45\xdf\xa3\x01", "a video"),
        (b"\0\0\0\x18ftypheic", "a HEIC image"),
        (b"\x93NUMPY\1\0", "a NumPy array"),
        (b"%PDF-1.7", "a PDF"),
        (b"\x89HDF\r\n\x1a\n", "a model"),
        (b"PK\3\4", "an archive such as .zip or .keras"),
        (b"<!doctype html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    ],
)
def test_other_contents(head, words):
    assert kind_by_content(head).startswith(words)


@pytest.mark.parametrize("head", [b"", b"\0\0\0\x1cftypavif", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff"])
def test_damaged_images_are_not_taken_for_something_else(head):
    assert kind_by_content(head) == ""
