"""Data sets in CSV files: one row per box, `path,x1,y1,x2,y2,class_name`."""

import csv
import dataclasses
import functools
import os
import sys
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.csv_boxes import (
    BOX_FORMAT,
    FIND_CLASSES,
    CSVBoxes,
    FoundClasses,
    read_boxes,
    unknown_class,
)
from keras_retinanet.annotations.csv_causes import HEADER, cause_in_classes
from keras_retinanet.annotations.text import (
    bounded_lines,
    csv_rows,
    open_csv,
    read_csv,
    whole_number,
)
from keras_retinanet.images import read_image_bgr
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.labelled import LabelledGenerator, check_labels
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# For `import *`: what this module defines, and what it always brought along.
__all__ = [
    "CSVGenerator",
    "Generator",
    "Image",
    "OrderedDict",
    "csv",
    "np",
    "os",
    "raise_from",
    "read_annotations",
    "read_classes",
    "read_image_bgr",
    "read_table",
    "sys",
]

_COORDINATES = ("x1", "y1", "x2", "y2")
_CLASS_FORMAT = "format should be 'class_name,class_id'"


def read_classes(path: StrPath) -> dict[str, int]:
    """Return the label of each class name in a file of rows `class_name,id`.

    In a file of one name per line, the first has the label 0, the next 1, and so on.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, for a malformed row, a name or id given twice, or text
            that is not UTF-8.
    """
    return read_csv(path, "class", lambda file: _parse_classes(csv_rows(bounded_lines(file))))


def read_annotations(path: StrPath, classes: Mapping[str, int]) -> dict[str, list[tuple]]:
    """Return the boxes of each image in a file of rows `path,x1,y1,x2,y2,class_name`.

    A row `path,,,,,` names an image without objects. Coordinates may have fractions.

    Args:
        path: the CSV file, UTF-8, with or without a byte-order mark.
        classes: label of each class name.

    Returns:
        Dictionary of image path as written -> list of `(x1, y1, x2, y2, label)`, in file order.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, for a malformed row, an empty or reversed box, an
            unknown class, or text that is not UTF-8.
    """
    return _as_dictionary(*read_table(path, classes))


def read_table(path: StrPath, classes: Mapping[str, int]) -> tuple[list[str], BoxTable]:
    """Return image paths as written and their boxes; arguments and errors of `read_annotations`."""
    boxes = read_boxes(path, classes)
    return boxes.names, boxes.table


def _as_dictionary(names: Iterable[str], table: BoxTable) -> dict[str, list[tuple]]:
    """Return what `read_annotations` does."""
    return {
        name: [(*box, int(label)) for *box, label in rows.tolist()]
        for name, rows in zip(names, table, strict=True)
    }


def _parse_classes(rows: Iterable[tuple[int, list[str]]]) -> dict[str, int]:
    classes: dict[str, int] = {}
    lines: dict[str, int] = {}
    labels: set[int] = set()
    is_list = False
    for line, row in rows:
        is_list = is_list if classes else len(row) == 1
        try:
            name, label = (_listed_class(row), len(classes)) if is_list else _parse_class(row)
        except ValueError as error:
            cause = cause_in_classes(row, not classes)
            raise ValueError(f"line {line}: {_with_cause(error, cause)}") from None
        if name in classes:
            raise ValueError(f"line {line}: duplicate class name: {_quoted(name)}")
        if label in labels:
            raise ValueError(f"line {line}: duplicate class ID: {label}")
        classes[name], lines[name] = label, line
        labels.add(label)
    if not classes:
        raise ValueError("expected at least one row 'class_name,class_id', got none")
    check_labels(classes, lambda name: f"line {lines[name]}: class {_quoted(name)}")
    return classes


def _parse_class(row: list[str]) -> tuple[str, int]:
    if len(row) != 2:
        raise ValueError(_CLASS_FORMAT)
    name, text = row
    if not name:
        raise ValueError("expected a class name, got none")
    label = whole_number(text, "malformed class ID")
    if label < 0:
        raise ValueError(f"malformed class ID: expected 0 or more, got {label}")
    return name, label


def _listed_class(row: list[str]) -> str:
    """Return the class of a line in a file of one name per line, whose ids are 0, 1, ..."""
    if len(row) != 1 or cause_in_classes(row, False):
        raise ValueError(_CLASS_FORMAT)
    return row[0].strip()


def _with_cause(problem: ValueError, cause: str) -> str:
    """Return what is wrong with a row, and its likely cause if there is one."""
    if cause == HEADER:
        return f"{cause}; {_CLASS_FORMAT}"
    return f"{shorten(problem, 110)}: {cause}" if cause else str(problem)


def _quoted(text: str) -> str:
    return shorten(repr(text), 60)


def raise_from(value: Exception, from_value: BaseException | None) -> NoReturn:
    """Raise `value` with a cause, as `six.raise_from`, which `import *` brought along in 1.0.0."""
    raise value from from_value


# Public programs import these three from keras-retinanet 1.0.0.
_open_for_csv = open_csv


def _read_classes(csv_reader: Iterable[list[str]]) -> dict[str, int]:
    """Return the id of each class name, as keras-retinanet 1.0.0 did.

    Unlike `read_classes` it takes a `csv.reader`, which may be empty, and ids that are negative or
    given twice. A blank line is an error.
    """
    classes: dict[str, int] = OrderedDict()
    for line, row in _numbered(csv_reader):
        if len(row) != 2:
            raise ValueError(f"line {line}: {_CLASS_FORMAT}")
        label = whole_number(row[1], f"line {line}: malformed class ID")
        if row[0] in classes:
            raise ValueError(f"line {line}: duplicate class name: {_quoted(row[0])}")
        classes[row[0]] = label
    return classes


