"""Where the versions of Open Images keep their files, and which classes there are."""

import io
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_retinanet.annotations.text import csv_rows, naming_file, read_text
from keras_retinanet.system.limits import MAX_DESCRIPTION_BYTES
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath


@dataclass(frozen=True)
class Layout:
    """Where a version keeps its files; `{}` stands for the subset.

    Attributes:
        metadata: folder of all but the images, in the main folder. Files that are not there are
            looked for in `_METADATA` too.
        classes: files of rows `id,name`; the first that exists is used.
        boxes: CSV files of boxes; the first that exists is used.
        images: folders of images, in the main folder; the first that exists is used.
        hierarchy: JSON file of classes below classes.
        trainable: text file of the class ids in use, in order; None for all classes.
        held_out: CSV file of the image ids to evaluate on, where there is one file of boxes for
            both subsets; None where each has its own.
    """

    metadata: str
    classes: tuple[str, ...]
    boxes: tuple[str, ...]
    images: tuple[str, ...] = ("images/{}",)
    hierarchy: str = "bbox_labels_600_hierarchy.json"
    trainable: str | None = None
    held_out: str | None = None


# Where people put the downloads; `csv_folder` is that of OIDv4_ToolKit, `boxes` that of oidv6.
_METADATA = ("", "annotations", "metadata", "boxes", "csv_folder", "OID/csv_folder")
# Of today's downloads, whatever the version; the last ones are those of FiftyOne.
_CLASSES = (
    "oidv7-class-descriptions-boxable.csv",
    "oidv6-class-descriptions-boxable.csv",
    "class-descriptions-boxable.csv",
    "{}/metadata/classes.csv",
)
_BOXES = (
    "oidv6-{}-annotations-bbox.csv",
    "oidv7-{}-annotations-bbox.csv",
    "{}-annotations-bbox.csv",
    "{}/{}-annotations-bbox.csv",
    "{}/labels/detections.csv",
)
_IMAGES = ("images/{}", "{}", "data/{}", "Dataset/{}", "OID/Dataset/{}", "images", "data")
_TODAY = Layout("", _CLASSES, _BOXES, ("{}", *_IMAGES))
LAYOUTS = {
    "v3": Layout(
        "2017_11",
        ("class-descriptions.csv",),
        ("{}/annotations-human-bbox.csv",),
        trainable="classes-bbox-trainable.txt",
    ),
    "v4": Layout(
        "2018_04",
        ("class-descriptions-boxable.csv", *_CLASSES),
        ("{}/{}-annotations-bbox.csv", *_BOXES),
        _IMAGES,
    ),
    "challenge2018": Layout(
        "challenge2018",
        ("challenge-2018-class-descriptions-500.csv",),
        ("challenge-2018-train-annotations-bbox.csv",),
        ("images/train",),
        hierarchy="bbox_labels_500_hierarchy.json",
        held_out="challenge-2018-image-ids-valset-od.csv",
    ),
    "v5": _TODAY,
    "v6": _TODAY,
    "v7": _TODAY,
}


