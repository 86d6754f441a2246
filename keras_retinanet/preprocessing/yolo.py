"""Data sets in YOLO form: `data.yaml`, folders of images, and a text file of labels for each image.

The format is that of https://docs.ultralytics.com/datasets/detect/: `labels/` lies where `images/`
does, and a line is `class x y width height`, centre and size as fractions of the image's sides; or
`class x1 y1 x2 y2 x3 y3 ...`, the outline of an object, whose bounding box is taken; or a box and
its keypoints, which are not used.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from keras_retinanet.annotations import fractions
from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.image_sizes import read_sizes
from keras_retinanet.annotations.label_files import LabelFiles, find_label_files, label_path
from keras_retinanet.annotations.text import (
    finite_number,
    naming_file,
    parse_lines,
    read_text,
    whole_number,
)
from keras_retinanet.annotations.yaml_text import Yaml, read_yaml
from keras_retinanet.preprocessing.labelled import LabelledGenerator, check_labels
from keras_retinanet.system.image_kinds import is_image_name
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

__all__ = ["YoloGenerator", "find_images", "label_path", "read_description", "read_labels"]

_LINE = "'class x y width height' or 'class x1 y1 x2 y2 x3 y3 ...'"
_NOTHING = ("", "~", "null", "Null", "NULL")  # how YAML writes None


def read_description(path: StrPath) -> dict[str, Any]:
    """Return the contents of a `data.yaml`.

    Returns:
        `{"classes": name -> label, "root": folder, "sets": set name -> entry, "keypoints": count}`;
        an entry is a path or a list of paths, relative to the root; the count is that of the
        numbers after a box, None if there are no keypoints.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is not YAML or has a key twice, if there are no class
            names or not `nc` of them, if a name or label is malformed, given twice or too high, or
            if a set is malformed.
    """
    content = read_yaml(path)
    with naming_file(path):
        values = content if isinstance(content, dict) else {}
        values = {key: value for key, value in values.items() if value not in _NOTHING}
        classes = _classes(values.get("names"))
        count = len(classes)
        if "nc" in values and _number(values["nc"], "nc") != count:
            raise ValueError(f"nc: {shorten(values['nc'], 40)} classes, but {count} names")
        root = values.get("path", "")
        if not isinstance(root, str):
            raise ValueError(f"path: expected a folder, got {root!r}")
        sets = {name: values[name] for name in ("train", "val", "test") if values.get(name)}
        for name, entry in sets.items():
            if not all(isinstance(part, str) for part in _as_list(entry)):
                raise ValueError(f"{name}: expected a path or a list of paths, got {entry!r}")
        keypoints = _keypoint_numbers(values["kpt_shape"]) if "kpt_shape" in values else None
    check_labels(classes, lambda name: f"{path}: names: {shorten(name, 60)!r}")
    return {
        "classes": classes,
        "root": os.path.join(os.path.dirname(path), root),
        "sets": sets,
        "keypoints": keypoints,
    }


def _classes(names: Yaml | None) -> dict[str, int]:
    """Return the label of each class name."""
    if not names or not isinstance(names, (list, dict)):
        raise ValueError(f"expected the key 'names' with the classes, got {names!r}")
    keys, values = (
        (names, names.values()) if isinstance(names, dict) else (range(len(names)), names)
    )
    try:
        labels = [int(key) for key in keys]
    except ValueError:
        labels = [-1]
    if min(labels) < 0 or len(set(labels)) < len(labels):
        raise ValueError(f"names: expected the labels 0, 1, ..., got {list(keys)}")
    for name in values:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"names: expected a name for each label, got {name!r}")
    classes = dict(zip(values, labels, strict=True))
    if len(classes) < len(labels):
        raise ValueError(f"names: duplicate class name among {list(values)}")
    return classes


def _keypoint_numbers(shape: Yaml) -> int:
    """Return how many numbers the keypoints of an object take."""
    if not isinstance(shape, list) or len(shape) != 2:
        raise ValueError(f"kpt_shape: expected [keypoints, 2 or 3], got {shape!r}")
    points, each = (_number(value, "kpt_shape") for value in shape)
    if points < 1 or each not in (2, 3):
        raise ValueError(f"kpt_shape: expected [keypoints, 2 or 3], got {shape!r}")
    return points * each


def _number(value: Yaml, what: str) -> int:
    """Return the whole number in a text, which may have a fraction of 0."""
    text = value if isinstance(value, str) else repr(value)
    with contextlib.suppress(ValueError):
        if float(text).is_integer():  # `np.savetxt` writes 1.0e+00
            return int(float(text))
    return whole_number(text, what)


def _as_list(entry: str | list[str]) -> list[str]:
    return entry if isinstance(entry, list) else [entry]


def find_images(root: str, entries: str | list[str]) -> list[str]:
    """Return the image files that an entry such as `train: images/train` names, sorted.

    Hidden files and folders are left out; links to folders are followed.

    Args:
        root: folder that relative paths are relative to.
        entries: a folder, a text file with a path in each line, or a list of these. Paths in a text
            file that begin with `./` are relative to its folder; others too, if they do not exist
            in the root.

    Raises:
        OSError: if a folder or file does not exist or cannot be read.
        ValueError: if there is no image.
    """
    images: list[str] = []
    for entry in _as_list(entries):
        place = os.path.join(root, entry)
        if entry.startswith("../") and not os.path.exists(place):
            # Some tools write `../train/images` into a data.yaml that lies beside `train`.
            place = os.path.join(root, entry.removeprefix("../"))
        images += _listed(place, root) if place.endswith(".txt") else _in_folder(place)
    if not images:
        named = shorten(", ".join(_as_list(entries)), 100)
        raise ValueError(f"{named} in {root}: expected images, found none")
    return images


def _listed(place: str, root: str) -> list[str]:
    folder = os.path.dirname(place)
    lines = io.StringIO(read_text(place), newline=None)
    return [_listed_image(line.strip(), folder, root) for line in lines if line.strip()]


def _listed_image(name: str, folder: str, root: str) -> str:
    """Return the path of an image in a list that lies in a folder."""
    inside, below_root = (os.path.normpath(os.path.join(start, name)) for start in (folder, root))
    if name.startswith("./") or (os.path.isfile(inside) and not os.path.isfile(below_root)):
        return inside
    return below_root


def _in_folder(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        cause = " ('/' separates folders, not '\\')" if "\\" in folder and os.sep == "/" else ""
        raise FileNotFoundError(f"folder of images not found: {folder}{cause}")
    return sorted(
        os.path.join(place, name)
        for place, names in _walk(folder)
        for name in names
        if is_image_name(name) and not name.startswith(".")
    )


def _walk(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder below one, itself included, and the names of its files."""

    def fail(error: OSError) -> None:
        raise error

    seen = set()
    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link to a folder above would have no end
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield place, names


