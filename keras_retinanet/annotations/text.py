"""Read annotation files that are text: lines, CSV rows and numbers, with errors that say where."""

import codecs
import contextlib
import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

from keras_retinanet.system.files import only_regular, read_file
from keras_retinanet.system.limits import (
    MAX_COORDINATE,
    MAX_LABEL_BYTES,
    MAX_LINE,
    MAX_TEXT_BYTES,
)
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

_Parsed = TypeVar("_Parsed")


@contextlib.contextmanager
def naming_file(path: StrPath, kind: str = "") -> Iterator[None]:
    """Name a file in each ValueError that is raised inside, and keep its text short.

    Nesting that is too deep for the parser is such an error too.

    Args:
        path: the file.
        kind: what the file is, such as "invalid CSV class file".

    Raises:
        ValueError: "KIND: PATH: what was wrong", at most 240 characters and the path.
    """
    start = f"{kind}: {path}" if kind else f"{path}"
    try:
        yield
    except RecursionError:
        raise ValueError(f"{start}: expected fewer levels of nesting") from None
    except ValueError as error:
        raise ValueError(f"{start}: {shorten(error, 200)}") from None


def read_text(path: StrPath, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text in a UTF-8 file, without a byte-order mark; line ends stay as they are.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is no regular file or holds more than `max_bytes`;
            naming file and line, if it is not UTF-8.
    """
    content = read_file(path, max_bytes).removeprefix(codecs.BOM_UTF8)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{path}: line 1: expected UTF-8 text, got UTF-16: save it as UTF-8")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}: line {line}: expected UTF-8 text, got the byte 0x{content[error.start]:02x}"
        ) from None


def bounded_lines(file: TextIO) -> Iterator[str]:
    """Yield the lines of a file, as iterating over it does.

    Raises:
        ValueError: naming the line, for one of `MAX_LINE` characters or more: a file without line
            ends would take all memory.
    """
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if len(line) >= MAX_LINE:
            raise ValueError(f"line {number}: expected fewer than {MAX_LINE} characters")
        yield line


def open_csv(path: StrPath) -> TextIO:
    """Open a text file for `csv.reader`: UTF-8, with or without a byte-order mark."""
    return open(path, encoding="utf-8-sig", newline="", opener=only_regular)


def read_csv(path: StrPath, kind: str, parse: Callable[[TextIO], _Parsed]) -> _Parsed:
    """Return what `parse` makes of a CSV file; its errors name the file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, if it is not UTF-8 or `parse` raises one.
    """
    with open_csv(path) as file, naming_file(path, f"invalid CSV {kind} file"):
        try:
            return parse(file)
        except UnicodeDecodeError:
            pass
    read_text(path)  # raises an error that names the line
    raise ValueError(f"{path}: expected UTF-8 text")  # another program has changed the file


def csv_rows(
    lines: Iterable[str], separator: str = ",", skip_blanks: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line of CSV, from 1, and its fields; blank lines are left out.

    Args:
        lines: the lines with their ends, such as a file that was opened with `newline=""`.
        separator: what separates the fields.
        skip_blanks: whether blanks after a separator do not belong to the field.

    Raises:
        ValueError: naming the line, if a quote is not closed on it, or a field is too long.
    """
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=skip_blanks)
    line = 0
    try:
        for line, row in enumerate(reader, 1):
            if reader.line_num > line:
                raise ValueError(f"line {line}: a quote is not closed")
            if any(map(str.strip, row)):
                yield line, row
    except csv.Error as error:
        hint = " (is a quote not closed?)" if reader.line_num > line + 1 else ""
        raise ValueError(f"line {line + 1}: {error}{hint}") from None


def parse_lines(
    path: StrPath, kind: str, parse: Callable[[list[str], str], _Parsed]
) -> list[_Parsed]:
    """Return `parse(fields, place)` of each line of a file of labels that is not blank.

    Args:
        path: the file, UTF-8, fields separated by white space.
        kind: what the file is, for the message.
        parse: function of the fields and of "line N".

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, if it is not UTF-8 or `parse` raises one.
    """
    lines = io.StringIO(read_text(path, MAX_LABEL_BYTES), newline=None)
    with naming_file(path, f"invalid {kind}"):
        return [
            parse(fields, f"line {number}")
            for number, line in enumerate(lines, 1)
            if (fields := line.split())
        ]


def finite_number(text: str, what: str) -> float:
    """Return the finite number that a text stands for, such as a coordinate.

    Raises:
        ValueError: whose message begins with `what`.
    """
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"{what}: {shorten(error, 120)}") from None
    if not math.isfinite(value):
        raise ValueError(f"{what}: expected a finite number, got {shorten(repr(text), 80)}")
    if abs(value) > MAX_COORDINATE:
        raise ValueError(
            f"{what}: expected at most {MAX_COORDINATE:.0e}, got {shorten(repr(text), 80)}"
        )
    return value


def whole_number(text: str, what: str) -> int:
    """Return the whole number that a text stands for.

    Raises:
        ValueError: whose message begins with `what`.
    """
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"{what}: {shorten(error, 120)}") from None
