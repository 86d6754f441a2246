"""Data sets in COCO form: `annotations/instances_SET.json` and `images/SET/`."""

import contextlib
import io
import json
import os

import numpy as np
from pycocotools.coco import COCO

from keras_retinanet.preprocessing.labelled import LabelledGenerator

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
    images = _unique(dataset, "images", "id")
    categories = _unique(dataset, "categories", "id")
    _unique(dataset, "categories", "name")
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


def _unique(dataset, section, key) -> set:
    """Return the values of a key in a section; raise ValueError if one comes twice."""
    seen = set()
    for number, entry in enumerate(dataset[section]):
        if entry[key] in seen:
            raise ValueError(f"{section}[{number}]: duplicate {key}: {entry[key]!r}")
        seen.add(entry[key])
    return seen


class CocoGenerator(LabelledGenerator):
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
        source = os.path.join(data_dir, "annotations", f"instances_{set_name}.json")
        self.coco = load_coco(source)
        self.image_ids = self.coco.getImgIds()
        folder = os.path.join(data_dir, "images", set_name)
        images = [self.coco.imgs[image_id] for image_id in self.image_ids]
        paths = [os.path.join(folder, image["file_name"]) for image in images]
        categories = sorted(self.coco.dataset["categories"], key=lambda category: category["id"])
        self.coco_labels = {i: category["id"] for i, category in enumerate(categories)}
        self.coco_labels_inverse = {ident: i for i, ident in self.coco_labels.items()}
        classes = {category["name"]: i for i, category in enumerate(categories)}
        annotations = [self._rows(image_id) for image_id in self.image_ids]
        dropped = [
            sum(not entry["iscrowd"] for entry in self.coco.imgToAnns.get(image_id, [])) - len(rows)
            for image_id, rows in zip(self.image_ids, annotations, strict=True)
        ]
        super().__init__(classes, paths, annotations, source=source, dropped=dropped, **kwargs)

    def _rows(self, image_id):
        """Return rows `x1, y1, x2, y2, label`, without crowds and boxes below a pixel."""
        rows = []
        for annotation in self.coco.imgToAnns.get(image_id, []):
            x, y, width, height = annotation["bbox"]
            if not annotation["iscrowd"] and min(width, height) >= 1:
                label = self.coco_labels_inverse[annotation["category_id"]]
                rows.append((x, y, x + width, y + height, label))
        return rows

    def coco_label_to_label(self, coco_label):
        """Return the label of a COCO category id."""
        return self.coco_labels_inverse[coco_label]

    def coco_label_to_name(self, coco_label):
        """Return the name of a COCO category id."""
        return self.label_to_name(self.coco_label_to_label(coco_label))

    def label_to_coco_label(self, label):
        """Return the COCO category id of a label."""
        return self.coco_labels[label]

    def image_aspect_ratio(self, image_index):
        """Return the width of an image over its height, as annotated."""
        image = self.coco.imgs[self.image_ids[image_index]]
        return image["width"] / image["height"]
