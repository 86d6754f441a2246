"""Read the boxes in a CSV file, with or without a header line."""

import warnings
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TextIO

import numpy as np

from keras_retinanet.annotations import fractions
from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.csv_causes import cause_in_boxes, similar_class
from keras_retinanet.annotations.csv_columns import (
    USUAL,
    BoxForm,
    Columns,
    find_columns,
    fits_usual,
    split,
)
from keras_retinanet.annotations.text import (
    bounded_lines,
    csv_rows,
    finite_number,
    open_csv,
    read_csv,
)
from keras_retinanet.system.limits import MAX_COORDINATE as MAX
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# In the place of the file of classes: find them in the file of boxes.
FIND_CLASSES = "-"
# Tools write six digits of fractions.
_ROUNDING = 1e-6
_FAR = f"expected coordinates below {MAX:.0e}"
BOX_FORMAT = "format should be 'img_file,x1,y1,x2,y2,class_name' or 'img_file,,,,,'"


@dataclass(frozen=True)
class CSVBoxes:
    """What a CSV file of boxes holds.

    Attributes:
        names: the path of each image as it is written.
        table: the boxes of each image, in pixels.
        sizes: width and height of each image as the file declares them, float64 `(images, 2)`, 0
            where it does not; None if it has no columns for them.
    """

    names: list[str]
    table: BoxTable
    sizes: np.ndarray | None


class FoundClasses(dict[str, int]):
    """The label of each class name as it is written, where a file of boxes names the classes.

    Attributes:
        names: class name without blanks around it -> label.
    """

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        """Start with the classes that are known, whose labels stay; other names get the label -1.

        If `known` is None, other names get the next label.
        """
        super().__init__(known or {})
        self.names = dict(known or {})
        self._grows = known is None

    def __missing__(self, text: str) -> int:
        """Return the label of a name that is read for the first time."""
        name = text.strip()
        if not name:
            raise KeyError(text)
        if self._grows:
            label = self.names.setdefault(name, len(self.names))
        else:
            label = self.names.get(name, -1)
        self[text] = label
        return label

    def unknown(self) -> list[str]:
        """Return the names that have the label -1, sorted."""
        return sorted({text.strip() for text, label in self.items() if label < 0})


def read_boxes(path: StrPath, classes: Mapping[str, int]) -> CSVBoxes:
    """Return the boxes in a CSV file.

    Args:
        path: the file, UTF-8, with or without a byte-order mark. Its columns are
            `path,x1,y1,x2,y2,class_name`, or those that its first line names.
        classes: label of each class name, or `FoundClasses`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, for a malformed row, an empty or reversed box, an
            unknown class, a header that is not understood, or text that is not UTF-8.
    """
    return read_csv(path, "annotations", lambda file: _parse(file, path, classes))


def has_boxes(path: StrPath) -> bool:
    """Return whether a file looks like a CSV file of boxes; only its first line is read.

    Raises:
        OSError: if the file cannot be read.
    """
    try:
        with open_csv(path) as file:
            _, line = _first_line(file)
        return find_columns(line) != USUAL or fits_usual(split(line, USUAL.separator))
    except ValueError:
        return False


def _first_line(file: TextIO) -> tuple[int, str]:
    """Return the number and the text of the first line that is not blank, and go back."""
    numbered = enumerate(bounded_lines(file), 1)
    first = next(((number, line) for number, line in numbered if not _is_blank(line)), (1, ""))
    file.seek(0)
    return first


def _is_blank(line: str) -> bool:
    """Return whether a line has no text in any field."""
    if any(map(str.strip, split(line, ","))):
        return "," not in line and not line.strip(' \t\r\n;"')
    return True


def _parse(file: TextIO, path: StrPath, classes: Mapping[str, int]) -> CSVBoxes:
    number, line = _first_line(file)
    try:
        columns = find_columns(line, classes)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
    if columns.has_class_ids and not isinstance(classes, FoundClasses):
        classes = {str(label): label for label in classes.values()}
    rows = csv_rows(bounded_lines(file), columns.separator, columns != USUAL)
    if columns.has_header:
        next(rows)
    return _parse_rows(rows, columns, classes, path)


def _parse_rows(
    rows: Iterable[tuple[int, list[str]]],
    columns: Columns,
    classes: Mapping[str, int],
    path: StrPath,
) -> CSVBoxes:
    """Return what the rows below the header hold.

    There may be millions of rows: what exactly is wrong with one is only worked out if it is.
    """
    index_of: dict[str, int] = {}
    image_indices, boxes, sizes = array("q"), array("d"), array("d")
    fields, number = itemgetter(*columns.indices), _number_reader(columns)
    corners, size = _CORNERS[columns.form], columns.size
    ignored: list[int] = []
    for line, row in rows:
        try:
            name, left, top, right, bottom, class_name = fields(row)
            x1, y1, x2, y2 = number(left), number(top), number(right), number(bottom)
            if corners is not None:
                x1, y1, x2, y2 = corners(x1, y1, x2, y2)
            label = classes[class_name]
            good = bool(name) and -MAX < x1 < x2 < MAX and -MAX < y1 < y2 < MAX
        except (ValueError, LookupError):
            good = False
        if good:
            image_indices.append(index_of.setdefault(name, len(index_of)))
            boxes.extend((x1, y1, x2, y2, label))
        elif _is_without_object(row, columns):
            index_of.setdefault(row[columns.indices[0]], len(index_of))
            if row[columns.indices[5]]:
                ignored.append(line)
        else:
            raise ValueError(f"line {line}: {_what_is_wrong(row, columns, classes)}")
        if size is not None and 2 * len(index_of) > len(sizes):
            sizes.extend(_declared_size(row, size, line))
    if not index_of:
        below = " below the header" if columns.has_header else ""
        raise ValueError(f"expected at least one row{below}, got none")
    table = BoxTable(np.asarray(image_indices), np.asarray(boxes).reshape(-1, 5), len(index_of))
    declared = None if size is None else np.asarray(sizes).reshape(-1, 2)
    _warn_about_ignored(ignored, path)
    if declared is not None and _are_fractions(table.rows[:, :4]):
        _scale(table, declared, path)
    return CSVBoxes(list(index_of), table, declared)


