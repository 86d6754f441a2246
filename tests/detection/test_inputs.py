import http.server
import threading
import urllib.parse
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_retinanet.detection import inputs
from keras_retinanet.detection.inputs import as_image, is_one_image

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype("uint8")  # BGR


@pytest.fixture
def file(tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), PIXELS)
    return tmp_path / "photo.png"


@pytest.fixture
def server(tmp_path):
    """The address of a server of the files of a folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=tmp_path)
    ) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_an_image_may_be_handed_over_in_many_ways(file, server):
    ways = [
        str(file),
        file,
        file.read_bytes(),
        memoryview(file.read_bytes()),
        f"{server}/photo.png",
        Image.fromarray(PIXELS[..., ::-1]),
        PIXELS,
        PIXELS.astype("float64"),
        np.dstack([PIXELS, PIXELS[..., :1]]),
    ]
    for way in ways:
        image = as_image(way)
        np.testing.assert_array_equal(image, PIXELS)
        assert image.dtype == np.uint8
        assert is_one_image(way)
    rgb = PIXELS[..., ::-1]
    np.testing.assert_array_equal(as_image(rgb, order="rgb"), PIXELS)
    alpha = np.dstack([rgb, rgb[..., :1]])
    np.testing.assert_array_equal(as_image(alpha, order="rgb"), PIXELS)
    for grey in (PIXELS[..., 0], PIXELS[..., :1]):
        np.testing.assert_array_equal(as_image(grey), np.dstack([PIXELS[..., 0]] * 3))


@pytest.mark.parametrize("several", [[PIXELS], PIXELS[None], iter(["a.png"]), Path(".").glob("*")])
def test_several_images_are_told_from_one(several):
    assert not is_one_image(several)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((4, 5, 2), "uint8"), r"got an array of uint8 and shape \(4, 5, 2\)"),
        (np.zeros((0, 5, 3), "uint8"), "shape"),
        (np.zeros((4, 5, 3), "int64"), "got an array of int64"),
        (Image.new("F", (5, 4)), "pixels of 8 or 16 bits, got one of mode F and size 5x4"),
        (Image.new("I", (5, 4)), "got one of mode I"),
        (Image.new("RGB", (0, 4)), "size 0x4"),
        (b"", "the bytes of an image: expected an image, got an empty file"),
        (b"text", "the bytes of an image: expected an image"),
    ],
)
def test_what_is_no_image_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        as_image(value)


def test_other_types_and_orders_are_refused():
    with pytest.raises(TypeError, match="expected an image: .* got int"):
        as_image(3)
    with pytest.raises(ValueError, match="order: expected 'bgr' or 'rgb', got 'RGB'"):
        as_image(PIXELS, order="RGB")


def test_a_bad_address_is_named(file, server, monkeypatch):
    with pytest.raises(ValueError, match="my photo.png: cannot be read: HTTP Error 404"):
        as_image(f"{server}/my photo.png")
    monkeypatch.setattr(inputs, "_DEADLINE", -1)
    with pytest.raises(ValueError, match="more than -1 seconds"):
        as_image(f"{server}/photo.png")


@pytest.mark.parametrize("name", ["my photo.png", "фото ä.png", "100%25 a+b.png"])
def test_an_address_may_have_spaces_and_any_letters(file, server, name):
    file.rename(file.with_name(urllib.parse.unquote(name)))
    np.testing.assert_array_equal(as_image(f"{server}/{name}?größe=1 2"), PIXELS)


def test_a_host_may_have_any_letters(monkeypatch):
    asked = []

    def refuse(request, timeout):
        asked.append(request.full_url)
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(ValueError, match="bücher.example:80/a.png: cannot be read: no network"):
        as_image("http://bücher.example:80/a.png")
    assert asked == ["http://xn--bcher-kva.example:80/a.png"]


def test_a_stream_of_a_camera_is_no_image(server, tmp_path):
    (tmp_path / "clip.mpeg").write_bytes(b"x")
    with pytest.raises(ValueError, match="expected an image, got video/mpeg: name it as a video"):
        as_image(f"{server}/clip.mpeg")


def test_pil_images_of_sixteen_bits_keep_their_upper_eight():
    deep = Image.fromarray(np.array([[0, 255, 256, 65535]], "uint16"))
    assert as_image(deep)[0, :, 0].tolist() == [0, 0, 1, 255]


def test_what_a_server_does_not_have_or_is_too_large_is_named(file, server, monkeypatch):
    with pytest.raises(ValueError, match=f"{server}/gone.png: cannot be read: .*404"):
        as_image(f"{server}/gone.png")
    with pytest.raises(ValueError, match="cannot be read"):
        as_image("http://127.0.0.1:1/photo.png")
    monkeypatch.setattr(inputs, "MAX_DOWNLOADED_IMAGE_BYTES", 20)
    with pytest.raises(ValueError, match="cannot be read: expected at most 20 bytes"):
        as_image(f"{server}/photo.png")


def test_the_bound_on_pixels_is_handed_on(file):
    for way in (file, file.read_bytes()):
        with pytest.raises(ValueError, match="at most 50 pixels"):
            as_image(way, max_pixels=50)
