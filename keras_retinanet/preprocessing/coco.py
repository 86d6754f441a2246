"""Data sets in COCO form; `annotations/coco_layouts.py` finds their files."""

import contextlib
import functools
import io
import itertools
import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO

from keras_retinanet.annotations import coco_layouts, coco_repairs
from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.coco_table import CocoTable, read_coco_fast
from keras_retinanet.annotations.image_sizes import read_sizes
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
_SIDE = ("a number above 0", lambda value: _is_coordinate(value) and value >= 0)  # 0: unknown
_TEXT = ("text", _is_text)
_PATH = ("text", _is_path)
_IDENT = ("a number or text", lambda value: _is_number(value) or isinstance(value, str))
_BOX = (
    "4 numbers x, y, width, height",
    lambda value: value is coco_repairs.NO_BOX or _is_box(value),
)
_NEEDED: dict[str, dict[str, Check]] = {
    "images": {"id": _IDENT, "file_name": _PATH},
    "annotations": {"image_id": _IDENT, "category_id": _NUMBER, "bbox": _BOX},
    "categories": {"id": _NUMBER, "name": _TEXT},
}
# Keys that may be missing or null.
_OPTIONAL: dict[str, dict[str, Check]] = {
    "images": {"width": _SIDE, "height": _SIDE},
    "annotations": {"id": _NUMBER, "area": _NUMBER, "iscrowd": _NUMBER},
    "categories": {},
}


def load_coco(path: StrPath) -> COCO:
    """Return the annotations in a COCO JSON file, checked and indexed.

    `id`, `area` and `iscrowd` of an annotation may be missing: they become the next number, the
    area of its box, and 0. What else is filled in or left out is what `load_table` warns about.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and entry, if it is not JSON, a key is missing or its value of the
            wrong type, an id or a class name is given twice, or an annotation names an unknown
            image or category.
    """
    coco = COCO()
    coco.dataset, _ = _read(path)
    _fill_in(coco.dataset["annotations"])
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def load_table(path: StrPath) -> CocoTable:
    """Return images, boxes and categories of a COCO JSON file; same errors as `load_coco`.

    It warns about numbers written as text, categories that repeat a name, and annotations without
    a box; see `coco_repairs`.
    """
    with naming_file(path):
        try:
            return read_coco_fast(path)
        except ZeroByteError:
            raise
        except Exception:  # the slow reader can read it, or says what is wrong
            pass
    dataset, notes = _read(path)
    for note in notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    return CocoTable.of(dataset)


def _read(path: StrPath) -> tuple[dict[str, Any], list[str]]:
    """Return the dictionary in a COCO JSON file, repaired and checked, and what was repaired."""
    text = read_text(path)
    with naming_file(path):
        try:
            dataset = json.loads(text, object_pairs_hook=_object)
        except ValueError as error:
            raise ValueError(f"expected JSON: {error}") from None
        return dataset, _repair_and_check(dataset)


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


def _repair_and_check(dataset: Any) -> list[str]:
    """Fill in what a COCO dictionary lacks, and return what that was in words.

    Raises:
        ValueError: if it is malformed, or refers to what does not exist.
    """
    _check_sections(dataset)
    annotations = dataset["annotations"]
    notes = [coco_repairs.read_text_numbers(dataset), coco_repairs.fill_boxes(annotations)]
    for section, keys in _NEEDED.items():
        for number, entry in enumerate(dataset[section]):
            _check_entry(entry, f"{section}[{number}]", keys, _OPTIONAL[section])
    images = _unique(dataset, "images", "id")
    categories = _unique(dataset, "categories", "id")
    notes.append(coco_repairs.drop_repeated_categories(dataset))
    _unique(dataset, "categories", "name")
    _unique(dataset, "annotations", "id")
    if not categories:
        raise ValueError("expected at least one category, got none")
    for number, annotation in enumerate(annotations):
        place = f"annotations[{number}]"
        if annotation["image_id"] not in images:
            raise ValueError(f"{place}: unknown image_id {_short(annotation['image_id'])}")
        if annotation["category_id"] not in categories:
            raise ValueError(
                f"{place}: unknown category_id {_short(annotation['category_id'])} "
                f"(categories: {shorten(sorted(categories), 80)})"
            )
    # Last, so that the errors above count as the file does.
    notes.append(coco_repairs.drop_boxless(dataset))
    return list(filter(None, notes))


