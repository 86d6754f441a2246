"""Images to compare an export with, and to calibrate it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from keras_retinanet.detection.sources import find_images
from keras_retinanet.images import read_image_bgr
from keras_retinanet.preprocessing.shapes.renderer import render
from keras_retinanet.preprocessing.shapes.scene import plan_scene, sample_size
from keras_retinanet.system.types import StrPath


def drawn_images(count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield drawn pictures of shapes, BGR uint8 `(h, w, 3)`."""
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        width, height = sample_size(rng)
        yield render(plan_scene(width, height, rng), rng)


def photos_of(folder: StrPath) -> list[str]:
    """Return the paths of the photos in a folder and its subfolders, in order.

    Raises:
        ValueError: if there is none.
    """
    return list(find_images([os.fspath(folder)]).images)


def read(paths: Sequence[str], count: int) -> Iterator[np.ndarray]:
    """Yield at most `count` of some photos, evenly chosen, BGR uint8 `(h, w, 3)`.

    Raises:
        OSError: if one cannot be opened.
        ValueError: naming a file that is no image.
    """
    for place in np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int):
        yield read_image_bgr(paths[place])
