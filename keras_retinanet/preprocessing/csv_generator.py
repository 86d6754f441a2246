"""Data sets in CSV files: one row per box, `path,x1,y1,x2,y2,class_name`."""

import csv
import functools
import os
import sys
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, TextIO, TypeVar

import numpy as np
from PIL import Image

from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.csv_causes import HEADER, cause_in_boxes, cause_in_classes
from keras_retinanet.annotations.text import (
    bounded_lines,
    csv_rows,
    finite_number,
    naming_file,
    read_text,
    whole_number,
)
from keras_retinanet.images import read_image_bgr
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.labelled import LabelledGenerator, check_labels
from keras_retinanet.system.files import only_regular
from keras_retinanet.system.limits import MAX_COORDINATE as MAX
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
_BOX_FORMAT = "format should be 'img_file,x1,y1,x2,y2,class_name' or 'img_file,,,,,'"

_Read = TypeVar("_Read")


def read_classes(path: StrPath) -> dict[str, int]:
    """Return the label of each class name in a file of rows `class_name,id`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, for a malformed row, a name or id given twice, or text
            that is not UTF-8.
    """
    return _read(path, "class", _parse_classes)


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
    return _read(path, "annotations", lambda rows: _parse_annotations(rows, classes))


def _as_dictionary(names: Iterable[str], table: BoxTable) -> dict[str, list[tuple]]:
    """Return what `read_annotations` does."""
    return {
        name: [(*box, int(label)) for *box, label in rows.tolist()]
        for name, rows in zip(names, table, strict=True)
    }


def _read(
    path: StrPath, kind: str, parse: Callable[[Iterator[tuple[int, list[str]]]], _Read]
) -> _Read:
    """Return what `parse` makes of the rows of a file; its errors name the file."""
    with _open_for_csv(path) as file, naming_file(path, f"invalid CSV {kind} file"):
        try:
            return parse(csv_rows(bounded_lines(file)))
        except UnicodeDecodeError:
            pass
    read_text(path)  # raises an error that names the line
    raise ValueError(f"{path}: expected UTF-8 text")  # another program has changed the file


def _parse_classes(rows: Iterable[tuple[int, list[str]]]) -> dict[str, int]:
    classes: dict[str, int] = {}
    lines: dict[str, int] = {}
    labels: set[int] = set()
    for line, row in rows:
        try:
            name, label = _parse_class(row)
        except ValueError as error:
            cause = cause_in_classes(row, not classes)
            raise ValueError(f"line {line}: {_with_cause(error, cause, _CLASS_FORMAT)}") from None
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


def _with_cause(problem: ValueError | str, cause: str, row_format: str) -> str:
    """Return what is wrong with a row, and its likely cause if there is one."""
    if cause == HEADER:
        return f"{cause}; {row_format}"
    return f"{shorten(problem, 110)}: {cause}" if cause else str(problem)


def _quoted(text: str) -> str:
    return shorten(repr(text), 60)


def _parse_annotations(
    rows: Iterable[tuple[int, list[str]]], classes: Mapping[str, int]
) -> tuple[list[str], BoxTable]:
    """Return image paths as written and their boxes.

    There may be millions of rows: what exactly is wrong with one is only worked out if it is.
    """
    index_of: dict[str, int] = {}
    image_indices, boxes = array("q"), array("d")
    for line, row in rows:
        try:
            name, left, top, right, bottom, class_name = row[:6]
            x1, y1, x2, y2 = float(left), float(top), float(right), float(bottom)
            label = classes[class_name]
            good = bool(name) and -MAX < x1 < x2 < MAX and -MAX < y1 < y2 < MAX
        except (ValueError, KeyError):
            good = False
        if good:
            image_indices.append(index_of.setdefault(name, len(index_of)))
            boxes.extend((x1, y1, x2, y2, label))
        elif row[0] and row[1:6] == [""] * 5:  # an image without objects
            index_of.setdefault(row[0], len(index_of))
        else:
            problem = _what_is_wrong(row, classes)
            cause = cause_in_boxes(row, classes, not index_of)
            raise ValueError(f"line {line}: {_with_cause(problem, cause, _BOX_FORMAT)}")
    if not index_of:
        raise ValueError("expected at least one row, got none")
    table = BoxTable(np.asarray(image_indices), np.asarray(boxes).reshape(-1, 5), len(index_of))
    return list(index_of), table


def _what_is_wrong(row: list[str], classes: Mapping[str, int]) -> str:
    """Return what is wrong with a row of annotations."""
    if len(row) < 6:
        return _BOX_FORMAT
    name, *texts, class_name = row[:6]
    if not name:
        return "expected the path of an image, got none"
    try:
        x1, y1, x2, y2 = (
            finite_number(text, f"malformed {key}")
            for key, text in zip(_COORDINATES, texts, strict=True)
        )
    except ValueError as error:
        return str(error)
    if x2 <= x1:
        return f"x2 ({x2:.12g}) must be higher than x1 ({x1:.12g})"
    if y2 <= y1:
        return f"y2 ({y2:.12g}) must be higher than y1 ({y1:.12g})"
    return _unknown(class_name, classes)


def _unknown(name: str, classes: Mapping[str, int]) -> str:
    return f"unknown class name: {_quoted(name)} (classes: {shorten(dict(classes), 80)})"


def raise_from(value: Exception, from_value: BaseException | None) -> NoReturn:
    """Raise `value` with a cause, as `six.raise_from`, which `import *` brought along in 1.0.0."""
    raise value from from_value


def _open_for_csv(path: StrPath) -> TextIO:
    """Open a text file for `csv.reader`: UTF-8, with or without a byte-order mark.

    Public programs import this from keras-retinanet 1.0.0, and the two functions below.
    """
    return open(path, encoding="utf-8-sig", newline="", opener=only_regular)


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
            raise ValueError(f"line {line}: {_BOX_FORMAT}")
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
            raise ValueError(f"line {line}: {_unknown(row[5], classes)}")
        boxes.append({key: sides[key] for key in ("x1", "x2", "y1", "y2")} | {"class": row[5]})
    return images


class CSVGenerator(LabelledGenerator):
    """A data set in two CSV files: annotations and classes."""

    def __init__(
        self,
        csv_data_file: StrPath,
        csv_class_file: StrPath,
        base_dir: StrPath | None = None,
        **kwargs: Any,
    ) -> None:
        """Read both files.

        Args:
            csv_data_file: rows `path,x1,y1,x2,y2,class_name` or `path,,,,,`.
            csv_class_file: rows `class_name,id`, ids from 0.
            base_dir: where relative paths start; None means the folder of `csv_data_file`.
            **kwargs: for `Generator`.

        Raises:
            OSError: if a file cannot be read.
            ValueError: naming file and line, if one is malformed (see `read_annotations`), or
                naming the first image file that does not exist.
        """
        self.base_dir = os.path.dirname(csv_data_file) if base_dir is None else base_dir
        classes = read_classes(csv_class_file)
        self.image_names, annotations = read_table(csv_data_file, classes)
        paths = [os.path.join(self.base_dir, name) for name in self.image_names]
        super().__init__(classes, paths, annotations, source=csv_data_file, **kwargs)

    def why_no_boxes(self) -> str:
        """Return the likely cause, for messages, if the data set has no box at all."""
        return f"every row of {self._source} is 'img_file,,,,,', an image without objects"

    @functools.cached_property
    def image_data(self) -> dict[str, list[tuple]]:
        """What `read_annotations` returns, made on first use."""
        return _as_dictionary(self.image_names, self.annotations)