def read_labels(
    path: str, size: tuple[int, int], labels: Collection[int], keypoints: int | None = None
) -> list[tuple]:
    """Return the boxes in a label file; none if there is no such file.

    Args:
        path: the text file.
        size: width and height of the image in pixels.
        labels: the labels that exist.
        keypoints: how many numbers follow a box; None if that is not known.

    Returns:
        List of `(x1, y1, x2, y2, label)` in pixels; boxes may leave the image.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, for a malformed line, an unknown class, or numbers that
            are all no fractions of the image's sides.
    """
    if not os.path.exists(path):
        return []
    rows = _read_fractions(path, labels, keypoints)
    boxes = np.array(rows, "float64").reshape(-1, 5)[:, :4]
    if len(boxes) and fractions.are_far_outside(boxes).all():
        rows = _read_fractions(path, labels, keypoints, strict=True)
    pixels = fractions.scale(boxes, np.array(size)).tolist()
    return [(*box, row[4]) for box, row in zip(pixels, rows, strict=True)]


def _read_fractions(
    path: str, labels: Collection[int], keypoints: int | None, strict: bool = False
) -> list[tuple]:
    """Return `(x1, y1, x2, y2, label)` of each line of a label file, in fractions.

    If `strict`, a box far outside 0..1 is an error.
    """

    def parse(fields: list[str], place: str) -> tuple:
        row = _parse(fields, place, labels, keypoints)
        if strict and fractions.are_far_outside(np.array([row[:4]])).any():
            raise ValueError(
                f"{place}: expected fractions of the image's sides, 0 to 1, got "
                f"{shorten(fields[1:9], 80)}: are they pixels?"
            )
        return row

    return parse_lines(path, "YOLO label file", parse)


def _parse(
    fields: list[str], place: str, labels: Collection[int], keypoints: int | None
) -> tuple[float, float, float, float, int]:
    count = len(fields)
    if count < 5 or count == 6 or (keypoints is not None and count not in (5, 5 + keypoints)):
        raise _wrong_count(fields, place, keypoints)
    label = _number(fields[0], f"{place}: malformed class")
    if label not in labels:
        known = shorten(sorted(labels), 60)
        hint = ": they count from 0" if label == max(labels, default=-1) + 1 else ""
        raise ValueError(f"{place}: unknown class {shorten(label, 40)} (classes: {known}){hint}")
    numbers = [finite_number(text, f"{place}: malformed number") for text in fields[1:]]
    if count == 5 or keypoints is not None or _has_keypoints(numbers):
        x, y, width, height = numbers[:4]
        x1, y1, x2, y2 = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    elif count % 2 == 1:
        xs, ys = numbers[::2], numbers[1::2]
        x1, y1, x2, y2 = min(xs), min(ys), max(xs), max(ys)
    else:
        raise _wrong_count(fields, place, keypoints)
    if x2 <= x1 or y2 <= y1:
        got = shorten(fields[1:9], 80)
        raise ValueError(f"{place}: expected a width and a height above 0, got {got}")
    return x1, y1, x2, y2, label


