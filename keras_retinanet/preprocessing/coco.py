"""Data sets in COCO form: `annotations/instances_SET.json` and `images/SET/`."""

import contextlib
import functools
import io
import itertools
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pycocotools.coco import COCO

from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.coco_table import CocoTable, read_coco_fast
from keras_retinanet.annotations.json_parts import ZeroByteError
from keras_retinanet.annotations.text import naming_file, read_text
from keras_retinanet.preprocessing.labelled import (
    LabelledGenerator,
    drop_empty_boxes,
    warn_about_fractions,
)
from keras_retinanet.system.limits import MAX_COORDINATE
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# What a value has to be, in words, and the check.
Check = tuple[str, Callable[[Any], bool]]


def _is_number(value: Any, limit: float = sys.float_info.max) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= limit  # no NaN


def _is_coordinate(value: Any) -> bool:
    return _is_number(value, MAX_COORDINATE)


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_coordinate, value))


def _is_text(value: Any, errors: str = "strict") -> bool:
    """Return whether a value is text that can be written: JSON may have half a character."""
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8", errors)
    except UnicodeEncodeError:
        return False
    return True


def _is_path(value: Any) -> bool:
    return _is_text(value, "surrogateescape")  # how Python writes names that are not UTF-8


_NUMBER: Check = ("a number", _is_number)
_SIDE = ("a number above 0", lambda value: _is_coordinate(value) and value > 0)
_TEXT = ("text", _is_text)
_PATH = ("text", _is_path)
_IDENT = ("a number or text", lambda value: _is_number(value) or isinstance(value, str))
_BOX = ("4 numbers x, y, width, height", _is_box)
_NEEDED: dict[str, dict[str, Check]] = {
    "images": {"id": _IDENT, "file_name": _PATH, "width": _SIDE, "height": _SIDE},
    "annotations": {"image_id": _IDENT, "category_id": _NUMBER, "bbox": _BOX},
    "categories": {"id": _NUMBER, "name": _TEXT},
}
# Keys of an annotation that may be missing or null.
_OPTIONAL = {"id": _NUMBER, "area": _NUMBER, "iscrowd": _NUMBER}


def load_coco(path: StrPath) -> COCO:
    """Return the annotations in a COCO JSON file, checked and indexed.

    `id`, `area` and `iscrowd` of an annotation may be missing: they become the next number, the
    area of its box, and 0.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and entry, if it is not JSON, a key is missing or its value of the
            wrong type, an id or a class name is given twice, or an annotation names an unknown
            image or category.
    """
    coco = COCO()
    coco.dataset = _read(path)
    _fill_in(coco.dataset["annotations"])
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def load_table(path: StrPath) -> CocoTable:
    """Return images, boxes and categories of a COCO JSON file; same errors as `load_coco`."""
    with naming_file(path):
        try:
            return read_coco_fast(path)
        except ZeroByteError:
            raise
        except Exception:  # the slow reader can read it, or says what is wrong
            pass
    return CocoTable.of(_read(path))


def _read(path: StrPath) -> dict[str, Any]:
    """Return the dictionary in a COCO JSON file, checked."""
    text = read_text(path)
    with naming_file(path):
        try:
            dataset = json.loads(text, object_pairs_hook=_object)
        except ValueError as error:
            raise ValueError(f"expected JSON: {error}") from None
        _check(dataset)
    return dataset


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; raise ValueError if a section comes twice, of which one would be lost.

    That is checked for objects inside others too, where it does no harm.
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = [key for key in _NEEDED if keys.count(key) > 1]
        if twice:
            raise ValueError(f"the key {twice[0]!r} comes twice")
    return content


def _fill_in(annotations: list[dict[str, Any]]) -> None:
    """Add the optional keys to annotations."""
    idents = itertools.count(1 + max((entry.get("id") or 0 for entry in annotations), default=0))
    for entry in annotations:
        width, height = entry["bbox"][2:]
        for key, value in (("area", width * height), ("iscrowd", 0)):
            if entry.get(key) is None:
                entry[key] = value
        if entry.get("id") is None:
            entry["id"] = next(idents)


def _check(dataset: Any) -> None:
    """Raise ValueError if a COCO dictionary is malformed or refers to what does not exist."""
    if not isinstance(dataset, dict):
        raise ValueError(f"expected an object with keys {list(_NEEDED)}")
    for section, keys in _NEEDED.items():
        if not isinstance(dataset.get(section), list):
            raise ValueError(
                f"expected the key {section!r} with a list, got {_got(section, dataset)}"
            )
        for number, entry in enumerate(dataset[section]):
            _check_entry(entry, f"{section}[{number}]", keys)
    for number, annotation in enumerate(dataset["annotations"]):
        for key, (kind, holds) in _OPTIONAL.items():
            if annotation.get(key) is not None and not holds(annotation[key]):
                raise ValueError(
                    f"annotations[{number}]: expected {key} with {kind}, got "
                    f"{_short(annotation[key])}"
                )
    images = _unique(dataset, "images", "id")
    categories = _unique(dataset, "categories", "id")
    _unique(dataset, "categories", "name")
    _unique(dataset, "annotations", "id")
    if not categories:
        raise ValueError("expected at least one category, got none")
    for number, annotation in enumerate(dataset["annotations"]):
        place = f"annotations[{number}]"
        if annotation["image_id"] not in images:
            raise ValueError(f"{place}: unknown image_id {_short(annotation['image_id'])}")
        if annotation["category_id"] not in categories:
            raise ValueError(
                f"{place}: unknown category_id {_short(annotation['category_id'])} "
                f"(categories: {shorten(sorted(categories), 80)})"
            )