def unknown_class(name: str, classes: Mapping[str, int]) -> str:
    """Return the message for a class name that is not there."""
    known = shorten(dict(classes), 80)
    return f"unknown class name: {shorten(repr(name), 60)} (classes: {known})"


def _number_reader(columns: Columns) -> Callable[[str], float]:
    """Return the function that reads a coordinate."""
    if columns.separator != ";":
        return float
    # Where commas are decimal, semicolons separate.
    return lambda text: float(text.replace(",", "."))


_CORNERS: Mapping[BoxForm, Callable[..., tuple[float, float, float, float]] | None] = {
    BoxForm.CORNERS: None,
    BoxForm.CORNER_AND_SIZE: lambda x, y, width, height: (x, y, x + width, y + height),
    BoxForm.CENTRE_AND_SIZE: lambda x, y, width, height: (
        *(x - width / 2, y - height / 2),
        *(x + width / 2, y + height / 2),
    ),
}


def _is_without_object(row: Sequence[str], columns: Columns) -> bool:
    """Return whether a row names an image without objects."""
    if columns == USUAL:
        return bool(row[0]) and row[1:6] == [""] * 5
    if len(row) <= max(columns.indices):
        return False
    path, *box, class_name = (row[index].strip() for index in columns.indices)
    # Some files name a class for it, such as "No finding".
    return bool(path) and not any(box) and (columns.has_header or not class_name)


def _warn_about_ignored(lines: Sequence[int], path: StrPath) -> None:
    if lines:
        warnings.warn(
            f"{path}: {len(lines)} rows have a class and no coordinates: read as images without "
            f"objects, the first: line {lines[0]}",
            stacklevel=6,
        )


def _declared_size(row: Sequence[str], columns: tuple[int, int], line: int) -> list[float]:
    """Return the width and height of the image that a row declares; 0 for an empty field."""
    texts = [row[index].strip() if index < len(row) else "" for index in columns]
    sides = [
        finite_number(text.replace(",", "."), f"line {line}: malformed {side} of the image")
        if text
        else 0.0
        for side, text in zip(("width", "height"), texts, strict=True)
    ]
    return sides if min(sides) > 0 else [0.0, 0.0]


def _are_fractions(boxes: np.ndarray) -> bool:
    """Return whether boxes `(n, 4)` are fractions of the image's sides: in pixels, all are tiny."""
    is_within = boxes.size > 0 and boxes.min() >= -_ROUNDING and boxes.max() <= 1 + _ROUNDING
    return bool(is_within and (boxes != boxes.round()).any())


def _scale(table: BoxTable, sizes: np.ndarray, path: StrPath) -> None:
    """Turn the fractions in a table into pixels."""
    sizes_of_rows = np.repeat(sizes, table.counts(), axis=0)
    if not sizes_of_rows.all():
        raise ValueError(
            "no coordinate is above 1, so they are fractions, but not every image has a width and "
            "a height to multiply them by"
        )
    table.rows[:, :4] = fractions.scale(table.rows[:, :4], sizes_of_rows)
    warnings.warn(
        f"{path}: no coordinate is above 1: they are read as fractions of width and height",
        stacklevel=6,
    )


def _what_is_wrong(row: Sequence[str], columns: Columns, classes: Mapping[str, int]) -> str:
    """Return what is wrong with a row, and its likely cause if there is one."""
    if columns != USUAL:
        return _problem(row, columns, classes)
    # Where the file names the classes, each name is right.
    known = dict.fromkeys(row[5:6], 0) if isinstance(classes, FoundClasses) else classes
    cause = cause_in_boxes(row, known)
    problem = _problem(row, columns, classes)
    return f"{shorten(problem, 110)}: {cause}" if cause else problem


def _problem(row: Sequence[str], columns: Columns, classes: Mapping[str, int]) -> str:
    if len(row) <= max(columns.indices):
        if columns == USUAL:
            return BOX_FORMAT
        separator = "tabs" if columns.separator == "\t" else repr(columns.separator)
        expected = f"{max(columns.indices) + 1} fields separated by {separator}"
        return f"expected at least {expected}, got {len(row)}"
    name, *texts, class_name = (row[index] for index in columns.indices)
    if not name:
        return "expected the path of an image, got none"
    if columns.separator == ";":
        texts = [text.replace(",", ".") for text in texts]
    names = columns.names[1:5]
    try:
        numbers = [
            finite_number(text, f"malformed {key}") for key, text in zip(names, texts, strict=True)
        ]
    except ValueError as error:
        return str(error)
    for low, high in ((0, 2), (1, 3)):
        if columns.form is not BoxForm.CORNERS:
            if numbers[high] <= 0:
                return f"{names[high]} must be above 0, got {numbers[high]:.12g}"
        elif numbers[high] <= numbers[low]:
            return (
                f"{names[high]} ({numbers[high]:.12g}) must be higher than {names[low]} "
                f"({numbers[low]:.12g})"
            )
    if isinstance(classes, FoundClasses):
        return "expected a class name, got none" if not class_name.strip() else _FAR
    if class_name in classes:
        return _FAR
    cause = "" if columns == USUAL else similar_class(class_name, classes)
    return f"{unknown_class(class_name, classes)}{cause and f': {cause}'}"
