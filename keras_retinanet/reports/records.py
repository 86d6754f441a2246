"""Files of detections, written image by image: JSON, JSON lines, a training CSV, COCO results.

Each is complete after every image, so a stopped run leaves what it found, and memory does not grow.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras_retinanet.reports.detections import ImageDetections
from keras_retinanet.system.types import StrPath
from keras_retinanet.zoo.class_names import COCO, COCO_91


@dataclass(frozen=True)
class Layout:
    """What stands around the entries of a file.

    Attributes:
        start: before the first one.
        before: between the start and the first one.
        between: between one and the next.
        end: after the last one.
        end_of_empty: after the start of a file without entries.
    """

    start: bytes
    before: bytes
    between: bytes
    end: bytes
    end_of_empty: bytes


LINES = Layout(b"", b"", b"\n", b"\n", b"")
JSON_LIST = Layout(b"[", b"\n ", b",\n ", b"\n]\n", b"]\n")


class RecordFile:
    """A file that grows by the entries of each image.

    Args:
        path: the file.
        entries: what one image adds: texts.
        layout: what stands around the entries.
        end: where the entries end that are kept, see `recorded.Recorded`; 0 for a new file.

    Raises:
        OSError: if it cannot be written.
    """

    def __init__(
        self,
        path: StrPath,
        entries: Callable[[ImageDetections], list[str]],
        layout: Layout,
        end: int = 0,
    ) -> None:
        self._path, self._entries, self._layout = path, entries, layout
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        self._file = open(path, "r+b" if end else "wb", buffering=0)  # noqa: SIM115
        self._is_empty = not end
        self._end = end or len(layout.start)  # of the last entry
        self._write(end, (b"" if end else layout.start) + self._tail())
        self._file.truncate(self._end + len(self._tail()))

    def add(self, found: ImageDetections) -> None:
        """Add what was found on an image.

        Raises:
            OSError: naming the file, if it cannot be written; it stays complete.
        """
        entries = [entry.encode("utf-8", "surrogateescape") for entry in self._entries(found)]
        if not entries:
            return
        layout = self._layout
        data = (layout.before if self._is_empty else layout.between) + layout.between.join(entries)
        # In one call, so that the file has all of an image or nothing of it, and a list has its
        # end, whenever the process is killed.
        self._write(self._end, data + layout.end)
        self._end += len(data)
        self._is_empty = False

    def _tail(self) -> bytes:
        """Return what stands behind the last entry."""
        return self._layout.end_of_empty if self._is_empty else self._layout.end

    def _write(self, place: int, data: bytes) -> None:
        try:
            self._file.seek(place)
            written = self._file.write(data)
            if written != len(data):  # the disk is full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):  # nothing can be done about it
                self._file.truncate(self._end)
                self._file.seek(self._end)
                self._file.write(self._tail())
            raise OSError(error.errno, error.strerror, str(self._path)) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def json_file(path: StrPath, end: int = 0) -> RecordFile:
    """Return a JSON file: a list, or a line for each image if the name ends in .jsonl.

    An image is {"file", "width", "height", "detections": [{"box", "score", "label", "name"}]}, a
    frame of a video also has its "frame" and "time" in seconds.

    Args:
        path: the file.
        end: see `RecordFile`.
    """
    if is_lines(path):
        return RecordFile(path, lambda found: [json.dumps(_plain(found))], LINES, end)
    return RecordFile(
        path,
        lambda found: [json.dumps(_plain(found), indent=1).replace("\n", "\n ")],
        JSON_LIST,
        end,
    )


def csv_file(path: StrPath, end: int = 0) -> RecordFile:
    """Return a CSV file to train on: path,x1,y1,x2,y2,class; an image without objects has a row.

    Paths are relative to its folder, as `retinanet-train` reads them. Boxes without area, which it
    refuses, are left out.

    Args:
        path: the file.
        end: see `RecordFile`.
    """
    folder = os.path.dirname(os.path.abspath(path))
    return RecordFile(path, lambda found: _csv_rows(found, folder), LINES, end)


def coco_file(path: StrPath, names: Sequence[str | None] | None) -> RecordFile:
    """Return a COCO results file: a list of {"image_id", "category_id", "bbox", "score"}.

    An image's id is the number that its file is called by, else its name without ending. A
    category's id is COCO's, if the model has COCO's classes, else the label.

    Args:
        path: the file.
        names: the class names of the model.
    """
    numbers = _category_ids(names)

    def entries(found: ImageDetections) -> list[str]:
        results = []
        for item in found.detections:
            x1, y1, x2, y2 = item["box"]
            result = {
                "image_id": coco_id(found.path),
                "category_id": numbers.get(item["label"], item["label"]),
                "bbox": [x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)],
                "score": item["score"],
            }
            results.append(json.dumps(result))
        return results

    return RecordFile(path, entries, JSON_LIST)


def coco_id(path: str) -> int | str:
    """Return the id of an image in a COCO results file."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return int(stem) if stem.isdecimal() else stem


def is_lines(path: StrPath) -> bool:
    """Return whether a JSON file is one of lines, by its name."""
    return os.fspath(path).lower().endswith(".jsonl")


def _plain(found: ImageDetections) -> dict[str, Any]:
    entry: dict[str, Any] = {"file": found.path}
    if found.frame is not None:
        entry |= {"frame": found.frame, "time": found.seconds}
    return {
        **entry,
        "width": found.width,
        "height": found.height,
        "detections": found.detections,
    }


def _csv_rows(found: ImageDetections, folder: str) -> list[str]:
    path = found.path if os.path.isabs(found.path) else os.path.relpath(found.path, folder)
    rows = []
    for item in found.detections:
        x1, y1, x2, y2 = item["box"]
        if x1 < x2 and y1 < y2:
            rows.append([path, x1, y1, x2, y2, item["name"] or f"label {item['label']}"])
    lines = []
    for row in rows or [[path, "", "", "", "", ""]]:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(row)
        lines.append(text.getvalue())
    return lines


def _category_ids(names: Sequence[str | None] | None) -> dict[int, int]:
    """Return label -> COCO's id for a model of COCO's classes; nothing for others."""
    if names is None or tuple(names) not in (COCO, COCO_91):
        return {}
    return {label: COCO_91.index(name) for label, name in enumerate(names) if name is not None}