class Files:
    """The files of one subset of one version."""

    def __init__(
        self, main_dir: StrPath, subset: str, version: str, metadata_dir: StrPath | None = None
    ) -> None:
        if version not in LAYOUTS:
            raise ValueError(f"version: expected one of {', '.join(LAYOUTS)}, got {version!r}")
        self.layout, self.main_dir, self.subset = LAYOUTS[version], main_dir, subset
        self.metadata_dir = metadata_dir or os.path.join(main_dir, self.layout.metadata)
        others = [] if metadata_dir else [os.path.join(main_dir, name) for name in _METADATA]
        self._metadata_dirs: list[StrPath] = [self.metadata_dir, *others]
        if self.layout.held_out and subset not in ("train", "validation"):
            raise ValueError(f"subset: {version} has train and validation, got {subset!r}")

    def metadata(self, *names: str) -> str:
        """Return the first metadata file of some names that exists, or else the first name."""
        return self._first(self._metadata_dirs, names)

    def images(self) -> str:
        """Return the folder of the images; they may be in folders in it, one for each class."""
        folder = self._first([self.main_dir], self.layout.images)
        inside = os.path.join(folder, "data")  # as FiftyOne downloads them
        return inside if os.path.isdir(inside) else folder

    def exist(self) -> bool:
        """Return whether there are class names, boxes and a folder of images."""
        names = self.layout.classes, self.layout.boxes
        lists = [self.metadata(*each) for each in names] + ([self.held_out() or ""])
        return os.path.isdir(self.images()) and all(os.path.isfile(path) for path in lists if path)

    def held_out(self) -> str | None:
        """Return the file of the image ids to evaluate on; None if there is none."""
        return None if self.layout.held_out is None else self.metadata(self.layout.held_out)

    def is_in_subset(self) -> Callable[[str], bool] | None:
        """Return a function of an image id: whether it is in the subset; None if all are.

        Raises:
            OSError: if the file of held-out images cannot be read.
            ValueError: naming file and line, if it is not UTF-8.
        """
        path = self.held_out()
        if path is None:
            return None
        held_out = set(_idents(path))
        return lambda ident: (ident in held_out) == (self.subset == "validation")

    def _first(self, folders: Iterable[StrPath], names: Iterable[str]) -> str:
        names = [name.replace("{}", self.subset) for name in names]
        paths = [os.path.join(folder, name) for folder in folders for name in names]
        return next(filter(os.path.exists, paths), paths[0])


def find_sets(main_dir: StrPath, version: str) -> list[str]:
    """Return the subsets whose files are there, without reading them."""
    subsets = ["train", "validation"] + ([] if LAYOUTS[version].held_out else ["test"])
    return [subset for subset in subsets if Files(main_dir, subset, version).exist()]


def find_version(main_dir: StrPath) -> str | None:
    """Return a version whose files are in a folder, v4 for today's downloads; None if none is."""
    return next((name for name in ("v4", *LAYOUTS) if find_sets(main_dir, name)), None)


def recognises(path: StrPath) -> bool:
    """Return whether a folder is a data set in Open Images form."""
    return find_version(path) is not None


def image_folders(folder: StrPath) -> list[str]:
    """Return the folders in the folder of the images, sorted: OIDv4_ToolKit has one for a class."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir())
    except OSError:
        return []


def image_paths(folder: StrPath, idents: Iterable[str]) -> list[str]:
    """Return the file `ID.jpg` of each image id, in a folder or one of the folders in it."""
    inside: dict[str, str] = {}
    for each in image_folders(folder):
        for name in sorted(os.listdir(each)):
            inside.setdefault(name, os.path.join(each, name))
    names = (f"{ident}.jpg" for ident in idents)
    return [inside.get(name) or os.path.join(folder, name) for name in names]


# What the columns of the lists are called, in lower case and without spaces and underscores.
_HEADINGS = ("labelname", "label", "labelid", "classid", "class", "mid", "id", "imageid")


def _is_header(first_field: str) -> bool:
    """Return whether the first field of a file is the name of a column, not an id such as /m/01."""
    return first_field.strip().lower().replace("_", "").replace(" ", "") in _HEADINGS


def _idents(path: StrPath) -> list[str]:
    """Return the ids in a text file, without a header."""
    idents = read_text(path).split()
    return idents[1:] if idents and _is_header(idents[0]) else idents


def read_class_names(files: Files) -> dict[str, str]:
    """Return the name of each class id, in the order of the labels; names lose their quotes.

    A header is left out, with a warning.

    Raises:
        OSError: if a file cannot be read.
        ValueError: naming file and line, for a row without a name or an id given twice; naming the
            file, for an id without a description, two ids of one name, or none at all.
    """
    path = files.metadata(*files.layout.classes)
    text = read_text(path, MAX_DESCRIPTION_BYTES)
    with naming_file(path):
        rows = list(csv_rows(io.StringIO(text, newline="")))
        if rows and _is_header(rows[0][1][0]):
            (line, row), *rows = rows
            warnings.warn(
                f"{path}: line {line} is a header, left out: {shorten(','.join(row), 80)}",
                stacklevel=2,
            )
        names = _parse_names(rows)
    if files.layout.trainable is not None:
        path = files.metadata(files.layout.trainable)
        idents = _idents(path)
        unknown = [ident for ident in idents if ident not in names]
        if unknown:
            raise ValueError(f"{path}: class id without a description: {shorten(unknown[0])}")
        names = {ident: names[ident] for ident in idents}
    if not names:
        raise ValueError(f"{path}: expected at least one class, got none")
    # Lists of image-level classes have such pairs; they matter only among the classes in use.
    seen: set[str] = set()
    for ident, name in names.items():
        if name in seen:
            raise ValueError(
                f"{path}: duplicate class name: '{shorten(name)}' ({shorten(ident, 40)})"
            )
        seen.add(name)
    return names


def _parse_names(rows: Iterable[tuple[int, list[str]]]) -> dict[str, str]:
    names: dict[str, str] = {}
    for line, row in rows:
        if len(row) < 2 or not (row[0].strip() and row[1].strip()):
            raise ValueError(f"line {line}: expected 'id,name', got {row}")
        if row[0] in names:
            raise ValueError(f"line {line}: duplicate class id: {row[0]}")
        names[row[0]] = row[1].translate(str.maketrans("", "", "\"'`"))
    return names


def read_hierarchy(path: StrPath) -> dict[str, Any]:
    """Return the tree of classes in a JSON file: nodes with `LabelName` and perhaps `Subcategory`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is not JSON, nested too deeply, or a node is malformed.
    """
    text = read_text(path, MAX_DESCRIPTION_BYTES)
    with naming_file(path):
        try:
            tree = json.loads(text)
        except ValueError as error:
            raise ValueError(f"expected JSON: {error}") from None
        nodes = [tree]
        while nodes:
            node = nodes.pop()
            if not isinstance(node, dict) or not isinstance(node.get("LabelName"), str):
                raise ValueError(f"expected an object with the key 'LabelName', got {node!r}")
            below = node.get("Subcategory", [])
            if not isinstance(below, list):
                raise ValueError(f"Subcategory: expected a list, got {below!r}")
            nodes += below
    return tree


def _walk(hierarchy: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a hierarchy, parents first; it may be nested deeply."""
    waiting = [hierarchy]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.get("Subcategory", []))


