"""Data sets in CSV files: one row a box, `path,x1,y1,x2,y2,class_name`."""

import functools
import os

from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.csv_table import read_usual
from keras_retinanet.annotations.text import csv_rows, finite_number, read_text
from keras_retinanet.preprocessing.labelled import LabelledGenerator

_COORDINATES = ("x1", "y1", "x2", "y2")


def read_classes(path) -> dict[str, int]:
    """Return the label of each class name in a file of rows `class_name,id`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, for a malformed row, a name or id given twice, or text
            that is not UTF-8.
    """
    return _parse(read_text(path), path, "class", _parse_classes)


def read_annotations(path, classes) -> dict[str, list[tuple]]:
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
    names, table = read_table(path, classes)
    return {name: _tuples(rows) for name, rows in zip(names, table, strict=True)}


def _tuples(rows):
    return [(*box, int(label)) for *box, label in rows.tolist()]


def read_table(path, classes) -> tuple[list[str], BoxTable]:
    """Return image paths as written and their boxes; arguments and errors of `read_annotations`."""
    usual = read_usual(path, classes)
    if usual is not None:
        return usual
    images = _parse(
        read_text(path), path, "annotations", lambda rows: _parse_annotations(rows, classes)
    )
    return list(images), BoxTable.of(images.values())


def _parse(text, path, kind, parse):
    try:
        return parse(csv_rows(text))
    except ValueError as error:
        raise ValueError(f"invalid CSV {kind} file: {path}: {error}") from None


def _parse_classes(rows):
    classes = {}
    for line, row in rows:
        if len(row) != 2:
            raise ValueError(f"line {line}: format should be 'class_name,class_id'")
        name, text = row
        if not name:
            raise ValueError(f"line {line}: expected a class name, got none")
        label = finite_number(text, f"line {line}: malformed class ID", int)
        if label < 0:
            raise ValueError(f"line {line}: malformed class ID: expected 0 or more, got {label}")
        if name in classes:
            raise ValueError(f"line {line}: duplicate class name: '{name}'")
        if label in classes.values():
            raise ValueError(f"line {line}: duplicate class ID: {label}")
        classes[name] = label
    if not classes:
        raise ValueError("expected at least one row 'class_name,class_id', got none")
    return classes


def _parse_annotations(rows, classes):
    images = {}
    for line, row in rows:
        if len(row) < 6:
            raise ValueError(
                f"line {line}: format should be 'img_file,x1,y1,x2,y2,class_name' "
                "or 'img_file,,,,,'"
            )
        if not row[0]:
            raise ValueError(f"line {line}: expected the path of an image, got none")
        boxes = images.setdefault(row[0], [])
        if any(row[1:6]):
            boxes.append(_parse_box(row, line, classes))
    if not images:
        raise ValueError("expected at least one row, got none")
    return images


def _parse_box(row, line, classes):
    x1, y1, x2, y2 = (
        finite_number(text, f"line {line}: malformed {name}")
        for name, text in zip(_COORDINATES, row[1:5], strict=True)
    )
    if x2 <= x1:
        raise ValueError(f"line {line}: x2 ({x2:.12g}) must be higher than x1 ({x1:.12g})")
    if y2 <= y1:
        raise ValueError(f"line {line}: y2 ({y2:.12g}) must be higher than y1 ({y1:.12g})")
    if row[5] not in classes:
        raise ValueError(f"line {line}: unknown class name: '{row[5]}' (classes: {classes})")
    return x1, y1, x2, y2, classes[row[5]]


class CSVGenerator(LabelledGenerator):
    """A data set in two CSV files: annotations and classes."""

    def __init__(self, csv_data_file, csv_class_file, base_dir=None, **kwargs):
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

    @functools.cached_property
    def image_data(self) -> dict[str, list[tuple]]:
        """What `read_annotations` returns, made on first use."""
        return {
            name: _tuples(rows)
            for name, rows in zip(self.image_names, self.annotations, strict=True)
        }
