"""Rows of boxes in a CSV file, a whole column at a time."""

import csv
from collections.abc import Mapping
from itertools import islice

import numpy as np

from keras_retinanet.garbage import no_garbage_collection
from keras_retinanet.preprocessing.box_table import BoxTable

_PART = 2000  # rows in memory at once


def read_usual(path, classes: Mapping[str, int]) -> tuple[list[str], BoxTable] | None:
    """Return the image paths and boxes in a file of rows `path,x1,y1,x2,y2,class_name`.

    None if a row is wrong or unusual: that is for a slower reader, which looks at each by itself.

    Raises:
        OSError: if the file cannot be read.
    """
    try:
        with (
            no_garbage_collection(),
            open(path, encoding="utf-8-sig", newline="") as file,
        ):
            return _table(file, classes)
    except (ValueError, KeyError, csv.Error):
        return None


def _table(file, classes):
    reader, lines = csv.reader(file), 0
    known, images, boxes = {}, [], []
    while part := list(islice(reader, _PART)):
        lines += len(part)
        rows = list(filter(None, part))  # blank lines are empty rows
        _expect(reader.line_num == lines and min(map(len, rows), default=6) >= 6)
        for row in rows:
            known.setdefault(row[0], len(known))
        rows = [row for row in rows if row[5] or any(row[1:5])]
        images.append(np.array([known[row[0]] for row in rows], "int64"))
        boxes.append(_boxes(rows, classes))
    _expect(known and all(name.strip() for name in known))
    return list(known), BoxTable(np.concatenate(images), np.concatenate(boxes), len(known))


def _boxes(rows, classes):
    """Return rows `x1, y1, x2, y2, label` of rows of text, all of them good."""
    if not rows:
        return np.zeros((0, 5))
    columns = list(zip(*rows, strict=False))  # as many as the shortest row has
    sides = [list(map(float, column)) for column in columns[1:5]]
    labels = list(map(classes.__getitem__, columns[5]))
    boxes = np.array([*sides, labels], "float64").T
    _expect(np.isfinite(boxes).all())
    _expect((boxes[:, 2:4] > boxes[:, :2]).all())
    return boxes


def _expect(condition):
    if not condition:
        raise ValueError("not as usual")
