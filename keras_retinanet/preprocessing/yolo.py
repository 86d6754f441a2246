"""Data sets in YOLO form: class names, folders of images, and a text file of labels for each image.

The format is that of https://docs.ultralytics.com/datasets/detect/: `labels/` lies where `images/`
does, and a line is `class x y width height`, centre and size as fractions of the image's sides; or
`class x1 y1 x2 y2 x3 y3 ...`, the outline of an object, whose bounding box is taken; or a box and
its keypoints, which are not used.
"""

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
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
    whole_number,
)
from keras_retinanet.annotations.yaml_text import Yaml, read_yaml
from keras_retinanet.annotations.yolo_images import find_images, locate
from keras_retinanet.annotations.yolo_layouts import SET_NAMES, find_layout, find_sets, find_yaml
from keras_retinanet.preprocessing.labelled import LabelledGenerator, check_labels
from keras_retinanet.system.limits import MAX_YAML_VALUES
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

__all__ = [
    "YoloGenerator",
    "describe",
    "find_images",
    "label_path",
    "read_description",
    "read_labels",
    "set_names",
]

_LINE = "'class x y width height' or 'class x1 y1 x2 y2 x3 y3 ...'"
# What objects may be in place of boxes, in words.
_KEYPOINTS, _CORNERS, _OUTLINE = "with keypoints", "oriented boxes (four corners)", "outlines"
_NOTHING = ("", "~", "null", "Null", "NULL")  # how YAML writes None


def describe(path: StrPath) -> dict[str, Any]:
    """Return what `read_description` does, for a data set with or without a `data.yaml`.

    Args:
        path: the YAML file, or the folder of the data set, or a `.data` file of Darknet.

    Returns:
        What `read_description` does, and `"source"`: the file that names the classes.

    Raises:
        OSError: if a file cannot be read, or a folder has no file of class names.
        ValueError: naming the file, if it is malformed.
    """
    yaml = find_yaml(path)
    if yaml is not None:
        return {**read_description(yaml), "source": yaml}
    layout = find_layout(path)
    classes = {name: label for label, name in enumerate(layout.class_names)}
    return {
        "classes": classes,
        "root": layout.root,
        "sets": layout.sets,
        "keypoints": None,
        "source": layout.class_file,
    }


def set_names(path: StrPath) -> list[str]:
    """Return the names of the sets of a data set; arguments and errors of `describe`.

    Tools name sets in a `data.yaml` that they do not export: these are left out, with a warning.
    """
    description = describe(path)
    root, sets = description["root"], description["sets"]
    missing = {
        name: [e for e in _as_list(entries) if not os.path.exists(locate(root, e))]
        for name, entries in sets.items()
    }
    if all(missing.values()):  # opening one of them says where it was looked for
        return list(sets)
    if missing.get("val"):
        warnings.warn(
            f"{description['source']}: there is no {shorten(missing['val'][0], 100)}, so no 'val'",
            stacklevel=1,
        )
    # Without its folder "train" stays: nobody means to train on another set then.
    return [name for name in sets if name == "train" or not missing[name]]


