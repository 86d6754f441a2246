"""Data sets in YOLO form: `data.yaml`, folders of images, and a text file of labels for each image.

The format is that of https://docs.ultralytics.com/datasets/detect/: `labels/` lies where `images/`
does, and a line is `class x y width height`, centre and size as fractions of the image's sides; or
`class x1 y1 x2 y2 x3 y3 ...`, the outline of an object, whose bounding box is taken.
"""

import io
import os
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import yaml

from keras_retinanet.annotations.text import (
    finite_number,
    parse_lines,
    read_text,
    whole_number,
)
from keras_retinanet.images import image_size
from keras_retinanet.preprocessing.labelled import LabelledGenerator
from keras_retinanet.system.types import StrPath

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# Tools round to six digits, so a box may leave its image by less than this fraction of a side.
_TOLERANCE = 1e-3
# Tools write the class names beside the labels.
_NO_LABELS = ("classes.txt",)


def read_description(path: StrPath) -> dict[str, Any]:
    """Return the contents of a `data.yaml`.

    Returns:
        `{"classes": name -> label, "root": folder, "sets": set name -> entry}`; an entry is a path
        or a list of paths, relative to the root.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is not YAML or has a key twice, if there are no class
            names or not `nc` of them, if a name or label is malformed or given twice, or if a set
            is malformed.
    """
    text = read_text(path)
    try:
        content = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise ValueError(f"{path}: expected YAML: {' '.join(str(error).split())}") from None
    names = content.get("names") if isinstance(content, dict) else None
    if not names or not isinstance(names, (list, dict)):
        raise ValueError(f"{path}: expected the key 'names' with the classes, got {names!r}")
    labels = names if isinstance(names, dict) else dict(enumerate(names))
    if not all(isinstance(label, int) and label >= 0 for label in labels):
        raise ValueError(f"{path}: names: expected the labels 0, 1, ..., got {list(labels)}")
    classes = {str(name): label for label, name in labels.items()}
    if len(classes) != len(labels):
        raise ValueError(f"{path}: names: duplicate class name among {list(labels.values())}")
    if content.get("nc", len(labels)) != len(labels):
        raise ValueError(f"{path}: nc: {content['nc']} classes, but {len(labels)} names")
    root = os.path.join(os.path.dirname(path), str(content.get("path") or ""))
    sets = {name: content[name] for name in ("train", "val", "test") if content.get(name)}
    for name, entry in sets.items():
        if not all(isinstance(part, str) for part in _as_list(entry)):
            raise ValueError(f"{path}: {name}: expected a path or a list of paths, got {entry!r}")
    return {"classes": classes, "root": root, "sets": sets}


def _as_list(entry: str | list[str]) -> list[str]:
    return entry if isinstance(entry, list) else [entry]


class _Loader(yaml.SafeLoader):
    """A loader that refuses duplicate keys, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Return a dictionary; raise ConstructorError, naming the line, for a duplicate key."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"duplicate key {key.value!r}", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def find_images(root: str, entries: str | list[str]) -> list[str]:
    """Return the image files that an entry such as `train: images/train` names, sorted.

    Args:
        root: folder that relative paths are relative to.
        entries: a folder, a text file with a path in each line, or a list of these. Paths in a text
            file that begin with `./` are relative to its folder.

    A label file in `labels/` without an image is left out, with one warning per folder.

    Raises:
        OSError: if a folder or file does not exist.
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
        raise ValueError(f"{', '.join(_as_list(entries))} in {root}: expected images, found none")
    return images


def _listed(place: str, root: str) -> list[str]:
    folder = os.path.dirname(place)
    lines = io.StringIO(read_text(place), newline=None)
    names = [line.strip() for line in lines if line.strip()]
    starts = [folder if name.startswith("./") else root for name in names]
    return [
        os.path.normpath(os.path.join(start, name))
        for start, name in zip(starts, names, strict=True)
    ]


def _in_folder(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"folder of images not found: {folder}")
    files = (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    images = sorted(file for file in files if file.lower().endswith(IMAGE_SUFFIXES))
    _warn_about_orphan_labels(images)
    return images


def _warn_about_orphan_labels(images: Sequence[str]) -> None:
    """Warn about label files in the folders of some images' labels that belong to no image."""
    labels = {label_path(image) for image in images}
    folders = {os.path.dirname(path) for path in labels}
    # Where labels are beside the images, a text file may be anything.
    folders -= {os.path.dirname(path) for path in images}
    alone = sorted(
        os.path.join(folder, name)
        for folder in filter(os.path.isdir, folders)
        for name in os.listdir(folder)
        if name.endswith(".txt") and name not in _NO_LABELS
        if os.path.join(folder, name) not in labels
    )
    if alone:
        warnings.warn(
            f"left out {len(alone)} label files without an image, the first: {alone[0]}",
            stacklevel=5,
        )


def label_path(image_path: str) -> str:
    """Return the label file of an image: the last folder `images` becomes `labels`, and `.txt`."""
    head, sep, tail = image_path.rpartition(f"{os.sep}images{os.sep}")
    base = f"{head}{os.sep}labels{os.sep}{tail}" if sep else image_path
    return os.path.splitext(base)[0] + ".txt"


def read_labels(path: str, size: tuple[int, int], labels: Collection[int]) -> list[tuple]:
    """Return the boxes in a label file; none if there is no such file.

    Args:
        path: the text file.
        size: width and height of the image in pixels.
        labels: the labels that exist.

    Returns:
        List of `(x1, y1, x2, y2, label)` in pixels.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, for a malformed line or an unknown class.
    """
    if not os.path.exists(path):
        return []
    return parse_lines(
        path, "YOLO label file", lambda fields, place: _parse(fields, place, size, labels)
    )


def _parse(fields: list[str], place: str, size: tuple[int, int], labels: Collection[int]) -> tuple:
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        raise ValueError(
            f"{place}: expected 'class x y width height' or 'class x1 y1 x2 y2 x3 y3 ...', "
            f"got {len(fields)} fields"
        )
    label = whole_number(fields[0], f"{place}: malformed class")
    if label not in labels:
        raise ValueError(f"{place}: unknown class {label} (classes: {sorted(labels)})")
    numbers = [finite_number(text, f"{place}: malformed number") for text in fields[1:]]
    if len(numbers) == 4:
        x, y, width, height = numbers
        sides = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    else:
        xs, ys = numbers[::2], numbers[1::2]
        sides = (min(xs), min(ys), max(xs), max(ys))
    if min(sides) < -_TOLERANCE or max(sides) > 1 + _TOLERANCE:
        raise ValueError(
            f"{place}: expected fractions of the image's sides, 0 to 1, got {fields[1:]}"
        )
    x1, y1, x2, y2 = (min(max(side, 0.0), 1.0) for side in sides)
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"{place}: expected a width and a height above 0, got {fields[1:]}")
    return x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1], label


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
            ValueError: naming file and line, if one is malformed, or if the set is not there.
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
        labels = set(description["classes"].values())
        annotations = [_annotations(path, labels) for path in paths]
        listed = len(entries) == 1 and entries[0].endswith(".txt")
        source = os.path.join(root, entries[0]) if listed else data_file
        super().__init__(description["classes"], paths, annotations, source=source, **kwargs)


def _annotations(image_path: str, labels: Collection[int]) -> list[tuple]:
    """Return the boxes of an image; none if its size, and so the image, cannot be read."""
    path = label_path(image_path)
    try:
        size = image_size(image_path)
    except (OSError, ValueError):
        read_labels(path, (1, 1), labels)  # a malformed line is named all the same
        return []
    return read_labels(path, size, labels)
