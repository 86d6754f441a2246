"""Data sets in COCO form: `annotations/instances_SET.json` and `images/SET/`."""

import contextlib
import io
import json
import os

import numpy as np
from pycocotools.coco import COCO

from keras_retinanet.images import read_image_bgr
from keras_retinanet.preprocessing.generator import Generator

_NEEDED = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


def load_coco(path) -> COCO:
    """Return the annotations in a COCO JSON file, checked and indexed.

    `id`, `area` and `iscrowd` of an annotation may be missing: they become its number, the area of
    its box, and 0.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and entry, if it is no JSON, a key is missing, or an annotation
            names an unknown image or category.
    """
    with open(path, encoding="utf-8-sig") as file:
        try:
            dataset = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path}: expected JSON: {error}") from None
    try:
        _check(dataset)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    for number, annotation in enumerate(dataset["annotations"], 1):
        annotation.setdefault("id", number)
        annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
        annotation.setdefault("iscrowd", 0)
    coco = COCO()
    coco.dataset = dataset
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def _check(dataset):
    """Raise ValueError where a COCO dictionary lacks a key or refers to what is not there."""
    if not isinstance(dataset, dict):
        raise ValueError(f"expected an object with keys {list(_NEEDED)}")
    for section, keys in _NEEDED.items():
        if not isinstance(dataset.get(section), list):
            raise ValueError(f"expected the key {section!r} with a list, got {sorted(dataset)}")
        for number, entry in enumerate(dataset[section]):
            missing = [key for key in keys if key not in entry]
            if missing:
                raise ValueError(f"{section}[{number}]: expected the keys {missing}, got {entry}")
    images = {image["id"] for image in dataset["images"]}
    categories = {category["id"] for category in dataset["categories"]}
    for number, annotation in enumerate(dataset["annotations"]):
        place = f"annotations[{number}]"
        if annotation["image_id"] not in images:
            raise ValueError(f"{place}: unknown image_id {annotation['image_id']}")
        if annotation["category_id"] not in categories:
            raise ValueError(
                f"{place}: unknown category_id {annotation['category_id']} "
                f"(categories: {sorted(categories)})"
            )
        box = annotation["bbox"]
        if len(box) != 4 or not all(isinstance(v, (int, float)) and np.isfinite(v) for v in box):
            raise ValueError(
                f"{place}: expected bbox with 4 numbers x, y, width, height, got {box}"
            )


class CocoGenerator(Generator):
    """A data set in COCO form; labels are 0, 1, ... in the order of the category ids."""

    def __init__(self, data_dir, set_name, **kwargs):
        """Read the annotations.

        Args:
            data_dir: folder with `annotations/` and `images/`.
            set_name: such as `train2017`.
            **kwargs: for `Generator`.

        Raises:
            OSError: if the annotations cannot be read.
            ValueError: naming file and entry, if they are malformed, or naming the first image
                file that does not exist.
        """
        self.data_dir = data_dir
        self.set_name = set_name
        path = os.path.join(data_dir, "annotations", f"instances_{set_name}.json")
        self.coco = load_coco(path)
        self.image_ids = self.coco.getImgIds()
        self.load_classes()
        self._check_files(path)
        super().__init__(**kwargs)

    def _check_files(self, path):
        folder = os.path.join(self.data_dir, "images", self.set_name)
        present = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        for image in self.coco.dataset["images"]:
            name = image["file_name"]
            if name not in present and not os.path.exists(os.path.join(folder, name)):
                raise ValueError(f"{path}: image file not found: {os.path.join(folder, name)}")

    def load_classes(self):
        """Number the categories from 0, in the order of their ids."""
        categories = sorted(self.coco.dataset["categories"], key=lambda category: category["id"])
        self.classes = {category["name"]: i for i, category in enumerate(categories)}
        self.labels = {i: category["name"] for i, category in enumerate(categories)}
        self.coco_labels = {i: category["id"] for i, category in enumerate(categories)}
        self.coco_labels_inverse = {ident: i for i, ident in self.coco_labels.items()}

    def size(self):
        """Return the number of images."""
        return len(self.image_ids)

    def num_classes(self):
        """Return the number of categories."""
        return len(self.labels)

    def has_label(self, label):
        """Return whether a label is in use."""
        return label in self.labels

    def has_name(self, name):
        """Return whether a category of that name exists."""
        return name in self.classes

    def name_to_label(self, name):
        """Return the label of a category name."""
        return self.classes[name]

    def label_to_name(self, label):
        """Return the category name of a label."""
        return self.labels[label]

    def coco_label_to_label(self, coco_label):
        """Return the label of a COCO category id."""
        return self.coco_labels_inverse[coco_label]

    def coco_label_to_name(self, coco_label):
        """Return the name of a COCO category id."""
        return self.label_to_name(self.coco_label_to_label(coco_label))

    def label_to_coco_label(self, label):
        """Return the COCO category id of a label."""
        return self.coco_labels[label]

    def image_path(self, image_index):
        """Return the path of an image."""
        name = self._image(image_index)["file_name"]
        return os.path.join(self.data_dir, "images", self.set_name, name)

    def image_aspect_ratio(self, image_index):
        """Return the width of an image over its height, as annotated."""
        image = self._image(image_index)
        return image["width"] / image["height"]

    def load_image(self, image_index):
        """Return an image as BGR uint8."""
        return read_image_bgr(self.image_path(image_index))

    def load_annotations(self, image_index):
        """Return labels `(n,)` and boxes `(n, 4)`, without crowds and boxes below a pixel."""
        annotations = self.coco.imgToAnns.get(self.image_ids[image_index], [])
        rows = [
            [*annotation["bbox"], self.coco_label_to_label(annotation["category_id"])]
            for annotation in annotations
            if not annotation["iscrowd"] and min(annotation["bbox"][2:]) >= 1
        ]
        rows = np.array(rows, "float64").reshape(-1, 5)
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return {"labels": rows[:, 4].astype(int), "bboxes": boxes}

    def _image(self, image_index):
        return self.coco.imgs[self.image_ids[image_index]]
