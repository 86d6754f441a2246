"""Images to compare an export with, and to calibrate it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from keras_retinanet.detection.sources import find_images
from keras_retinanet.images import read_image_bgr
from keras_retinanet.preprocessing.shapes.renderer import render
from keras_retinanet.preprocessing.shapes.scene import plan_scene, sample_size


def drawn_images(count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield drawn pictures of shapes, BGR uint8 `(h, w, 3)`."""
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        width, height = sample_size(rng)
        yield render(plan_scene(width, height, rng), rng)


def photos(folder: str, count: int) -> Iterator[np.ndarray]:
    """Yield photos of a folder and its subfolders, evenly chosen, BGR uint8 `(h, w, 3)`.

    Raises:
        ValueError: if there is no image, or one cannot be read.
    """
    paths = list(find_images([folder]).images)
    step = max(1, len(paths) // count)
    for path in itertools.islice(paths, 0, step * count, step):
        yield read_image_bgr(path)