def read_description(path: StrPath) -> dict[str, Any]:
    """Return the contents of a `data.yaml`.

    Returns:
        `{"classes": name -> label, "root": folder, "sets": set name -> entry, "keypoints": count}`;
        an entry is a path or a list of paths, relative to the root; the count is that of the
        numbers after a box, None if there are no keypoints. If there is no folder `path`, as where
        it is that of another machine, the root is the folder of the file, with a warning.

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
        if "names" not in values and "nc" in values:
            values["names"] = _numbered_names(values["nc"], path)
        classes = _classes(values.get("names"))
        count = len(classes)
        if "nc" in values and _number(values["nc"], "nc") != count:
            raise ValueError(f"nc: {shorten(values['nc'], 40)} classes, but {count} names")
        root = values.get("path", "")
        if not isinstance(root, str):
            raise ValueError(f"path: expected a folder, got {root!r}")
        sets = {
            name: values[key]
            for name, keys in SET_NAMES.items()
            for key in [next((key for key in keys if values.get(key)), None)]
            if key
        }
        for name, entry in sets.items():
            if not all(isinstance(part, str) for part in _as_list(entry)):
                raise ValueError(f"{name}: expected a path or a list of paths, got {entry!r}")
        keypoints = _keypoint_numbers(values["kpt_shape"]) if "kpt_shape" in values else None
    check_labels(classes, lambda name: f"{path}: names: {shorten(name, 60)!r}")
    folder = os.path.dirname(path)
    return {
        "classes": classes,
        "root": _root(folder, root, path),
        "sets": sets or find_sets(folder),
        "keypoints": keypoints,
    }


def _numbered_names(value: Yaml, path: StrPath) -> list[str]:
    """Return names for the classes of a file that has only their number."""
    count = _number(value, "nc")
    if not 0 < count <= MAX_YAML_VALUES:
        raise ValueError(f"nc: expected 1 to {MAX_YAML_VALUES} classes, got {shorten(value, 40)}")
    # This warning and the next are always of their own line: that the second set of a data set
    # says the same is not shown.
    warnings.warn(
        f"{path}: no 'names': the classes are called 0 to {count - 1}, after their ids",
        stacklevel=1,
    )
    return [str(label) for label in range(count)]


def _root(folder: str, root: str, path: StrPath) -> str:
    """Return the folder that a `path` in a file in a folder stands for."""
    named = os.path.join(folder, root)
    if not root or os.path.isdir(named):
        return named
    warnings.warn(
        f"{path}: path: there is no folder {shorten(root, 100)}: that of the file is used",
        stacklevel=1,
    )
    return folder


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
    path: str,
    labels: Collection[int],
    keypoints: int | None,
    strict: bool = False,
    shapes: Counter[str] | None = None,
) -> list[tuple]:
    """Return `(x1, y1, x2, y2, label)` of each line of a label file, in fractions.

    If `strict`, a box far outside 0..1 is an error. Objects that are no boxes are counted in
    `shapes`.
    """
    shapes = Counter() if shapes is None else shapes

    def parse(fields: list[str], place: str) -> tuple:
        row = _parse(fields, place, labels, keypoints, shapes)
        if strict and fractions.are_far_outside(np.array([row[:4]])).any():
            raise ValueError(
                f"{place}: expected fractions of the image's sides, 0 to 1, got "
                f"{shorten(fields[1:9], 80)}: are they pixels?"
            )
        return row

    return parse_lines(path, "YOLO label file", parse)


def _parse(
    fields: list[str],
    place: str,
    labels: Collection[int],
    keypoints: int | None,
    shapes: Counter[str],
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
    has_keypoints = count != 5 and (keypoints is not None or _has_keypoints(numbers))
    if count != 5:
        shapes[_KEYPOINTS if has_keypoints else _CORNERS if count == 9 else _OUTLINE] += 1
    if count == 5 or has_keypoints:
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
            data_file: the `data.yaml`, or the folder of the data set; see `describe`.
            set_name: "train", "val" or "test".
            **kwargs: for `Generator`.

        Raises:
            OSError: if a file or folder does not exist.
            ValueError: naming file and line, if one is malformed; if the set is not there; or if
                most boxes are no fractions.
        """
        description = describe(data_file)
        file, sets = description["source"], description["sets"]
        if set_name not in sets:
            what = "key" if file.endswith((".yaml", ".yml")) else "set"
            raise ValueError(f"{file}: expected the {what} {set_name!r}, got {sorted(sets)}")
        root, entries = description["root"], _as_list(sets[set_name])
        paths = find_images(root, entries)
        listed = len(entries) == 1 and entries[0].endswith(".txt")
        source = locate(root, entries[0]) if listed else file
        files = find_label_files(paths)
        lists_images = any(entry.endswith(".txt") for entry in entries)
        _warn_about_label_files(files, f"{file}: {set_name}", lists_images)
        labels = set(description["classes"].values())
        shapes: Counter[str] = Counter()
        table = _read_set(files.paths, labels, description["keypoints"], shapes)
        _warn_about_shapes(shapes, len(table.rows), f"{file}: {set_name}")
        sizes = read_sizes(paths, source)
        sizes_of_rows = np.repeat(sizes, table.counts(), axis=0)
        table.rows[:, :4] = fractions.scale(table.rows[:, :4], sizes_of_rows)
        # The boxes of an image that cannot be read are unknown.
        annotations = table.select(np.asarray(sizes_of_rows.all(axis=1)))
        super().__init__(
            description["classes"], paths, annotations, source=source, sizes=sizes, **kwargs
        )
        self._files = replace(files, paths=self.kept(files.paths))

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


def _warn_about_shapes(shapes: Counter[str], total: int, place: str) -> None:
    """Say how many objects are more than boxes."""
    if shapes:
        parts = ", ".join(f"{count} {shape}" for shape, count in sorted(shapes.items()))
        warnings.warn(
            f"{place}: {shapes.total()} of {total} objects are more than boxes, of which only the "
            f"box is used: {parts}",
            stacklevel=3,
        )


def _read_set(
    paths: Sequence[str | None],
    labels: Collection[int],
    keypoints: int | None,
    shapes: Counter[str],
) -> BoxTable:
    """Return the rows of all label files, in fractions; count the objects that are no boxes.

    Raises:
        ValueError: naming file and line, if one is malformed, or if most boxes are no fractions.
    """
    table = BoxTable.of(
        [_read_fractions(path, labels, keypoints, shapes=shapes) if path else [] for path in paths]
    )
    far = fractions.are_far_outside(table.rows[:, :4])
    if 2 * far.sum() > len(far):
        image = int(np.searchsorted(table.starts, np.flatnonzero(far)[0], side="right")) - 1
        _read_fractions(paths[image] or "", labels, keypoints, strict=True)
    return table
