"""Find the files of a YOLO data set: `data.yaml`, or what Darknet and labelling tools write.

Without a YAML file, class names are in a file such as `classes.txt` or `obj.names`; the sets are
listed in `train.txt` and `valid.txt`, or are folders, or there is only one.
"""

import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keras_retinanet.annotations.text import naming_file, read_text
from keras_retinanet.system.files import only_regular
from keras_retinanet.system.image_kinds import is_image_name
from keras_retinanet.system.limits import MAX_DESCRIPTION_BYTES
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

_USUAL_YAML = ("data.yaml", "data.yml")
_YAML = (".yaml", ".yml")
_DARKNET = ".data"
# Files of class names, as Darknet, CVAT, Roboflow, LabelImg and Label Studio write them.
_CLASS_FILES = ("obj.names", "_darknet.labels", "classes.txt", "classes.names", "labels.txt")
_DARKNET_NAMES = (".names", ".labels")
_NOTES = "notes.json"
# Names that a set may have, as keys, lists or folders, in lower case.
SET_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_SET_KEYS = tuple(key for keys in SET_NAMES.values() for key in keys)
_IMAGE_FOLDERS = ("images", "jpegimages", "data", "obj_train_data")
# To recognise a data set, so many text files in each folder are looked into.
_MAX_LOOKS = 3


@dataclass(frozen=True)
class YoloLayout:
    """Where the parts of a data set without a YAML file are.

    Attributes:
        root: the folder that the entries are relative to.
        class_file: the file of class names.
        class_names: what it holds, in the order of the labels.
        sets: set name, "train", "val" or "test" -> folder, or text file of images.
    """

    root: str
    class_file: str
    class_names: list[str]
    sets: dict[str, str]


def is_yolo(path: StrPath) -> bool:
    """Return whether a path is that of a data set in YOLO form; few files are read."""
    path = os.fspath(path)
    if not os.path.isdir(path):
        return _is_description(path) or (path.endswith(_DARKNET) and bool(_darknet_keys(path)))
    if any(_is_description(os.path.join(path, name)) for name in _names(path)):
        return True
    try:
        layout = find_layout(path)
    except (OSError, ValueError):
        return False
    # Other tools write a classes.txt too.
    return layout.class_file.endswith(_DARKNET_NAMES) or any(map(_has_labels, _places(path)))


