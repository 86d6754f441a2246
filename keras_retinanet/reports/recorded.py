"""What files of detections hold, so that a run can go on where another was stopped.

One entry is in memory at a time.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from keras_retinanet.reports.records import is_lines
from keras_retinanet.system.files import only_regular
from keras_retinanet.system.limits import MAX_RECORD_BYTES
from keras_retinanet.system.types import StrPath

# Absolute path of an image, and number of a frame of a video or None.
Key = tuple[str, int | None]

# A list as `records.json_file` writes it; the lines inside an entry start with more than one blank.
_START, _ENTRY_END, _BETWEEN = b"[\n", b"\n }", b"\n },\n"
_PART = 1 << 16  # bytes to read at once


@dataclass(frozen=True)
class Recorded:
    """What a file of detections holds.

    Attributes:
        keys: its images and frames.
        end: the place in bytes where its last whole entry ends, 0 if it has none. What follows is
            the end of the file, or an entry that was cut off.
    """

    keys: set[Key] = field(default_factory=set)
    end: int = 0


def recorded_json(path: StrPath) -> Recorded:
    """Return what a file of `records.json_file` holds; nothing if it does not exist.

    Raises:
        OSError: if it cannot be read.
        ValueError: naming the file, if it is no such file.
    """
    entries = _json_lines if is_lines(path) else _json_list
    return _recorded(path, entries, lambda entry: (absolute(entry["file"]), entry.get("frame")))


def recorded_csv(path: StrPath) -> Recorded:
    """Return what a file of `records.csv_file` holds; nothing if it does not exist.

    Raises:
        OSError: if it cannot be read.
        ValueError: naming the file, if it is no such file.
    """
    folder = os.path.dirname(os.path.abspath(path))
    return _recorded(
        path, _csv_rows, lambda row: (os.path.normpath(os.path.join(folder, row[0])), None)
    )


def absolute(path: str) -> str:
    """Return the absolute path of a file; an address or the number of a camera as it is."""
    return path if "://" in path or path.isdecimal() else os.path.abspath(path)


def _recorded(
    path: StrPath,
    entries: Callable[[BinaryIO], Iterator[tuple[Any, int]]],
    key: Callable[[Any], Key],
) -> Recorded:
    """Return what a file holds.

    Args:
        path: the file.
        entries: yields the entries of the file, and where each ends.
        key: returns the image or frame of an entry.

    Raises:
        OSError: if it cannot be read.
        ValueError: naming the file, if it is none of detections.
    """
    if not os.path.exists(path):
        return Recorded()
    keys: set[Key] = set()
    end = 0
    with open(path, "rb", opener=only_regular) as file:
        try:
            for entry, place in entries(file):
                keys.add(key(entry))
                end = place
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, csv.Error):
            raise ValueError(
                f"{path}: expected a file of detections to append to, as retinanet-detect writes "
                "it, got another file, or a part of one: move it away"
            ) from None
    return Recorded(keys, end)


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield each line and the place where it begins."""
    place = 0
    while line := file.readline(MAX_RECORD_BYTES):
        yield line, place
        place += len(line)


def _json_lines(file: BinaryIO) -> Iterator[tuple[Any, int]]:
    """Yield each entry of JSON lines, and where it ends; the last line may be cut off."""
    end = 0
    for line, place in _lines(file):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            # A file without any entry is another one.
            if end and not line.endswith(b"\n"):
                return
            raise
        end = place + len(line.rstrip())
        yield entry, end


def _json_list(file: BinaryIO) -> Iterator[tuple[Any, int]]:
    """Yield each entry of a list as `records.json_file` writes it, and where it ends.

    Raises:
        ValueError: if it is no such list, or not all of one.
    """
    start = file.read(len(_START))
    if start != _START:
        if start not in (b"", b"[]") or file.read(_PART).strip():
            raise ValueError("expected a list of objects")
        return
    place, rest, is_open = len(start), b"", True
    while is_open:
        # A long entry is split again after each part: doubling keeps the time linear.
        part = file.read(max(_PART, len(rest)))
        is_open = bool(part) and len(rest) < MAX_RECORD_BYTES
        *texts, rest = (rest + part).split(_BETWEEN)
        for text in texts:
            yield json.loads(text + b"}"), place + len(text) + len(_ENTRY_END)
            place += len(text) + len(_BETWEEN)
    text, _, after = rest.partition(_ENTRY_END)
    if after.rstrip() != b"\n]":
        raise ValueError("expected the end of the list")
    yield json.loads(text + b"}"), place + len(text) + len(_ENTRY_END)


def _csv_rows(file: BinaryIO) -> Iterator[tuple[list[str], int]]:
    """Yield each row of `records.csv_file`, and where it ends; the last line may be cut off.

    Raises:
        ValueError: for a row of another form.
        csv.Error: if it is no CSV file.
    """
    line, end = b"", 0

    def texts() -> Iterator[str]:
        nonlocal line, end
        for line, place in _lines(file):
            end = place + len(line.rstrip(b"\r\n"))
            yield line.decode("utf-8", "surrogateescape")

    reader = csv.reader(texts(), strict=True)
    while True:
        before = reader.line_num
        try:
            row = next(reader, None)
            if row is None:
                return
            if row and (len(row) != 6 or (any(row[1:5]) and not row[5])):
                raise ValueError("expected path,x1,y1,x2,y2,class or path,,,,,")
        except (ValueError, csv.Error):
            # A file without any row is another one.
            if before and reader.line_num == before + 1 and not line.endswith(b"\n"):
                return
            raise
        if row:
            yield row, end
