"""What training needs of a COCO file, in columns: its dictionaries take ten times the memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter, methodcaller
from types import NoneType

import numpy as np

from keras_retinanet.garbage import no_garbage_collection
from keras_retinanet.preprocessing.json_parts import json_parts

SECTIONS = ("images", "annotations", "categories")
_LONG = SECTIONS[:2]
_KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
_OPTIONAL = {"images": (), "annotations": ("id", "area", "iscrowd"), "categories": ()}


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
        return _table((section, _columns(section, dataset[section])) for section in SECTIONS)


def read_usual(path) -> CocoTable | None:
    """Return the table of a COCO file that is as such files usually are; None for all others.

    The others have errors, or are right but unusual, such as with ids that are text: they need a
    slower reader, which looks at each value by itself.

    Raises:
        OSError: if the file cannot be read.
    """
    try:
        with no_garbage_collection():
            return _table(_usual_parts(path))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _columns(section, entries) -> list[list]:
    """Return the values of each of the keys of a section, None for those that may be missing."""
    columns = [list(map(itemgetter(key), entries)) for key in _KEYS[section]]
    return columns + [list(map(methodcaller("get", key), entries)) for key in _OPTIONAL[section]]


def _table(parts: Iterable[tuple[str, list[list]]]) -> CocoTable:
    builder = _Builder()
    for section, columns in parts:
        getattr(builder, f"add_{section}")(*columns)
    return builder.table()


class _Builder:
    """Columns that grow by parts of one section after the other, in any order."""

    def __init__(self):
        self._image_ids, self._file_names, self._sizes = [], [], []
        self._categories = []
        self._boxes, self._crowd = [], []
        # Ids are numbered as they come, since the images may stand behind their annotations.
        self._image_numbers, self._images = {}, []
        self._category_numbers, self._labels = {}, []

    def add_images(self, idents, file_names, widths, heights):
        self._image_ids += idents
        _numbers(self._image_numbers, idents)
        self._file_names += file_names
        self._sizes.append(np.column_stack([widths, heights]).astype("float64"))

    def add_annotations(self, image_ids, category_ids, boxes, idents, areas, crowd):
        self._images.append(_numbers(self._image_numbers, image_ids))
        self._labels.append(_numbers(self._category_numbers, category_ids))
        sides = np.fromiter(chain.from_iterable(boxes), "float64", 4 * len(boxes))
        self._boxes.append(sides.reshape(-1, 4))
        self._crowd.append(np.fromiter(map(bool, crowd), bool, len(crowd)))

    def add_categories(self, idents, names):
        self._categories += [
            {"id": ident, "name": name} for ident, name in zip(idents, names, strict=True)
        ]

    def table(self) -> CocoTable:
        """Return what was added; raises KeyError for ids of images or categories not added."""
        categories = sorted(self._categories, key=lambda category: category["id"])
        idents = [category["id"] for category in categories]
        return CocoTable(
            self._image_ids,
            self._file_names,
            np.concatenate([np.zeros((0, 2)), *self._sizes]),
            categories,
            _places(self._image_ids, self._image_numbers, self._images),
            _places(idents, self._category_numbers, self._labels),
            np.concatenate([np.zeros((0, 4)), *self._boxes]),
            np.concatenate([np.zeros(0, bool), *self._crowd]),
        )


def _numbers(known, idents):
    """Return a number for each of some ids: that of `known`, or the next."""
    try:
        return np.fromiter(map(known.__getitem__, idents), "int32", len(idents))
    except KeyError:
        for ident in idents:
            known.setdefault(ident, len(known))
        return _numbers(known, idents)


def _places(idents, numbers, parts):
    """Return the place in `idents` of each id that `_numbers` numbered."""
    place_of = {ident: place for place, ident in enumerate(idents)}
    places = np.array([place_of[ident] for ident in numbers], "int32")
    return places[np.concatenate([np.zeros(0, "int32"), *parts])]


def _usual_parts(path):
    """Yield the columns of sections in parts; raises an error if something is not as usual."""
    idents = {section: [] for section in SECTIONS}
    for section, entries in json_parts(path, _LONG):
        if section in SECTIONS:
            columns = _columns(section, entries)
            idents[section].append(_CHECKS[section](*columns))
            yield section, columns
    for parts in idents.values():
        found = np.sort(np.concatenate(parts))  # an error if the section is not there
        _expect((found[1:] > found[:-1]).all())
    _expect(len(found))  # the last are the categories


def _check_images(idents, file_names, widths, heights):
    _expect_types(file_names, {str})
    _expect((_finite(widths) > 0).all())
    _expect((_finite(heights) > 0).all())
    return _integers(idents)


def _check_annotations(image_ids, category_ids, boxes, idents, areas, crowd):
    _expect_types(boxes, {list})
    _expect(set(map(len, boxes)) <= {4})
    _finite(list(chain.from_iterable(boxes)))
    _expect_types(image_ids, {int})
    _expect_types(category_ids, {int})
    # Many tools write none of these.
    for values in (areas, crowd):
        _finite([] if set(map(type, values)) == {NoneType} else values)
    return _integers([] if set(map(type, idents)) == {NoneType} else idents)


def _check_categories(idents, names):
    _expect_types(names, {str})
    _expect(len(set(names)) == len(names))
    return _integers(idents)


_CHECKS = {
    "images": _check_images,
    "annotations": _check_annotations,
    "categories": _check_categories,
}


def _integers(values):
    _expect_types(values, {int})
    return np.array(values, "int64")


def _finite(values):
    _expect_types(values, {int, float})
    numbers = np.array(values, "float64")
    _expect(np.isfinite(numbers).all())
    return numbers


def _expect_types(values, types):
    _expect(set(map(type, values)) <= types)


def _expect(condition):
    if not condition:
        raise ValueError("not as usual")
