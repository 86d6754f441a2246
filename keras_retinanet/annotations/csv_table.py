"""Rows of boxes in a CSV file, a whole column at a time."""

import csv
import io
from collections.abc import Mapping
from itertools import chain, compress

import numpy as np

from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.decimals import read_decimals
from keras_retinanet.system.machine import gc_paused

_PART = 1 << 16  # characters to read at once: what is made of them fits into the processor's cache
_COLUMNS = 6
_NO_MARKS = bytes(set(range(256)) - set(b',"\r\n'))


def read_usual(path, classes: Mapping[str, int]) -> tuple[list[str], BoxTable] | None:
    """Return the image paths and boxes in a file of rows `path,x1,y1,x2,y2,class_name`.

    None if a row is wrong or unusual: that is for a slower reader, which looks at each by itself.

    Raises:
        OSError: if the file cannot be read.
    """
    try:
        with (
            gc_paused(),
            open(path, encoding="utf-8-sig", newline="") as file,
        ):
            return _table(file, classes)
    except (ValueError, KeyError, csv.Error):
        return None


def _table(file, classes):
    known, images, boxes = {}, [np.zeros(0, "int64")], [np.zeros((0, 5))]
    while text := file.read(_PART):
        columns = _columns(text + file.readline())
        for name in dict.fromkeys(columns[0]):
            known.setdefault(name, len(known))
        if "" in columns[-1]:
            has_box = list(map(any, zip(*columns[1:], strict=True)))
            columns = [list(compress(column, has_box)) for column in columns]
        names, *sides, labels = columns
        if names:
            images.append(np.fromiter(map(known.__getitem__, names), "int64", len(names)))
            boxes.append(_boxes(sides, list(map(classes.__getitem__, labels))))
    _expect(known and all(map(str.strip, known)))
    return list(known), BoxTable(np.concatenate(images), np.concatenate(boxes), len(known))


def _columns(text):
    """Return the first six columns of whole lines of CSV."""
    lines = text.replace("\r\n", "\n").removesuffix("\n") + "\n"
    marks = lines.encode().translate(None, _NO_MARKS)
    if marks == b",,,,,\n" * lines.count("\n"):
        fields = lines.replace("\n", ",").split(",")
        return [fields[column:-1:_COLUMNS] for column in range(_COLUMNS)]
    reader = csv.reader(io.StringIO(text, newline=""))
    rows = list(reader)
    _expect(reader.line_num == len(rows))  # else a quote goes over several lines
    rows = list(filter(None, rows))  # blank lines are empty rows
    _expect(min(map(len, rows), default=_COLUMNS) >= _COLUMNS)
    return list(zip(*rows, strict=False))[:_COLUMNS] or [()] * _COLUMNS


def _boxes(sides, labels):
    """Return rows `x1, y1, x2, y2, label` of four columns of text and one of labels."""
    try:
        corners = read_decimals(",".join(chain(*sides)).encode()).reshape(4, -1)
    except ValueError:
        corners = np.array([list(map(float, side)) for side in sides])
    _expect(np.isfinite(corners).all())
    _expect((corners[2:] > corners[:2]).all())
    return np.stack([*corners, labels], axis=1)


def _expect(condition):
    if not condition:
        raise ValueError("not as usual")
