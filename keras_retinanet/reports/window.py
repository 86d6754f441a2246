"""The window of `retinanet-debug`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection

import cv2
import numpy as np

from keras_retinanet import drawing

TITLE = "Image"
# OpenCV reports -1 when the window was closed.
QUIT = (ord("q"), 27, -1)


def check_display() -> None:
    """Check that a window can be opened: without a display, OpenCV's Qt would abort the process.

    Raises:
        ValueError: if none can be opened.
    """
    if not sys.platform.startswith("linux"):
        return
    displays = [os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")]
    if not any(displays):
        raise ValueError("there is no display for a window: use --no-gui to write pictures")
    # A display may be named but not exist, so another process tries, which may be aborted.
    trial = [sys.executable, "-c", "import cv2; cv2.namedWindow('Image')"]
    if subprocess.run(trial, capture_output=True).returncode:
        raise ValueError(
            f"no window can be opened on the display {' '.join(filter(None, displays))}: "
            "use --no-gui to write pictures"
        )


def browse(
    render: Callable[[int], np.ndarray], count: int, back: Collection[int], forward: Collection[int]
) -> None:
    """Show picture 0, then those that the keys lead to, until q or Esc or the window is closed.

    The last picture comes before the first. Any other key renders the same picture again.

    Args:
        render: index from 0 -> BGR uint8 `(h, w, 3)`.
        count: number of pictures.
        back: codes of the keys for the previous picture.
        forward: codes of the keys for the next picture.

    Raises:
        ValueError: if this OpenCV was built without windows.
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


def unreadable_picture(path: str) -> np.ndarray:
    """Return a grey picture that stands for an image that cannot be read."""
    picture = np.full((480, 640, 3), 64, "uint8")
    drawing.draw_caption(picture, [0, 240, 0, 240], f"cannot be read: {os.path.basename(path)}")
    return picture
