"""The likely cause of a malformed row of a CSV data set, in words."""

from collections.abc import Iterable, Mapping, Sequence

from keras_retinanet.annotations.csv_columns import is_header
from keras_retinanet.system.messages import shorten

HEADER = "this looks like a header: remove the line"
_SEPARATORS = {";": "';'", "\t": "a tab", "|": "'|'"}
_AUTOML_SETS = ("TRAIN", "VALIDATION", "TEST", "UNASSIGNED")


def cause_in_boxes(row: Sequence[str], classes: Mapping[str, int]) -> str:
    """Return the likely cause why a row of boxes is wrong; empty if there is no good guess.

    Args:
        row: the fields of the row, which is known to be wrong.
        classes: label of each class name.
    """
    cause = _wrong_separator(row, 6)
    if cause:
        return cause
    if len(row) > 1 and row[0] in _AUTOML_SETS and row[1].startswith("gs://"):
        return "this is the CSV of Google AutoML, which is not read: write a header and columns"
    if len(row) == 2 and _is_number(row[1]):
        return "this looks like the file of classes"
    if len(row) < 6:
        return ""
    if row[5] not in classes:
        for column, field in enumerate(row, 1):
            if column != 6 and field.strip() in classes and not _is_number(field):
                return f"the class is in column {column}, not 6"
        return similar_class(row[5], classes)
    if all(map(_is_number, row[1:5])):
        x1, y1, x2, y2 = map(float, row[1:5])
        if 0 < x2 <= x1 and 0 < y2 <= y1:
            return "are they x, y, width, height? x1, y1, x2, y2 are expected"
    return ""


def cause_in_classes(row: Sequence[str], first: bool) -> str:
    """Return the likely cause why a row of classes is wrong; empty if there is no good guess.

    Args:
        row: the fields of the row, which is known to be wrong.
        first: whether it is the first row of the file.
    """
    cause = _wrong_separator(row, 2)
    if cause:
        return cause
    if first and is_header(row):
        return HEADER
    if len(row) >= 6:
        return "this looks like the file of boxes"
    if len(row) == 2 and _is_number(row[0]) and not _is_number(row[1]):
        return "the name comes first, then the id"
    return ""


def _wrong_separator(row: Sequence[str], columns: int) -> str:
    """Return what separates the fields of a row with too few of them, if it is not a comma."""
    if len(row) == 1 and row[0].count(",") >= columns - 1:
        return "the line is in quotes: remove them"
    if len(row) < columns:
        for separator, name in _SEPARATORS.items():
            if sum(field.count(separator) for field in row) >= columns - 1:
                return f"the fields are separated by {name}, not ','"
        words = row[0].split()
        if len(words) >= columns and _is_number(words[-1 if columns == 2 else -2]):
            return "the fields are separated by blanks, not ','"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def similar_class(name: str, classes: Iterable[str]) -> str:
    """Return, for messages, the class that a name means but for blanks and case, in words."""
    wanted = name.strip()
    for known in classes:
        if known.strip() == wanted:
            return f"there is a class {shorten(repr(known), 60)}: blanks count"
    lower = wanted.casefold()
    for known in classes:
        if known.strip().casefold() == lower:
            return f"there is a class {shorten(repr(known), 60)}: capitals count"
    return ""