def find_yaml(path: StrPath) -> str | None:
    """Return the YAML file that describes a data set; None if there is none.

    Args:
        path: the file, or its folder, where it may have any name if it is the only one.

    Raises:
        ValueError: if a folder has several.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        return None if path.endswith(_DARKNET) else path
    names = _names(path)
    found = [name for name in _USUAL_YAML if name in names][:1] or [
        name for name in names if _is_description(os.path.join(path, name))
    ]
    if len(found) > 1:
        raise ValueError(
            f"{path}: expected one YAML file with 'train' and 'names', got "
            f"{shorten(', '.join(found), 100)}: name the one to use in place of the folder"
        )
    return os.path.join(path, found[0]) if found else None


def find_layout(path: StrPath) -> YoloLayout:
    """Return where the parts of a data set without a YAML file are.

    Args:
        path: the folder, or the `.data` file of Darknet in it.

    Raises:
        OSError: if a file cannot be read, or there is no file of class names.
        ValueError: naming the file, if it is malformed, or if files of class names differ.
    """
    path = os.fspath(path)
    folder = path
    darknet: str | None = None
    if not os.path.isdir(path):
        folder, darknet = os.path.dirname(path), path
    else:
        found = [name for name in _names(path) if name.endswith(_DARKNET)]
        darknet = os.path.join(path, found[0]) if len(found) == 1 else None
    keys = _darknet_keys(darknet) if darknet else {}
    # Darknet's paths start where it runs, such as in the folder above `cfg/obj.data`.
    starts = (folder, os.path.dirname(os.path.abspath(folder))) if "names" in keys else ()
    named = (start for start in starts if os.path.isfile(os.path.join(start, keys["names"])))
    folder = next(named, folder)
    class_file = _class_file(folder, keys)
    return YoloLayout(
        folder, class_file, read_names(class_file), _darknet_sets(folder, keys) or find_sets(folder)
    )


def find_sets(folder: str) -> dict[str, str]:
    """Return the sets in a folder: lists of images, or folders of them; or one, "train"."""
    lists = {
        name: entry
        for name, keys in SET_NAMES.items()
        for entry in [next(filter(None, (_list(folder, key) for key in keys)), None)]
        if entry
    }
    if not lists and (entry := _list(folder, "images")):
        lists = {"train": entry}
    if lists:
        return lists
    for above in ("", *_folders(folder, _IMAGE_FOLDERS[:2])):
        found = {
            name: os.path.join(above, subfolder)
            for name, keys in SET_NAMES.items()
            for subfolder in _folders(
                os.path.join(folder, above), (*keys, *(f"obj_{key}_data" for key in keys))
            )[:1]
        }
        if found:
            return found
    return {"train": next(iter(_folders(folder, _IMAGE_FOLDERS)), "")}


def read_names(path: str) -> list[str]:
    """Return the class names in a file: one in each line, or the categories in a `notes.json`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it has no name, an empty one, or one twice.
    """
    text = read_text(path, MAX_DESCRIPTION_BYTES)
    with naming_file(path, "invalid file of class names"):
        if path.endswith(".json"):
            names = _categories(text)
        else:
            names = [line.strip() for line in text.rstrip().splitlines()]
        if not names:
            raise ValueError("expected a class name in each line, got none")
        lines: dict[str, int] = {}
        for line, name in enumerate(names, 1):
            if not name:
                raise ValueError(f"line {line}: expected a class name, got none")
            if name in lines:
                raise ValueError(
                    f"line {line}: duplicate class name: {shorten(name, 60)!r}, as in line "
                    f"{lines[name]}"
                )
            lines[name] = line
    return names


def _categories(text: str) -> list[str]:
    """Return the names of the categories in the `notes.json` of Label Studio."""
    content = json.loads(text)
    categories = content.get("categories") if isinstance(content, dict) else None
    if not isinstance(categories, list):
        raise ValueError("expected a list 'categories'")
    names: dict[int, str] = {}
    for category in categories:
        label, name = (
            (category.get("id"), category.get("name"))
            if isinstance(category, dict)
            else (None, None)
        )
        if not isinstance(label, int) or not isinstance(name, str):
            raise ValueError(f"categories: expected 'id' and 'name', got {category!r}")
        names[label] = name.strip()
    if sorted(names) != list(range(len(categories))):
        raise ValueError(f"categories: expected the ids 0, 1, ..., got {sorted(names)}")
    return [names[label] for label in sorted(names)]


def _is_description(path: str) -> bool:
    """Return whether a file is YAML that names classes and a set."""
    if not path.endswith(_YAML):
        return False
    try:
        text = read_text(path, MAX_DESCRIPTION_BYTES)
    except (OSError, ValueError):
        return False
    keys = set(re.findall(r"^[\"']?(\w+)[\"']?\s*:", text, re.MULTILINE))
    # A data.yaml may leave it to the names of folders which sets there are.
    names_sets = os.path.basename(path) in _USUAL_YAML or not keys.isdisjoint(_SET_KEYS)
    return names_sets and not keys.isdisjoint(("names", "nc"))


def _darknet_keys(path: str) -> dict[str, str]:
    """Return the `key = value` lines of a `.data` file of Darknet; none if it has no names."""
    lines = io.StringIO(read_text(path, MAX_DESCRIPTION_BYTES), newline=None)
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    keys = {key.strip(): value.strip() for key, _, value in pairs if value.strip()}
    return keys if "names" in keys else {}


def _darknet_sets(folder: str, keys: dict[str, str]) -> dict[str, str]:
    """Return the sets that a `.data` file names and that are there."""
    found = {
        name: _in_darknet(folder, keys[key])
        for name, names in SET_NAMES.items()
        for key in names
        if key in keys
    }
    return {
        name: entry for name, entry in found.items() if os.path.exists(os.path.join(folder, entry))
    }


def _in_darknet(folder: str, value: str) -> str:
    """Return a path in a `.data` file, which starts where Darknet runs, relative to a folder."""
    parts = value.replace("\\", "/").split("/")
    tails = ["/".join(parts[start:]) for start in range(len(parts))]
    return next(
        (tail for tail in tails if tail and os.path.exists(os.path.join(folder, tail))), value
    )


def _class_file(folder: str, keys: dict[str, str]) -> str:
    """Return the file of class names of a data set."""
    if "names" in keys:
        named = os.path.join(folder, _in_darknet(folder, keys["names"]))
        if os.path.isfile(named):
            return named
    found = [path for place in _places(folder) if (path := _class_file_in(place))]
    if not found:
        names = _names(folder)
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"folder not found: {folder}")
        raise FileNotFoundError(
            f"{os.path.join(folder, 'data.yaml')} not found, nor a file of class names, such as "
            f"{', '.join(_CLASS_FILES[:3])}; the folder has "
            f"{shorten(', '.join(names), 80) or 'nothing'}"
        )
    first = found[0]
    for other in found[1:]:
        if read_names(other) != read_names(first):
            raise ValueError(
                f"expected the same class names in {shorten(first, 100)} and {shorten(other, 100)}"
            )
    return first


def _class_file_in(folder: str) -> str | None:
    """Return the file of class names in a folder; None if it has none."""
    names = _names(folder)
    usual = [name for name in (*_CLASS_FILES, _NOTES) if name in names]
    other = [name for name in names if name.endswith(".names")]
    for name in usual[:1] or (other if len(other) == 1 else []):
        return os.path.join(folder, name)
    return None


def _places(folder: str) -> Iterator[str]:
    """Yield the folders where label files and class names of a data set may be."""
    labels = _folders(folder, ("labels", "label", "annotations"))
    for above in ("", *labels, *_folders(folder, _IMAGE_FOLDERS)):
        start = os.path.join(folder, above)
        yield start
        for name in _folders(start, (*_SET_KEYS, *(f"obj_{key}_data" for key in _SET_KEYS))):
            yield os.path.join(start, name)
            for inside in _folders(os.path.join(start, name), ("labels",)):
                yield os.path.join(start, name, inside)


def _has_labels(folder: str) -> bool:
    """Return whether one of the first text files in a folder holds YOLO labels."""
    texts = (name for name in _names(folder) if name.endswith(".txt") and name not in _CLASS_FILES)
    return any(
        len(fields := line.split()) >= 5 and all(map(_is_number, fields))
        for name, _ in zip(texts, range(_MAX_LOOKS), strict=False)
        for line in [_first_line(os.path.join(folder, name))]
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _list(folder: str, name: str) -> str | None:
    """Return the text file of a name, in any case, if it lists images and is no label file."""
    for file in _names(folder):
        if file.lower() == f"{name}.txt" and is_image_name(_first_line(os.path.join(folder, file))):
            return file
    return None


def _first_line(path: str) -> str:
    """Return the first line of a text file that is not blank, cut off; empty if there is none."""
    try:
        with open(path, "rb", opener=only_regular) as file:
            head = file.read(4096)
    except (OSError, ValueError):
        return ""
    lines = head.decode("utf-8-sig", "replace").split("\n")
    return next((line.strip() for line in lines if line.strip()), "")


def _folders(folder: str, names: Sequence[str]) -> list[str]:
    """Return the subfolders that have one of some names in any case, in the order of these."""
    found = {name.lower(): name for name in reversed(_names(folder))}
    return [
        found[name]
        for name in names
        if name in found and os.path.isdir(os.path.join(folder, found[name]))
    ]


def _names(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder or ".") if not name.startswith("."))
    except (OSError, ValueError):
        return []
