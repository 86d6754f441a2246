"""What training needs of a COCO file, in columns: its dictionaries take ten times the memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

import numpy as np

from keras_retinanet.annotations.json_alike import read_alike
from keras_retinanet.annotations.json_parts import json_parts
from keras_retinanet.system.machine import gc_paused

_ANNOTATION = ("image_id", "category_id", "bbox")
_OPTIONAL = ("id", "area", "iscrowd")


@dataclass(frozen=True)
class CocoTable:
    """Images, boxes and categories of a COCO file.

    Attributes:
        image_ids: the id of each image, in the order of the file.
        file_names: the file of each image.
        sizes: width and height of each image, float64 `(images, 2)`.
        categories: `id` and `name` of each category, in the order of the ids.
        image_indices: the image of each annotation, counted from 0, `(n,)`.
        labels: the place of its category among `categories`, `(n,)`.
        boxes: its box `x, y, width, height`, float64 `(n, 4)`.
        crowd: whether it is a crowd, bool `(n,)`.
    """

    image_ids: list
    file_names: list[str]
    sizes: np.ndarray
    categories: list[dict]
    image_indices: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    crowd: np.ndarray

    @classmethod
    def of(cls, dataset: Mapping) -> "CocoTable":
        """Return the table of a COCO dictionary that has been checked."""
        images, annotations = dataset["images"], dataset["annotations"]
        categories = _by_id(dataset["categories"])
        sizes = [(image["width"], image["height"]) for image in images]
        place_of = {image["id"]: place for place, image in enumerate(images)}
        label_of = {category["id"]: label for label, category in enumerate(categories)}
        return cls(
            [image["id"] for image in images],
            [image["file_name"] for image in images],
            np.array(sizes, "float64").reshape(-1, 2),
            categories,
            np.array([place_of[entry["image_id"]] for entry in annotations], "int64"),
            np.array([label_of[entry["category_id"]] for entry in annotations], "int64"),
            np.array([entry["bbox"] for entry in annotations], "float64").reshape(-1, 4),
            np.array([entry.get("iscrowd") for entry in annotations], bool),
        )


def read_usual(path) -> CocoTable | None:
    """Return the table of a COCO file that is as such files usually are; None for all others.

    The others have errors, or are right but unusual, such as with ids that are text: they need a
    slower reader, which looks at each value by itself.

    Raises:
        OSError: if the file cannot be read.
    """
    try:
        with gc_paused():
            return _usual_table(path)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return None


def _usual_table(path):
    """Return the table of a file; raises an error if something is not as usual."""
    readers = {"images": _read_images, "annotations": _read_annotations, "categories": _by_id}
    parts = {section: [] for section in readers}
    for section, part in json_parts(path, ("images", "annotations"), {"annotations": _alike}):
        if section in readers:
            parts[section].append(readers[section](part))
    # All of these are errors where a section is not there.
    image_ids, file_names, sizes = zip(*parts["images"], strict=True)
    columns = zip(*parts["annotations"], strict=True)
    image_id_of, category_id_of, boxes, crowd, idents = map(np.concatenate, columns)
    (categories,) = parts["categories"]
    names = [category["name"] for category in categories]
    _expect_text(names)
    _expect(len(set(names)) == len(names) > 0)
    _expect_different(np.sort(idents))
    image_ids = np.concatenate(image_ids)
    category_ids = _integers([category["id"] for category in categories])
    return CocoTable(
        image_ids.tolist(),
        list(chain.from_iterable(file_names)),
        np.concatenate(sizes),
        categories,
        _places(image_ids, image_id_of),
        _places(category_ids, category_id_of),
        boxes,
        crowd,
    )


def _alike(text):
    return read_alike(text, (*_ANNOTATION, "id", "iscrowd"))


def _read_images(entries):
    """Return ids `(n,)`, file names and sizes `(n, 2)` of images."""
    names = _values(entries, "file_name")
    _expect_text(names)
    sizes = [_numbers(_values(entries, key)) for key in ("width", "height")]
    _expect((np.array(sizes) > 0).all())
    return _integers(_values(entries, "id")), names, np.stack(sizes, axis=1)


def _read_annotations(part):
    """Return ids of image and category, boxes, crowd and, if there are any, ids of annotations."""
    columns = part if isinstance(part, dict) else _columns(part)
    _numbers(columns.get("area", ()))
    crowd = _numbers(columns.get("iscrowd", ()))
    return (
        _integers(columns["image_id"]),
        _integers(columns["category_id"]),
        _numbers(columns["bbox"], 4),
        crowd != 0 if len(crowd) else np.zeros(len(columns["bbox"]), bool),
        _integers(columns.get("id", ())),
    )


def _columns(entries):
    # Many tools write none of the optional keys.
    there = [key for key in _OPTIONAL if any(key in entry for entry in entries)]
    return {key: _values(entries, key) for key in (*_ANNOTATION, *there)}


def _values(entries, key):
    return list(map(itemgetter(key), entries))


def _by_id(categories):
    """Return `id` and `name` of categories, in the order of the ids."""
    found = [{"id": category["id"], "name": category["name"]} for category in categories]
    return sorted(found, key=itemgetter("id"))


def _places(idents, wanted):
    """Return the place in `idents`, which have to differ, of each that is wanted, `(n,)`."""
    order = np.argsort(idents)
    _expect_different(idents[order])
    places = order[np.searchsorted(idents, wanted, sorter=order)]
    _expect((idents[places] == wanted).all())
    return places


def _integers(values):
    """Return whole numbers, int64 `(n,)`."""
    array = _numbers(values)
    _expect((np.abs(array) < 2**53).all())
    whole = array.astype("int64")
    _expect((whole == array).all())
    return whole


def _numbers(values, *shape):
    """Return numbers, float64 `(n, *shape)`."""
    array = np.asarray(values)
    if not len(array):
        return np.zeros((0, *shape))
    _expect(array.shape[1:] == shape and array.dtype.kind in "bif" and np.isfinite(array).all())
    return array.astype("float64", copy=False)


def _expect_text(values):
    _expect(set(map(type, values)) <= {str})


def _expect_different(sorted_values):
    _expect((sorted_values[1:] > sorted_values[:-1]).all())


def _expect(condition):
    if not condition:
        raise ValueError("not as usual")