def _has_keypoints(numbers: Sequence[float]) -> bool:
    """Return whether the numbers are a box and keypoints `x y visibility`, and no outline.

    It is asked only where `kpt_shape` does not tell. A visibility is 0, 1 or 2. An outline has an
    even number of coordinates, none of them 2. Keypoints `x y` look as an outline does.
    """
    marks = numbers[6::3]
    return (
        len(numbers) % 3 == 1
        and all(mark in (0, 1, 2) for mark in marks)
        and (len(numbers) % 2 == 1 or 2 in marks)
    )


def _wrong_count(fields: list[str], place: str, keypoints: int | None) -> ValueError:
    """Return the error for a line that has too few or too many fields."""
    hint = ""
    if any("," in field for field in fields):
        hint = ": separate them by spaces, not commas"
    elif keypoints is not None:
        hint = f": by kpt_shape, {keypoints} numbers follow a box"
    elif len(fields) == 6:
        hint = ": if the last is a score, leave it out"
    return ValueError(f"{place}: expected {_LINE}, got {len(fields)} fields{hint}")


class YoloGenerator(LabelledGenerator):
    """A data set in YOLO form."""

    def __init__(self, data_file: StrPath, set_name: str = "train", **kwargs: Any) -> None:
        """Find the images and read their labels.

        Args:
            data_file: the `data.yaml`, or its folder.
            set_name: "train", "val" or "test".
            **kwargs: for `Generator`.

        Raises:
            OSError: if a file or folder does not exist.
            ValueError: naming file and line, if one is malformed; if the set is not there; or if
                most boxes are no fractions.
        """
        if os.path.isdir(data_file):
            data_file = os.path.join(data_file, "data.yaml")
        description = read_description(data_file)
        if set_name not in description["sets"]:
            raise ValueError(
                f"{data_file}: expected the key {set_name!r}, got {sorted(description['sets'])}"
            )
        root, entries = description["root"], _as_list(description["sets"][set_name])
        paths = find_images(root, entries)
        listed = len(entries) == 1 and entries[0].endswith(".txt")
        source = os.path.join(root, entries[0]) if listed else data_file
        self._files = find_label_files(paths)
        lists_images = any(entry.endswith(".txt") for entry in entries)
        _warn_about_label_files(self._files, f"{data_file}: {set_name}", lists_images)
        labels = set(description["classes"].values())
        table = _read_set(self._files.paths, labels, description["keypoints"])
        sizes = read_sizes(paths, source)
        sizes_of_rows = np.repeat(sizes, table.counts(), axis=0)
        table.rows[:, :4] = fractions.scale(table.rows[:, :4], sizes_of_rows)
        # The boxes of an image that cannot be read are unknown.
        annotations = table.select(np.asarray(sizes_of_rows.all(axis=1)))
        super().__init__(
            description["classes"], paths, annotations, source=source, sizes=sizes, **kwargs
        )

    def why_no_boxes(self) -> str:
        """Return the likely cause, for messages, if the data set has no box at all."""
        count = sum(path is not None for path in self._files.paths)
        if count:
            return f"all {count} label files are empty"
        return (
            f"no label file for any of {len(self._files.paths)} images, expected "
            f"{self._files.expected}; {self._files.found_instead}"
        )


def _warn_about_label_files(files: LabelFiles, place: str, lists_images: bool) -> None:
    """Warn about unusual folders of labels, images without labels, and labels without images."""
    if files.unusual:
        warnings.warn(
            f"{place}: the labels are in an unusual folder, which is used: {files.unusual[0]}",
            stacklevel=3,
        )
    if files.unlabelled and any(files.paths):
        warnings.warn(
            f"{place}: {len(files.unlabelled)} folders of images have no label file, which means "
            f"no objects, the first: {files.unlabelled[0]}",
            stacklevel=3,
        )
    # A list may name a part of the images only.
    if files.without_image and not lists_images:
        warnings.warn(
            f"left out {len(files.without_image)} label files without an image, the first: "
            f"{files.without_image[0]}",
            stacklevel=3,
        )


def _read_set(
    paths: Sequence[str | None], labels: Collection[int], keypoints: int | None
) -> BoxTable:
    """Return the rows of all label files, in fractions.

    Raises:
        ValueError: naming file and line, if one is malformed, or if most boxes are no fractions.
    """
    table = BoxTable.of(
        [_read_fractions(path, labels, keypoints) if path else [] for path in paths]
    )
    far = fractions.are_far_outside(table.rows[:, :4])
    if 2 * far.sum() > len(far):
        image = int(np.searchsorted(table.starts, np.flatnonzero(far)[0], side="right")) - 1
        _read_fractions(paths[image] or "", labels, keypoints, strict=True)
    return table
