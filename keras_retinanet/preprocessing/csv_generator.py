"""Data sets in CSV files: one row a box, `path,x1,y1,x2,y2,class_name`."""

import csv
import os

import cv2
import numpy as np

from keras_retinanet.images import read_image_bgr
from keras_retinanet.preprocessing.generator import Generator

_COORDINATES = ("x1", "y1", "x2", "y2")


def read_classes(path) -> dict[str, int]:
    """Return the label of each class name in a file of rows `class_name,id`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, for a malformed row or a name or id given twice.
    """
    return _read(path, "class", _parse_classes)


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
        ValueError: naming file and line, for a malformed row, an empty or reversed box, or an
            unknown class.
    """
    return _read(path, "annotations", lambda rows: _parse_annotations(rows, classes))


def _read(path, kind, parse):
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            return parse(csv.reader(file))
        except (ValueError, csv.Error) as error:
            raise ValueError(f"invalid CSV {kind} file: {path}: {error}") from None


def _parse_classes(reader):
    classes = {}
    for row in filter(None, reader):
        line = reader.line_num
        if len(row) != 2:
            raise ValueError(f"line {line}: format should be 'class_name,class_id'")
        name, text = row
        label = _number(text, int, f"line {line}: malformed class ID: {{}}")
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


def _parse_annotations(reader, classes):
    images = {}
    for row in filter(None, reader):
        line = reader.line_num
        if len(row) < 6:
            raise ValueError(
                f"line {line}: format should be 'img_file,x1,y1,x2,y2,class_name' "
                "or 'img_file,,,,,'"
            )
        boxes = images.setdefault(row[0], [])
        if any(row[1:6]):
            boxes.append(_parse_box(row, line, classes))
    if not images:
        raise ValueError("expected at least one row, got none")
    return images


def _parse_box(row, line, classes):
    x1, y1, x2, y2 = (
        _number(text, float, f"line {line}: malformed {name}: {{}}")
        for name, text in zip(_COORDINATES, row[1:5], strict=True)
    )
    if x2 <= x1:
        raise ValueError(f"line {line}: x2 ({x2:g}) must be higher than x1 ({x1:g})")
    if y2 <= y1:
        raise ValueError(f"line {line}: y2 ({y2:g}) must be higher than y1 ({y1:g})")
    if row[5] not in classes:
        raise ValueError(f"line {line}: unknown class name: '{row[5]}' (classes: {classes})")
    return x1, y1, x2, y2, classes[row[5]]


def _number(text, kind, message):
    try:
        value = kind(text)
    except ValueError as error:
        raise ValueError(message.format(error)) from None
    if not np.isfinite(value):
        raise ValueError(message.format(f"expected a finite number, got {text!r}"))
    return value


class CSVGenerator(Generator):
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
        self.classes = read_classes(csv_class_file)
        self.labels = {label: name for name, label in self.classes.items()}
        self.image_data = read_annotations(csv_data_file, self.classes)
        self.image_names = list(self.image_data)
        self._check_files(csv_data_file)
        super().__init__(**kwargs)

    def _check_files(self, csv_data_file):
        paths = [os.path.join(self.base_dir, name) for name in self.image_names]
        missing = [path for path in paths if not os.path.exists(path)]
        if missing:
            raise ValueError(
                f"{csv_data_file}: {len(missing)} of {len(paths)} image files not found, "
                f"the first: {missing[0]}"
            )

    def size(self):
        """Return the number of images."""
        return len(self.image_names)

    def num_classes(self):
        """Return the greatest label + 1."""
        return max(self.classes.values()) + 1

    def has_label(self, label):
        """Return whether a label is in the class file."""
        return label in self.labels

    def has_name(self, name):
        """Return whether a class name is in the class file."""
        return name in self.classes

    def name_to_label(self, name):
        """Return the label of a class name."""
        return self.classes[name]

    def label_to_name(self, label):
        """Return the class name of a label."""
        return self.labels[label]

    def image_path(self, image_index):
        """Return the path of an image."""
        return os.path.join(self.base_dir, self.image_names[image_index])

    def image_aspect_ratio(self, image_index):
        """Return width over height; 1 for an image that cannot be read (loading it says why)."""
        return aspect_ratio(self.image_path(image_index))

    def load_image(self, image_index):
        """Return an image as BGR uint8."""
        return read_image_bgr(self.image_path(image_index))

    def load_annotations(self, image_index):
        """Return labels `(n,)` and boxes `(n, 4)` of an image."""
        rows = np.array(self.image_data[self.image_names[image_index]], "float64").reshape(-1, 5)
        return {"labels": rows[:, 4].astype(int), "bboxes": rows[:, :4]}


def aspect_ratio(path) -> float:
    """Return the width of an image file over its height; 1 if it cannot be read."""
    try:
        height, width = read_image_bgr(path).shape[:2]
    except (OSError, ValueError, cv2.error):
        return 1.0
    return width / height
