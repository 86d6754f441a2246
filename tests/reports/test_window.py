"""The window's keys, and what happens where there are no windows."""

import cv2
import numpy as np
import pytest

from keras_retinanet.bin import debug
from keras_retinanet.reports import window


@pytest.fixture
def press(monkeypatch):
    """A function: keys -> the pictures shown, of a data set of three."""

    def browse(*keys):
        shown, left = [], list(keys)
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", lambda title, picture: shown.append(picture))
        monkeypatch.setattr(cv2, "waitKeyEx", lambda: left.pop(0))
        window.browse(lambda index: index, 3, debug.leftkeys, debug.rightkeys)
        assert not left
        return shown

    return browse


@pytest.mark.parametrize("key", [83, 109, 65363, 2555904])
def test_next(press, key):
    assert press(key, key, key, 27) == [0, 1, 2, 0]


@pytest.mark.parametrize("key", [81, 110, 65361, 2424832])
def test_previous(press, key):
    assert press(key, key, 27) == [0, 2, 1]


@pytest.mark.parametrize("key", [113, 27, -1])
def test_quit(press, key):
    assert press(key) == [0]


def test_other_keys_draw_the_same_picture_again(press):
    assert press(32, 0, ord("m"), 13, 27) == [0, 0, 0, 1, 1]


def test_an_opencv_without_windows_points_to_the_files(monkeypatch):
    def refuse(*_):
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", refuse)
    with pytest.raises(ValueError, match="use --no-gui: The function is not implemented"):
        window.browse(lambda index: index, 3, debug.leftkeys, debug.rightkeys)


def test_the_stand_in_for_an_unreadable_image_has_text():
    picture = window.unreadable_picture("folder/a.png")
    assert picture.dtype == np.uint8
    assert (picture[220:260] == 255).any()
