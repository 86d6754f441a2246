"""The built-in data set `shapes`: drawn on the fly, without files, the same on every machine.

Four classes of shapes over photo-like backgrounds, in many sizes, stretched, rotated and
overlapping, among marks that are not objects. Some pictures have no object. A picture depends on
(data_seed, set_name, index) alone. `scene.py` has the rules of the ground truth.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from keras_retinanet.preprocessing.labelled import LabelledGenerator
from keras_retinanet.preprocessing.shapes.renderer import render
from keras_retinanet.preprocessing.shapes.scene import CLASS_NAMES, Scene, plan_scene, sample_size

DEFAULT_SIZES = {"train": 1900, "val": 200}
CACHED_IMAGES = 2000  # a picture takes about 50 kB
_SIZE, _SCENE, _COLORS = range(3)  # separate random streams, so that each can be used alone


class ShapesGenerator(LabelledGenerator):
    """Batches from the built-in data set."""

    def __init__(
        self,
        set_name: str = "train",
        size: int | None = None,
        data_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """Describe the set; nothing is drawn yet.

        Args:
            set_name: any name; "train" and "val" are the usual ones. Sets with different names have
                no picture in common.
            size: number of pictures; None is 1900 for "train", 200 for any other set.
            data_seed: seed of the pictures, at least 0. The argument `seed` of `Generator` is
                another one, for order and augmentation.
            **kwargs: for `Generator`.

        Raises:
            ValueError: if `size` is below 1 or `data_seed` below 0.
        """
        size = DEFAULT_SIZES.get(set_name, DEFAULT_SIZES["val"]) if size is None else size
        if size < 1:
            raise ValueError(f"shapes: size must be at least 1, got {size}")
        if data_seed < 0:
            raise ValueError(f"shapes: data_seed must be at least 0, got {data_seed}")
        self.set_name = set_name
        self.data_seed = data_seed
        self._scenes: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._images: dict[int, np.ndarray] = {}
        classes = {name: label for label, name in enumerate(CLASS_NAMES)}
        # There are no such files: the names are for messages.
        paths = [f"shapes/{set_name}/{index:06d}.png" for index in range(size)]
        super().__init__(classes, paths, None, **kwargs)

    def _rng(self, index: int, stream: int) -> np.random.Generator:
        if not 0 <= index < self.size():
            raise IndexError(f"shapes: image {index} of a set of {self.size()}")
        set_key = zlib.crc32(self.set_name.encode())  # hash() differs from process to process
        number = self.selected[index]  # of the picture in the complete set
        return np.random.default_rng([self.data_seed, set_key, int(number), stream])

    def _plan(self, image_index: int) -> Scene:
        width, height = sample_size(self._rng(image_index, _SIZE))
        return plan_scene(width, height, self._rng(image_index, _SCENE))

    def image_aspect_ratio(self, image_index: int) -> float:
        """Return width divided by height, without drawing the picture."""
        width, height = sample_size(self._rng(image_index, _SIZE))
        return width / height

    def load_image(self, image_index: int) -> np.ndarray:
        """Return a picture, BGR uint8 `(h, w, 3)`, drawn or copied from the cache."""
        image = self._images.get(image_index)
        if image is None:
            scene = self._plan(image_index)
            image = render(scene, self._rng(image_index, _COLORS))
            if self.size() <= CACHED_IMAGES:
                self._images[image_index] = image
        return image.copy()

    def load_annotations(self, image_index: int) -> dict[str, np.ndarray]:
        """Return `labels` int64 `(n,)` and `bboxes` `(n, 4)`, whole numbers, without drawing."""
        if image_index not in self._scenes:
            scene = self._plan(image_index)
            self._scenes[image_index] = (scene.labels, scene.boxes)
        labels, boxes = self._scenes[image_index]
        return {"labels": labels.copy(), "bboxes": boxes.copy()}
