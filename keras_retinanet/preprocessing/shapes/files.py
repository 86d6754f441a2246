"""The built-in data set as files, in COCO and in CSV form."""

import csv
import io
import json
import os

import cv2
import numpy as np

from keras_retinanet.preprocessing.shapes.dataset import DEFAULT_SIZES, ShapesGenerator
from keras_retinanet.preprocessing.shapes.scene import CLASS_NAMES
from keras_retinanet.system.files import atomic_write
from keras_retinanet.system.types import StrPath

COCO_SET_NAMES = {"train": "train2017", "val": "val2017"}  # what the coco commands look for


def export(directory: StrPath, data_seed: int = 0) -> None:
    """Write the sets "train" and "val", in their usual sizes, as `export_set` does.

    Args:
        directory: the folder; created if missing.
        data_seed: seed of the pictures.

    Raises:
        OSError: if the folder cannot be written.
    """
    for set_name in DEFAULT_SIZES:
        export_set(ShapesGenerator(set_name, data_seed=data_seed), directory)


def export_set(generator: ShapesGenerator, directory: StrPath) -> None:
    """Write a set as PNG files, with its ground truth in COCO and in CSV form.

    Writes `annotations/instances_{set}.json` and `images/{set}/*.png` for `CocoGenerator`, where
    {set} is train2017 or val2017 for the sets train and val, and `{set_name}.csv` and `classes.csv`
    for `CSVGenerator`. Several sets may be exported to one folder. Existing files of the same name
    are replaced. The COCO "area" is that of the box.

    Args:
        generator: the set.
        directory: the folder; created if missing.

    Raises:
        OSError: if the folder cannot be written.
    """
    coco_name = COCO_SET_NAMES.get(generator.set_name, generator.set_name)
    folder = os.path.join(directory, "images", coco_name)
    os.makedirs(folder, exist_ok=True)
    images: list[dict] = []
    annotations: list[dict] = []
    rows: list[list] = []
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
    """Return COCO annotations; categories count from 1, as usual there."""
    entries: list[dict] = []
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


def _write_coco(directory: StrPath, coco_name: str, images: list, annotations: list) -> None:
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
