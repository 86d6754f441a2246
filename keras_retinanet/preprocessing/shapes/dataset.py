"""The built-in data set `shapes`: drawn on the fly, needs no files, the same on every machine.

Four classes of shapes over photo-like backgrounds, in many sizes, stretched and turned, under each
other, among marks that are no objects; some pictures hold no object. A picture depends on
(data_seed, set_name, index) alone. `scene.py` holds the rules of the ground truth.
"""

from __future__ import annotations

import csv
import io
import json
import os
import zlib
from typing import Any

import cv2
import numpy as np

from keras_retinanet.preprocessing.labelled import LabelledGenerator
from keras_retinanet.preprocessing.shapes.renderer import render
from keras_retinanet.preprocessing.shapes.scene import CLASS_NAMES, Scene, plan_scene, sample_size
from keras_retinanet.system.files import atomic_write

DEFAULT_SIZES = {"train": 1900, "val": 200}
COCO_SET_NAMES = {"train": "train2017", "val": "val2017"}  # what the coco commands look for
CACHED_IMAGES = 2000  # a picture takes about 50 kB
_SIZE, _SCENE, _COLORS = range(3)  # separate random streams, so that each can be drawn alone


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
            set_name: Any name; "train" and "val" are the usual ones. Sets of different names share
                no picture.
            size: Number of pictures; None is 1900 for "train", 200 for any other set.
            data_seed: Seed of the pictures, at least 0. The keyword `seed` of the base class is
                another: that of order and augmentation.
            **kwargs: Keywords of `Generator`.

        Raises:
            ValueError: When `size` is below 1 or `data_seed` below 0.
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
        # There are no such files; the names are for messages.
        paths = [f"shapes/{set_name}/{index:06d}.png" for index in range(size)]
        super().__init__(classes, paths, None, **kwargs)

    def _rng(self, index: int, stream: int) -> np.random.Generator:
        if not 0 <= index < self.size():
            raise IndexError(f"shapes: image {index} of a set of {self.size()}")
        set_key = zlib.crc32(self.set_name.encode())  # hash() differs from process to process
        return np.random.default_rng([self.data_seed, set_key, int(index), stream])

    def _plan(self, image_index: int) -> Scene:
        width, height = sample_size(self._rng(image_index, _SIZE))
        return plan_scene(width, height, self._rng(image_index, _SCENE))

    def image_aspect_ratio(self, image_index: int) -> float:
        """Width over height, found without drawing."""
        width, height = sample_size(self._rng(image_index, _SIZE))
        return width / height

    def load_image(self, image_index: int) -> np.ndarray:
        """Draw a picture, or copy it when it was drawn before: BGR uint8 (h, w, 3)."""
        image = self._images.get(image_index)
        if image is None:
            scene = self._plan(image_index)
            image = render(scene, self._rng(image_index, _COLORS))
            if self.size() <= CACHED_IMAGES:
                self._images[image_index] = image
        return image.copy()

    def load_annotations(self, image_index: int) -> dict[str, np.ndarray]:
        """Ground truth without drawing: "labels" (n,) int64, "bboxes" (n, 4) whole numbers."""
        if image_index not in self._scenes:
            scene = self._plan(image_index)
            self._scenes[image_index] = (scene.labels, scene.boxes)
        labels, boxes = self._scenes[image_index]
        return {"labels": labels.copy(), "bboxes": boxes.copy()}


def export(directory: str, data_seed: int = 0) -> None:
    """Write the sets "train" and "val", in their usual sizes, as `export_set` does.

    Args:
        directory: Where to; made if missing.
        data_seed: Seed of the pictures.

    Raises:
        OSError: When the directory cannot be written.
    """
    for set_name in DEFAULT_SIZES:
        export_set(ShapesGenerator(set_name, data_seed=data_seed), directory)


def export_set(generator: ShapesGenerator, directory: str) -> None:
    """Write a set as PNG files with its ground truth in COCO and in CSV form.

    Lays out `annotations/instances_{set}.json` and `images/{set}/*.png` as `CocoGenerator` reads
    them, {set} being train2017 or val2017 for the sets train and val, and beside them
    `{set_name}.csv` and `classes.csv` as `CSVGenerator` reads them. Further sets may be exported to
    the same directory. An existing file of the same name is replaced. The COCO "area" is that of
    the box.

    Args:
        generator: A `ShapesGenerator`.
        directory: Where to; made if missing.

    Raises:
        OSError: When the directory cannot be written.
    """
    coco_name = COCO_SET_NAMES.get(generator.set_name, generator.set_name)
    folder = os.path.join(directory, "images", coco_name)
    os.makedirs(folder, exist_ok=True)
    images, annotations, rows = [], [], []
    for index in range(generator.size()):
        image, name = generator.load_image(index), f"{index:012d}.png"
        truth = generator.load_annotations(index)
        _write_png(os.path.join(folder, name), image)
        height, width = image.shape[:2]
        images.append({"id": index, "file_name": name, "width": width, "height": height})
        annotations += _coco_annotations(index, truth, first_id=len(annotations) + 1)
        rows += _csv_rows(f"images/{coco_name}/{name}", truth)
    _write_coco(directory, coco_name, images, annotations)
    _write_csv(os.path.join(directory, f"{generator.set_name}.csv"), rows)
    classes = [[name, label] for label, name in enumerate(CLASS_NAMES)]
    _write_csv(os.path.join(directory, "classes.csv"), classes)


def _coco_annotations(image_id: int, truth: dict[str, np.ndarray], first_id: int) -> list[dict]:
    """COCO boxes are x, y, width, height; categories count from 1, as is the custom there."""
    entries = []
    for number, (label, box) in enumerate(zip(truth["labels"], truth["bboxes"], strict=True)):
        x1, y1, x2, y2 = (int(value) for value in box)
        entries.append(
            {
                "id": first_id + number,
                "image_id": image_id,
                "category_id": int(label) + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
                "segmentation": [],
            }
        )
    return entries


def _csv_rows(path: str, truth: dict[str, np.ndarray]) -> list[list]:
    rows = [
        [path, *(int(value) for value in box), CLASS_NAMES[label]]
        for label, box in zip(truth["labels"], truth["bboxes"], strict=True)
    ]
    return rows or [[path, "", "", "", "", ""]]


def _write_coco(directory: str, coco_name: str, images: list, annotations: list) -> None:
    content = {
        "info": {"description": "keras-retinanet shapes, drawn by the program"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(CLASS_NAMES)],
    }
    path = os.path.join(directory, "annotations", f"instances_{coco_name}.json")
    atomic_write(path, json.dumps(content))


def _write_csv(path: str, rows: list[list]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    atomic_write(path, text.getvalue())


def _write_png(path: str, image: np.ndarray) -> None:
    done, data = cv2.imencode(".png", image)
    if not done:
        raise OSError(f"cannot encode {path} as PNG")
    with open(path, "wb") as file:
        file.write(data.tobytes())
