"""The window of `retinanet-debug`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from keras_retinanet import drawing

TITLE = "Image"
# OpenCV says -1 when the window was closed.
QUIT = (ord("q"), 27, -1)


def browse(
    render: Callable[[int], np.ndarray], count: int, back: Sequence[int], forward: Sequence[int]
) -> None:
    """Show picture 0, then those that the keys lead to, until q, Esc or the end of the window.

    The picture before the first is the last. Any other key draws the same picture again.

    Args:
        render: index from 0 -> BGR uint8 `(h, w, 3)`.
        count: number of pictures.
        back: codes of the keys that lead to the picture before.
        forward: codes of the keys that lead to the next picture.

    Raises:
        ValueError: if this OpenCV has no windows.
    """
    try:
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL)
    except cv2.error as error:
        raise ValueError(f"OpenCV cannot open a window, use --no-gui: {error}") from None
    index = 0
    while True:
        cv2.imshow(TITLE, render(index))
        key = cv2.waitKeyEx()
        if key in QUIT:
            return
        index = (index + (key in forward) - (key in back)) % count


def unreadable(path: str) -> np.ndarray:
    """Return a grey picture that stands for an image that cannot be read."""
    picture = np.full((480, 640, 3), 64, "uint8")
    drawing.draw_caption(picture, [0, 240, 0, 240], f"cannot be read: {os.path.basename(path)}")
    return picture
