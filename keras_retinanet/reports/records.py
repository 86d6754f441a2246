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
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keras_retinanet.reports.detections import ImageDetections
from keras_retinanet.system.files import read_file
from keras_retinanet.system.limits import MAX_TEXT_BYTES
from keras_retinanet.system.types import StrPath
from keras_retinanet.zoo.class_names import COCO, COCO_91

# Absolute path of an image, and number of a frame of a video or None.
Key = tuple[str, int | None]


class RecordFile:
    """A file that grows by the entries of each image.

    Args:
        path: the file.
        entries: what one image adds: texts.
        is_list: whether the entries are those of a JSON list; otherwise they are lines.
        append: whether what the file holds is kept.

    Raises:
        OSError: if it cannot be written.
        ValueError: naming the file, if it holds something else than such entries.
    """

    def __init__(
        self,
        path: StrPath,
        entries: Callable[[ImageDetections], list[str]],
        *,
        is_list: bool,
        append: bool = False,
    ) -> None:
        self._path, self._entries, self._is_list = path, entries, is_list
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        kept = _whole_part(path, is_list) if append and os.path.exists(path) else b""
        self._file = open(path, "r+b" if kept else "wb", buffering=0)  # noqa: SIM115
        self._is_empty = not kept
        # Where the next entry begins.
        self._end = len(kept) if kept or not is_list else len(_LIST_START)
        if is_list and not kept:
            self._write(0, _LIST_START + _END_OF_EMPTY)
        elif is_list:
            self._write(self._end, _END)
        self._file.truncate(self._end + len(self._tail()))

    def add(self, found: ImageDetections) -> None:
        """Add what was found on an image.

        Raises:
            OSError: naming the file, if it cannot be written; it stays complete.
        """
        entries = [entry.encode("utf-8", "surrogateescape") for entry in self._entries(found)]
        if not entries:
            return
        # In one call, so that the file has all of an image or nothing of it, and a list has its
        # end, whenever the process is killed.
        if self._is_list:
            data = (b"\n " if self._is_empty else b",\n ") + b",\n ".join(entries)
            self._write(self._end, data + _END)
        else:
            data = b"".join(entry + b"\n" for entry in entries)
            self._write(self._end, data)
        self._end += len(data)
        self._is_empty = False

    def _tail(self) -> bytes:
        """Return what stands behind the last entry."""
        if not self._is_list:
            return b""
        return _END_OF_EMPTY if self._is_empty else _END

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


_LIST_START, _END_OF_EMPTY, _END = b"[", b"]\n", b"\n]\n"


def _whole_part(path: StrPath, is_list: bool) -> bytes:
    """Return what a file holds up to the end of its last entry.

    Raises:
        ValueError: naming the file, if it is none of ours.
    """
    data = read_file(path, MAX_TEXT_BYTES)
    if not is_list:
        return data[: data.rfind(b"\n") + 1]
    kept = data.rstrip()
    if kept in (b"", b"[]"):
        return b""
    if not (kept.startswith(b"[") and kept.endswith(b"]")):
        raise ValueError(
            f"{path}: expected a JSON list of detections to append to, got another file, or a part "
            "of one: move it away"
        )
    return kept[:-1].rstrip()


def json_file(path: StrPath, *, append: bool = False) -> RecordFile:
    """Return a JSON file: a list, or a line for each image if the name ends in .jsonl.

    An image is {"file", "width", "height", "detections": [{"box", "score", "label", "name"}]}, a
    frame of a video also has its "frame" and "time" in seconds.
    """
    if _is_lines(path):
        return RecordFile(
            path, lambda found: [json.dumps(_plain(found))], is_list=False, append=append
        )
    return RecordFile(
        path,
        lambda found: [json.dumps(_plain(found), indent=1).replace("\n", "\n ")],
        is_list=True,
        append=append,
    )


def csv_file(path: StrPath, *, append: bool = False) -> RecordFile:
    """Return a CSV file to train on: path,x1,y1,x2,y2,class; an image without objects has a row.

    Paths are relative to its folder, as `retinanet-train` reads them. Boxes without area, which it
    refuses, are left out.
    """
    folder = os.path.dirname(os.path.abspath(path))
    return RecordFile(path, lambda found: _csv_rows(found, folder), is_list=False, append=append)


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

    return RecordFile(path, entries, is_list=True)


def coco_id(path: str) -> int | str:
    """Return the id of an image in a COCO results file."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return int(stem) if stem.isdecimal() else stem


def recorded_json(path: StrPath) -> set[Key]:
    """Return the images and frames in a file of `json_file`; none if it does not exist.

    Raises:
        OSError: if it cannot be read.
        ValueError: naming the file, if it is no such file.
    """
    try:
        entries = _lines(_text(path)) if _is_lines(path) else json.loads(_text(path) or "[]")
        return {(absolute(entry["file"]), entry.get("frame")) for entry in entries}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _other_file(path) from None


def recorded_csv(path: StrPath) -> set[Key]:
    """Return the images in a file of `csv_file`; none if it does not exist.

    Raises:
        OSError: if it cannot be read.
        ValueError: naming the file, if it is no such file.
    """
    whole, _, _ = _text(path).rpartition("\n")  # the last line may be cut off
    folder = os.path.dirname(os.path.abspath(path))
    try:
        names = [row[0] for row in csv.reader(io.StringIO(whole)) if row]
    except csv.Error:
        raise _other_file(path) from None
    return {(os.path.normpath(os.path.join(folder, name)), None) for name in names}


def absolute(path: str) -> str:
    """Return the absolute path of a file; an address or the number of a camera as it is."""
    return path if "://" in path or path.isdecimal() else os.path.abspath(path)


def _text(path: StrPath) -> str:
    if not os.path.exists(path):
        return ""
    return read_file(path, MAX_TEXT_BYTES).decode("utf-8", "surrogateescape")


def _other_file(path: StrPath) -> ValueError:
    return ValueError(f"{path}: expected a file of detections to append to, got another file")


def _lines(text: str) -> Iterator[Any]:
    """Yield the entries of JSON lines; the last line may be cut off."""
    whole, _, _ = text.rpartition("\n")
    return (json.loads(line) for line in whole.splitlines() if line.strip())


def _is_lines(path: StrPath) -> bool:
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