def _check_entry(entry: Any, place: str, keys: Mapping[str, Check]) -> None:
    if not isinstance(entry, dict):
        raise ValueError(f"{place}: expected an object with keys {list(keys)}, got {_short(entry)}")
    missing = [key for key in keys if key not in entry]
    if missing:
        raise ValueError(f"{place}: expected the keys {missing}, got {shorten(sorted(entry), 80)}")
    for key, (kind, holds) in keys.items():
        if not holds(entry[key]):
            raise ValueError(f"{place}: expected {key} with {kind}, got {_short(entry[key])}")


def _short(value: Any) -> str:
    return shorten(repr(value), 80)


def _got(section: str, dataset: Mapping[str, Any]) -> str:
    """Return what stands there instead of a list, or which other keys there are."""
    return _short(dataset[section]) if section in dataset else shorten(sorted(dataset), 80)


def _unique(dataset: Mapping[str, Any], section: str, key: str) -> set:
    """Return the values of a key in a section; raise ValueError for a duplicate, except null."""
    seen: set[Any] = set()
    for number, entry in enumerate(dataset[section]):
        value = entry.get(key)
        if value is not None and value in seen:
            raise ValueError(f"{section}[{number}]: duplicate {key}: {_short(value)}")
        seen.add(value)
    return seen


class CocoGenerator(LabelledGenerator):
    """A data set in COCO form; labels are 0, 1, ... in the order of the category ids."""

    def __init__(self, data_dir: StrPath, set_name: str, **kwargs: Any) -> None:
        """Read the annotations.

        Args:
            data_dir: folder with `annotations/` and `images/`.
            set_name: such as `train2017`.
            **kwargs: for `Generator`.

        Raises:
            OSError: if the annotations cannot be read.
            ValueError: naming file and entry, if they are malformed, or naming the first image
                file that does not exist. Boxes without area are left out with a warning.
        """
        self.data_dir = data_dir
        self.set_name = set_name
        self._file = os.path.join(data_dir, "annotations", f"instances_{set_name}.json")
        table = load_table(self._file)
        self.image_ids = table.image_ids
        self._categories = table.categories
        folder = os.path.join(data_dir, "images", set_name)
        paths = [os.path.join(folder, name) for name in table.file_names]
        self.load_classes()
        boxes, dropped = _boxes_of(table, self._file)
        self._declared = table.sizes
        self._annotated, self._crowds = len(table.crowd), int(table.crowd.sum())
        super().__init__(
            self.classes,
            paths,
            boxes,
            source=self._file,
            dropped=dropped,
            sizes=table.sizes,
            **kwargs,
        )

    def declared_size(self, image_index: int) -> tuple[int, int] | None:
        """Return width and height of an image in the annotations, rounded."""
        width, height = self._declared[image_index].round().astype(int).tolist()
        return width, height

    def why_no_boxes(self) -> str:
        """Return the likely cause, for messages, if the data set has no box at all."""
        if not self._annotated:
            return f"the list 'annotations' in {self._file} is empty"
        if self._crowds == self._annotated:
            return f"all {self._crowds} are crowds, which are not trained"
        return super().why_no_boxes()

    @functools.cached_property
    def coco(self) -> COCO:
        """The complete file, read on first use: training does not need it."""
        return load_coco(self._file)

    def load_classes(self) -> None:
        """Set `classes`, `coco_labels` and `coco_labels_inverse` from the categories."""
        self.coco_labels = {i: category["id"] for i, category in enumerate(self._categories)}
        self.coco_labels_inverse = {ident: i for i, ident in self.coco_labels.items()}
        self.classes = {category["name"]: i for i, category in enumerate(self._categories)}

    def coco_label_to_label(self, coco_label: int) -> int:
        """Return the label of a COCO category id."""
        return self.coco_labels_inverse[coco_label]

    def coco_label_to_name(self, coco_label: int) -> str:
        """Return the name of a COCO category id."""
        return self.label_to_name(self.coco_label_to_label(coco_label))

    def label_to_coco_label(self, label: int) -> int:
        """Return the COCO category id of a label."""
        return self.coco_labels[label]


def _boxes_of(table: CocoTable, source: str) -> tuple[BoxTable, np.ndarray]:
    """Return the boxes to train on, and the number of boxes left out of each image.

    Crowds and, with a warning, boxes thinner than a pixel or without area are left out. Crowds are
    not counted.
    """
    size = len(table.image_ids)
    warn_about_fractions(table.boxes, f"{source}: ")
    width, height = table.boxes[:, 2:].T
    thinner = np.minimum(width, height)
    # Boxes without area are kept at first, for the warning.
    thin = ~table.crowd & (thinner > 0) & (thinner < 1)
    if thin.any():
        first = table.image_ids[table.image_indices[thin][0]]
        warnings.warn(
            f"left out {thin.sum()} boxes thinner than a pixel, the first of them in {source}: "
            f"image {first}",
            stacklevel=3,
        )
    kept = ~table.crowd & ~thin
    left_top, sides = table.boxes[kept, :2], table.boxes[kept, 2:]
    rows = np.column_stack([left_top, left_top + sides, table.labels[kept]])
    boxes, _ = drop_empty_boxes(
        BoxTable(table.image_indices[kept], rows, size),
        lambda index: f"{source}: image {table.image_ids[index]}",
    )
    single = np.bincount(table.image_indices[~table.crowd], minlength=size)
    return boxes, single - boxes.counts()
