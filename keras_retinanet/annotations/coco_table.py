"""What training needs of a COCO file, in columns: its dictionaries take ten times the memory."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Annotated, Any

import msgspec
import numpy as np

from keras_retinanet.annotations.json_parts import json_parts
from keras_retinanet.system.limits import MAX_COORDINATE
from keras_retinanet.system.types import StrPath

_Side = Annotated[float, msgspec.Meta(ge=0)]


class _Image(msgspec.Struct, gc=False):
    """An entry of "images", as the fast reader expects it."""

    id: int
    file_name: str
    width: _Side | None = None
    height: _Side | None = None


class _Annotation(msgspec.Struct, gc=False):
    """An entry of "annotations", as the fast reader expects it."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    id: int | None = None
    iscrowd: bool | float | None = None
    area: float | None = None


class _Category(msgspec.Struct, gc=False):
    """An entry of "categories", as the fast reader expects it."""

    id: int
    name: str


_ENTRY_TYPES: dict[str, type[msgspec.Struct]] = {
    "images": _Image,
    "annotations": _Annotation,
    "categories": _Category,
}


@dataclass(frozen=True)
class CocoTable:
    """Images, boxes and categories of a COCO file.

    Attributes:
        image_ids: the id of each image, in the order of the file.
        file_names: the file of each image.
        sizes: width and height of each image, float64 `(images, 2)`; 0 where the file has none.
        categories: `id` and `name` of each category, in the order of the ids.
        image_indices: the index of each annotation's image, `(n,)`.
        labels: the index of each annotation's category in `categories`, `(n,)`.
        boxes: the box of each annotation as `x, y, width, height`, float64 `(n, 4)`.
        crowd: whether each annotation is a crowd, bool `(n,)`.
    """

    image_ids: list[Any]
    file_names: list[str]
    sizes: np.ndarray
    categories: list[dict[str, Any]]
    image_indices: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    crowd: np.ndarray

    @classmethod
    def of(cls, dataset: Mapping[str, Any]) -> "CocoTable":
        """Return the table of a COCO dictionary that has been checked."""
        images, annotations = dataset["images"], dataset["annotations"]
        categories = [
            {key: entry[key] for key in ("id", "name")} for entry in dataset["categories"]
        ]
        categories.sort(key=itemgetter("id"))
        sizes = [(image.get("width") or 0, image.get("height") or 0) for image in images]
        index_of = {image["id"]: index for index, image in enumerate(images)}
        label_of = {category["id"]: label for label, category in enumerate(categories)}
        return cls(
            [image["id"] for image in images],
            [image["file_name"] for image in images],
            np.array(sizes, "float64").reshape(-1, 2),
            categories,
            np.array([index_of[entry["image_id"]] for entry in annotations], "int64"),
            np.array([label_of[entry["category_id"]] for entry in annotations], "int64"),
            np.array([entry["bbox"] for entry in annotations], "float64").reshape(-1, 4),
            np.array([entry.get("iscrowd") for entry in annotations], bool),
        )


def read_coco_fast(path: StrPath) -> CocoTable:
    """Return the table of a COCO file whose ids are whole numbers, as they usually are.

    Raises:
        OSError: if the file cannot be read.
        Exception: if the file is malformed, or valid but unusual. The message does not say where:
            that is for a reader which looks at each value.
    """
    image_ids, file_names, sizes = array("q"), [], array("d")
    image_id_of, category_id_of, annotation_ids = array("q"), array("q"), array("q")
    boxes, crowd = array("d"), array("b")
    categories: list[_Category] = []
    missing = set(_ENTRY_TYPES)
    for section, entries in json_parts(path, _ENTRY_TYPES):
        missing.discard(section)
        if section == "images":
            image_ids.extend([image.id for image in entries])
            file_names += [image.file_name for image in entries]
            sizes.extend(
                chain.from_iterable([(image.width or 0, image.height or 0) for image in entries])
            )
        elif section == "annotations":
            image_id_of.extend([entry.image_id for entry in entries])
            category_id_of.extend([entry.category_id for entry in entries])
            boxes.extend(chain.from_iterable([entry.bbox for entry in entries]))
            crowd.extend([bool(entry.iscrowd) for entry in entries])
            annotation_ids.extend([entry.id for entry in entries if entry.id is not None])
        else:
            categories += entries
    names = {category.name for category in categories}
    # JSON may have half a character. Of a path it may stand for a byte that is no UTF-8.
    "".join(names).encode()
    "".join(file_names).encode("utf-8", "surrogateescape")
    if missing or not categories or len(names) < len(categories):
        raise ValueError("expected all lists, and categories with different names")
    for numbers in (boxes, sizes):  # False for NaN
        if not (np.abs(numbers) <= MAX_COORDINATE).all():
            raise ValueError("expected finite numbers")
    _expect_different(np.sort(annotation_ids))
    categories.sort(key=lambda category: category.id)
    return CocoTable(
        image_ids.tolist(),
        file_names,
        np.asarray(sizes).reshape(-1, 2),
        [{"id": category.id, "name": category.name} for category in categories],
        _indices(np.asarray(image_ids), np.asarray(image_id_of)),
        _indices(np.array([category.id for category in categories]), np.asarray(category_id_of)),
        np.asarray(boxes).reshape(-1, 4),
        np.asarray(crowd).astype(bool),
    )


def _indices(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return for each id that is wanted its index in `ids`, which have to differ, `(n,)`."""
    order = np.argsort(ids)
    _expect_different(ids[order])
    indices = order[np.searchsorted(ids, wanted, sorter=order)]
    if (ids[indices] != wanted).any():
        raise ValueError("unknown id")
    return indices


def _expect_different(sorted_ids: np.ndarray) -> None:
    if (sorted_ids[1:] == sorted_ids[:-1]).any():
        raise ValueError("duplicate id")
