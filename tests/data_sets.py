"""One small data set in the form of each reader, written from one description."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from keras_retinanet.preprocessing.coco import CocoGenerator
from keras_retinanet.preprocessing.csv_generator import CSVGenerator
from keras_retinanet.preprocessing.kitti import KittiGenerator
from keras_retinanet.preprocessing.open_images import OpenImagesGenerator
from keras_retinanet.preprocessing.pascal_voc import PascalVocGenerator
from keras_retinanet.preprocessing.yolo import YoloGenerator

WIDTH, HEIGHT = 40, 20  # of every image
# The names are classes of KITTI, which has no others. Coordinates may be text, to be bad numbers.
CLASSES = {"Car": 0, "Van": 1}
IMAGES = {
    "a": [(2, 3, 12, 13, "Car"), (0, 0, 40, 10, "Van")],
    "b": [(4, 5, 14, 15, "Van")],
    "ä": [],
}
HIERARCHY = "2018_04/bbox_labels_600_hierarchy.json"


def _csv(images):
    rows = [
        ",".join(map(str, (f"images/{name}.jpg", *box)))
        for name, boxes in images.items()
        for box in boxes or [[""] * 5]
    ]
    classes = [f"{name},{label}" for name, label in CLASSES.items()]
    return {"annotations.csv": "\n".join([*rows, ""]), "classes.csv": "\n".join([*classes, ""])}


def _coco(images):
    names = list(images)
    annotations = [
        {"image_id": names.index(name), "category_id": _category(box[4]), "bbox": _x_y_w_h(box)}
        for name, boxes in images.items()
        for box in boxes
    ]
    content = {
        "images": [
            {"id": i, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT}
            for i, name in enumerate(names)
        ],
        "annotations": [{"id": i, **entry} for i, entry in enumerate(annotations, 1)],
        "categories": [{"id": label + 1, "name": name} for name, label in CLASSES.items()],
    }
    return {"annotations/instances_val2017.json": json.dumps(content, ensure_ascii=False) + "\n"}


def _category(name):
    return CLASSES.get(name, 98) + 1


def _x_y_w_h(box):
    x1, y1, x2, y2 = box[:4]
    return [x1, y1, x2, y2] if isinstance(x1, str) else [x1, y1, x2 - x1, y2 - y1]


def _pascal(images):
    files = {
        f"Annotations/{name}.xml": f"<annotation>\n{''.join(map(_xml, boxes))}</annotation>\n"
        for name, boxes in images.items()
    }
    return {"ImageSets/Main/train.txt": "".join(f"{name}\n" for name in images), **files}


def _xml(box):
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box[:4], strict=True)
    sides = [
        f"<{key}>{side if isinstance(side, str) else side + 1}</{key}>\n" for key, side in sides
    ]
    return f"<object><name>{box[4]}</name><bndbox>\n{''.join(sides)}</bndbox></object>\n"


def _kitti(images):
    return {
        f"train/labels/{name}.txt": "".join(
            f"{box[4]} 0 0 0 {' '.join(map(str, box[:4]))} 1 1 1 0 0 0 0\n" for box in boxes
        )
        for name, boxes in images.items()
    }


def _oid(images):
    rows = [
        ",".join(map(str, [name, f"/m/{box[4]}", *_shares(box)]))
        for name, boxes in images.items()
        for box in boxes
    ]
    return {
        "2018_04/train/train-annotations-bbox.csv": "\n".join(
            ["ImageID,LabelName,XMin,YMin,XMax,YMax", *rows, ""]
        ),
        "2018_04/class-descriptions-boxable.csv": "".join(f"/m/{n},{n}\n" for n in CLASSES),
        HIERARCHY: json.dumps({"LabelName": "/m/Car", "Subcategory": [{"LabelName": "/m/Van"}]}),
    }


def _shares(box):
    x1, y1, x2, y2 = box[:4]
    x1 = x1 if isinstance(x1, str) else x1 / WIDTH
    return [x1, y1 / HEIGHT, x2 / WIDTH, y2 / HEIGHT]


def _yolo(images):
    labels = {
        f"labels/{name}.txt": "".join(
            f"{CLASSES.get(box[4], 99)} {' '.join(map(str, _centre(box)))}\n" for box in boxes
        )
        for name, boxes in images.items()
    }
    return {"data.yaml": f"train: images\nnames: [{', '.join(CLASSES)}]\n", **labels}


def _centre(box):
    x1, y1, x2, y2 = _shares(box)
    if isinstance(x1, str):
        return [x1, y1, x2, y2]
    return [round(share, 6) for share in ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)]


@dataclass(frozen=True)
class Form:
    """How a reader wants the data set.

    Attributes:
        files: description of the images -> relative path -> text.
        image: relative path of an image, with `{}` for its name.
        read: folder and `Generator` arguments -> generator.
    """

    files: Callable
    image: str
    read: Callable


FORMS = {
    "csv": Form(
        _csv,
        "images/{}.jpg",
        lambda folder, **options: CSVGenerator(
            os.path.join(folder, "annotations.csv"), os.path.join(folder, "classes.csv"), **options
        ),
    ),
    "coco": Form(
        _coco,
        "images/val2017/{}.jpg",
        lambda folder, **options: CocoGenerator(folder, "val2017", **options),
    ),
    "pascal": Form(
        _pascal,
        "JPEGImages/{}.jpg",
        lambda folder, **options: PascalVocGenerator(folder, "train", CLASSES, **options),
    ),
    "kitti": Form(_kitti, "train/images/{}.png", KittiGenerator),
    "oid": Form(
        _oid,
        "images/train/{}.jpg",
        lambda folder, **options: OpenImagesGenerator(
            folder, "train", **{"annotation_cache_dir": os.path.join(folder, "cache"), **options}
        ),
    ),
    "yolo": Form(_yolo, "images/{}.jpg", YoloGenerator),
}


def write(folder, form, images=IMAGES, change=lambda content: content):
    """Write a data set and its images.

    Args:
        folder: where to.
        form: name in `FORMS`.
        images: name -> boxes `(x1, y1, x2, y2, class)`.
        change: function that changes the bytes of every annotation file.

    Returns:
        The folder as text.
    """
    for name, text in FORMS[form].files(images).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(change(text.encode()))
    for name in images:
        path = image_path(folder, form, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype("uint8")
        cv2.imwrite(str(path), picture)
    return str(folder)


def read(folder, form, **options):
    """Return the generator of a data set."""
    return FORMS[form].read(str(folder), **options)


def error_of(folder, form, **options):
    """Return what a reader says that refuses a data set."""
    with pytest.raises((ValueError, OSError)) as error:
        read(folder, form, **options)
    return str(error.value)


def image_path(folder, form, name):
    """Return where an image of a data set lies."""
    return folder / FORMS[form].image.format(name)


def found_boxes(generator):
    """Return image name -> boxes `(x1, y1, x2, y2, class)`, rounded, as a reader understood it."""
    found = {}
    for index in range(generator.size()):
        name = os.path.splitext(os.path.basename(generator.image_path(index)))[0]
        truth = generator.load_annotations(index)
        found[name] = [
            (*np.round(box, 6).tolist(), generator.label_to_name(label))
            for box, label in zip(truth["bboxes"], truth["labels"], strict=True)
        ]
    return found