def _check_sections(dataset: Any) -> None:
    """Raise ValueError if a COCO dictionary has not all its lists of objects."""
    if not isinstance(dataset, dict):
        raise ValueError(f"expected an object with keys {list(_NEEDED)}")
    for section, keys in _NEEDED.items():
        if not isinstance(dataset.get(section), list):
            raise ValueError(
                f"expected the key {section!r} with a list, got {_got(section, dataset)}"
            )
        for number, entry in enumerate(dataset[section]):
            if not isinstance(entry, dict):
                raise ValueError(
                    f"{section}[{number}]: expected an object with keys {list(keys)}, got "
                    f"{_short(entry)}"
                )


def _check_entry(
    entry: Mapping[str, Any], place: str, needed: Mapping[str, Check], optional: Mapping[str, Check]
) -> None:
    missing = [key for key in needed if key not in entry]
    if missing:
        raise ValueError(f"{place}: expected the keys {missing}, got {shorten(sorted(entry), 80)}")
    for keys, may_be_null in ((needed, False), (optional, True)):
        for key, (kind, holds) in keys.items():
            value = entry.get(key)
            if not (value is None and may_be_null) and not holds(value):
                raise ValueError(f"{place}: expected {key} with {kind}, got {_short(value)}")


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

    def __init__(
        self,
        data_dir: StrPath,
        set_name: str,
        *,
        images_dir: StrPath | None = None,
        missing_ok: bool = False,
        **kwargs: Any,
    ) -> None:
        """Read the annotations.

        Args:
            data_dir: folder of the data set in one of the layouts of `coco_layouts.find_sets`, or a
                JSON file.
            set_name: such as `train2017`; or a JSON file.
            images_dir: folder of the images, or the one above that of the set; None to look for it
                beside the annotations.
            missing_ok: whether image files may be missing; reading them is then an error.
            **kwargs: for `Generator`.

        Raises:
            OSError: if the annotations cannot be read.
            ValueError: naming file and entry, if they are malformed; if no image is found, naming
                where was looked; or naming the first image file that does not exist. Boxes without
                area are left out with a warning.
        """
        self.data_dir = data_dir
        self.set_name = set_name
        self._file = coco_layouts.find_file(data_dir, set_name)
        table = load_table(self._file)
        self.image_ids = table.image_ids
        self._categories = table.categories
        paths, note = coco_layouts.find_images(
            self._file, set_name, table.file_names, images_dir, missing_ok=missing_ok
        )
        if note:
            warnings.warn(note, stacklevel=2)
        self.load_classes()
        boxes, dropped = _boxes_of(table, self._file)
        self._declared: np.ndarray = np.asarray((table.sizes > 0).all(axis=1))
        self._annotated, self._crowds = len(table.crowd), int(table.crowd.sum())
        super().__init__(
            self.classes,
            paths,
            boxes,
            source=self._file,
            missing_ok=missing_ok,
            dropped=dropped,
            sizes=_complete_sizes(table.sizes, self._declared, paths, self._file),
            **kwargs,
        )
        self.image_ids, self._declared = self.kept(self.image_ids), self.kept(self._declared)

    def declared_size(self, image_index: int) -> tuple[int, int] | None:
        """Return width and height of an image in the annotations, rounded; None if missing."""
        if self._sizes is None or not self._declared[image_index]:
            return None
        width, height = self._sizes[image_index].round().astype(int).tolist()
        return width, height

    def why_no_boxes(self) -> str:
        """Return the likely cause, for messages, if the data set has no box at all."""
        if not self._annotated:
            return f"the list 'annotations' in {self._file} is empty, or no entry has a box"
        if self._crowds == self._annotated:
            return f"all {self._crowds} are crowds, which are not trained"
        return super().why_no_boxes()

    @functools.cached_property
    def coco(self) -> COCO:
        """The complete file, read on first use: training does not need it.

        Sizes that it lacks are those of the image files.
        """
        coco = load_coco(self._file)
        for index in np.flatnonzero(~self._declared).tolist():
            width, height = map(int, np.zeros(2) if self._sizes is None else self._sizes[index])
            coco.imgs[self.image_ids[index]].update(width=width, height=height)
        return coco

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


def _complete_sizes(
    sizes: np.ndarray, declared: np.ndarray, paths: Sequence[str], source: str
) -> np.ndarray:
    """Return the sizes of images `(n, 2)`, with those of the files where none is declared."""
    if declared.all():
        return sizes
    missing = np.flatnonzero(~declared).tolist()
    warnings.warn(
        f"{source}: {len(missing)} images without width and height: read from the image files",
        stacklevel=3,
    )
    completed = sizes.copy()
    completed[missing] = read_sizes([paths[index] for index in missing], source)
    return completed


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