def _numbered(csv_reader: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the fields of each row of a `csv.reader`; its errors as ValueError."""
    line = 0
    try:
        for line, row in enumerate(csv_reader, 1):
            yield line, row
    except csv.Error as error:
        raise ValueError(f"line {line + 1}: {shorten(error)}") from None


def _read_annotations(
    csv_reader: Iterable[list[str]], classes: Mapping[str, int]
) -> dict[str, list[dict[str, int | str]]]:
    """Return the boxes of each image, `{"x1", "x2", "y1", "y2", "class"}`, as 1.0.0 did.

    Unlike `read_annotations` it takes a `csv.reader`, which may be empty, and whole numbers only.
    A blank line is an error.
    """
    images: dict[str, list[dict[str, int | str]]] = OrderedDict()
    for line, row in _numbered(csv_reader):
        if len(row) < 6:
            raise ValueError(f"line {line}: {BOX_FORMAT}")
        boxes = images.setdefault(row[0], [])
        if not any(row[1:6]):
            continue
        sides = {
            key: whole_number(text, f"line {line}: malformed {key}")
            for key, text in zip(_COORDINATES, row[1:5], strict=True)
        }
        for low, high in (("x1", "x2"), ("y1", "y2")):
            if sides[high] <= sides[low]:
                raise ValueError(
                    f"line {line}: {high} ({shorten(sides[high], 40)}) must be higher than {low} "
                    f"({shorten(sides[low], 40)})"
                )
        if row[5] not in classes:
            raise ValueError(f"line {line}: {unknown_class(row[5], classes)}")
        boxes.append({key: sides[key] for key in ("x1", "x2", "y1", "y2")} | {"class": row[5]})
    return images


class CSVGenerator(LabelledGenerator):
    """A data set in two CSV files: annotations and classes."""

    def __init__(
        self,
        csv_data_file: StrPath,
        csv_class_file: StrPath,
        base_dir: StrPath | None = None,
        *,
        known_classes: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> None:
        """Read both files.

        Args:
            csv_data_file: rows `path,x1,y1,x2,y2,class_name` or `path,,,,,`; or rows of the columns
                that a header line names.
            csv_class_file: rows `class_name,id`, ids from 0; or one name per line; or "-" for the
                classes in `csv_data_file`.
            base_dir: where relative paths start; None means the folder of `csv_data_file`.
            known_classes: class name -> label, for "-": boxes of other classes are left out. None
                means the classes in `csv_data_file`, sorted by name.
            **kwargs: for `Generator`.

        Raises:
            OSError: if a file cannot be read.
            ValueError: naming file and line, if one is malformed (see `read_annotations`), or
                naming the first image file that does not exist.
        """
        self.base_dir = os.path.dirname(csv_data_file) if base_dir is None else base_dir
        if csv_class_file == FIND_CLASSES:
            classes, boxes = _find_classes(csv_data_file, known_classes)
        else:
            classes = read_classes(csv_class_file)
            boxes = read_boxes(csv_data_file, classes)
        paths = [os.path.join(self.base_dir, name) for name in boxes.names]
        super().__init__(classes, paths, boxes.table, source=csv_data_file, **kwargs)
        self.image_names = self.kept(boxes.names)
        self._declared_sizes = None if boxes.sizes is None else self.kept(boxes.sizes)
        self.found_classes = csv_class_file == FIND_CLASSES and known_classes is None

    def declared_size(self, image_index: int) -> tuple[int, int] | None:
        """Return width and height of an image as the file declares them; None if it does not."""
        if self._declared_sizes is None or not self._declared_sizes[image_index].all():
            return None
        width, height = self._declared_sizes[image_index].round().astype(int).tolist()
        return width, height

    def why_no_boxes(self) -> str:
        """Return the likely cause, for messages, if the data set has no box at all."""
        return f"every row of {self._source} is 'img_file,,,,,', an image without objects"

    @functools.cached_property
    def image_data(self) -> dict[str, list[tuple]]:
        """What `read_annotations` returns, made on first use."""
        return _as_dictionary(self.image_names, self.annotations)


def _find_classes(
    path: StrPath, known: Mapping[str, int] | None
) -> tuple[dict[str, int], CSVBoxes]:
    """Return the classes in a file of boxes, or those that are known, and its boxes of these."""
    found = FoundClasses(known)
    boxes = read_boxes(path, found)
    if known is None:
        if not found.names:
            raise ValueError(
                f"{path}: expected boxes, to find the classes in them, got images without objects"
            )
        classes = {name: label for label, name in enumerate(sorted(found.names))}
        labels = np.array([classes[name] for name in found.names])
        boxes.table.rows[:, 4] = labels[boxes.table.rows[:, 4].astype(int)]
        return classes, boxes
    unknown = boxes.table.rows[:, 4] < 0
    if unknown.any():
        warnings.warn(
            f"{path}: left out {unknown.sum()} boxes of classes that are not among the "
            f"{len(known)} to find: {shorten(', '.join(found.unknown()), 120)}",
            stacklevel=3,
        )
        boxes = dataclasses.replace(boxes, table=boxes.table.select(~unknown))
    return dict(known), boxes
