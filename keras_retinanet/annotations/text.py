"""Annotation files that are text: lines, CSV rows and numbers, with errors that say where."""

import codecs
import csv
import io
import math
from collections.abc import Iterator


def read_text(path) -> str:
    """Return the text in a file: UTF-8, with or without a byte-order mark, any ends of lines.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, if it is not UTF-8.
    """
    with open(path, "rb") as file:
        content = file.read().removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}: line {line}: expected UTF-8 text, got the byte 0x{content[error.start]:02x}"
        ) from None


def csv_rows(text) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of CSV text that are not blank, each with the line from 1 that it begins on.

    Raises:
        ValueError: naming the line, if a quote is not closed on it.
    """
    reader, line = csv.reader(io.StringIO(text, newline="")), 1
    try:
        for row in reader:
            if reader.line_num > line:
                raise csv.Error("a quote is not closed")
            if any(field.strip() for field in row):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {line}: {error}") from None


def parse_lines(path, kind, parse) -> list:
    """Return `parse(fields, place)` of each line of a text file that is not blank.

    Args:
        path: the file, UTF-8, fields separated by white space.
        kind: what the file is, for the message.
        parse: function of the fields and of "line N".

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, if it is not UTF-8 or `parse` raises one.
    """
    lines = enumerate(io.StringIO(read_text(path), newline=None), 1)
    fields = [(line.split(), f"line {number}") for number, line in lines]
    try:
        return [parse(found, place) for found, place in fields if found]
    except ValueError as error:
        raise ValueError(f"invalid {kind}: {path}: {error}") from None


def finite_number(text, what, kind=float):
    """Return a text as a finite number of a kind.

    Raises:
        ValueError: that begins with `what`.
    """
    try:
        value = kind(text)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{what}: expected a finite number, got {text!r}")
    return value
