"""Read annotation files that are text: lines, CSV rows and numbers, with errors that say where."""

import codecs
import contextlib
import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from keras_retinanet.system.files import read_file
from keras_retinanet.system.limits import MAX_TEXT_BYTES
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


def read_text(path: StrPath) -> str:
    """Return the text in a UTF-8 file, without a byte-order mark; line ends stay as they are.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is no regular file or holds more than `MAX_TEXT_BYTES`;
            naming file and line, if it is not UTF-8.
    """
    content = read_file(path, MAX_TEXT_BYTES).removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}: line {line}: expected UTF-8 text, got the byte 0x{content[error.start]:02x}"
        ) from None


def csv_rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line of CSV, from 1, and its fields; blank lines are left out.

    Args:
        lines: the lines with their ends, such as a file that was opened with `newline=""`.

    Raises:
        ValueError: naming the line, if a quote is not closed on it.
    """
    reader, line = csv.reader(lines), 0
    try:
        for line, row in enumerate(reader, 1):
            if reader.line_num > line:
                raise ValueError(f"line {line}: a quote is not closed")
            if any(map(str.strip, row)):
                yield line, row
    except csv.Error as error:
        raise ValueError(f"line {line + 1}: {error}") from None


def parse_lines(
    path: StrPath, kind: str, parse: Callable[[list[str], str], _Parsed]
) -> list[_Parsed]:
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


def finite_number(text: str, what: str) -> float:
    """Return the finite number that a text stands for.

    Raises:
        ValueError: whose message begins with `what`.
    """
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    if not math.isfinite(value):
        raise ValueError(f"{what}: expected a finite number, got {text!r}")
    return value


def whole_number(text: str, what: str) -> int:
    """Return the whole number that a text stands for.

    Raises:
        ValueError: whose message begins with `what`.
    """
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