def find_hierarchy_parent(hierarchy: dict[str, Any], parent_cls: str) -> dict[str, Any] | None:
    """Return the part of a hierarchy whose root is a class id; None if there is none."""
    return next((node for node in _walk(hierarchy) if node["LabelName"] == parent_cls), None)


def load_hierarchy_children(hierarchy: dict[str, Any]) -> list[str]:
    """Return the class ids in a hierarchy, parents first; an id may occur several times."""
    return [node["LabelName"] for node in _walk(hierarchy)]


def choose_classes(
    files: Files,
    names: Mapping[str, str],
    labels_filter: Sequence[str] | None = None,
    parent_label: str | None = None,
) -> list[str]:
    """Return the class ids to use, in the order of their labels.

    Args:
        files: the files of the subset.
        names: name of each class id.
        labels_filter: names of the classes to use; None for all.
        parent_label: name of a class to use with all classes below it; takes precedence.

    Raises:
        OSError: if the hierarchy cannot be read.
        ValueError: for an unknown name or a malformed hierarchy.
    """
    if parent_label and labels_filter:
        warnings.warn("labels_filter has no effect: parent_label takes precedence", stacklevel=3)
    idents = {name: ident for ident, name in names.items()}
    wanted = [parent_label] if parent_label else labels_filter or []
    for name in wanted:
        if name not in idents:
            known = shorten(list(idents)[:5], 120)
            raise ValueError(
                f"unknown class {shorten(repr(name), 60)}, expected one such as {known}"
            )
    if not parent_label:
        return [idents[name] for name in dict.fromkeys(wanted)] if wanted else list(names)
    path = files.metadata(files.layout.hierarchy, "{}/metadata/hierarchy.json")
    found = find_hierarchy_parent(read_hierarchy(path), idents[parent_label])
    if found is None:
        raise ValueError(f"{path}: expected the class {parent_label!r} in the hierarchy")
    # A class may be below several others.
    return [ident for ident in dict.fromkeys(load_hierarchy_children(found)) if ident in names]
