"""Data sets in Open Images form: versions 3 to 7 and the challenge of 2018.

The formats are those of https://storage.googleapis.com/openimages/web/download_v7.html: a CSV file
of boxes for each subset, in fractions of the image's sides, and class names in another.
"""

import csv
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_retinanet.annotations.open_images_layouts import (
    LAYOUTS,
    Files,
    choose_classes,
    find_hierarchy_parent,
    load_hierarchy_children,
    read_class_names,
)
from keras_retinanet.annotations.text import finite_number, read_text
from keras_retinanet.images import image_size
from keras_retinanet.preprocessing.labelled import LabelledGenerator
from keras_retinanet.system.files import replacing
from keras_retinanet.system.types import StrPath

# Of an image: width, height, and rows `x1, y1, x2, y2, label` in pixels, `(n, 5)`.
SizedBoxes = tuple[int, int, np.ndarray]

__all__ = [
    "OpenImagesGenerator",
    "find_hierarchy_parent",
    "generate_images_annotations_json",
    "get_labels",
    "load_cache",
    "load_hierarchy",
    "load_hierarchy_children",
    "read_boxes",
    "save_cache",
    "to_pixels",
]

_SIDES = ("XMin", "YMin", "XMax", "YMax")


def read_boxes(
    path: StrPath, labels: Mapping[str, int], keep: Callable[[str], bool] | None = None
) -> dict[str, list[tuple]]:
    """Return the boxes of each image in a CSV file of boxes.

    Args:
        path: the file, with a header that has ImageID, LabelName, XMin, XMax, YMin and YMax.
        labels: label of each class id; boxes of other classes are left out.
        keep: function of an image id: whether to keep it; None keeps all.

    Returns:
        Dictionary of image id -> rows `x1, y1, x2, y2, label` in fractions of the image's sides.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, for a missing column, a row that is too short, a
            malformed or reversed box, or text that is not UTF-8.
    """
    boxes: dict[str, list[tuple]] = {}
    for line, row in _rows(path):
        if row["LabelName"] in labels and (keep is None or keep(row["ImageID"])):
            box = _parse(row, f"{path}: line {line}")
            boxes.setdefault(row["ImageID"], []).append((*box, labels[row["LabelName"]]))
    return boxes


def _rows(path: StrPath) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line and row of a CSV file of boxes, which may be larger than memory."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        try:
            columns = reader.fieldnames or []
            missing = {"ImageID", "LabelName", *_SIDES} - set(columns)
            if missing:
                raise csv.Error(f"expected the columns {sorted(missing)}")
            for row in reader:
                if row[columns[-1]] is None:
                    count = len(columns) - list(row.values()).count(None)
                    raise csv.Error(f"expected {len(columns)} columns, got {count}")
                yield reader.line_num, row
        except csv.Error as error:
            raise ValueError(f"{path}: line {max(1, reader.line_num)}: {error}") from None
        except UnicodeDecodeError:
            read_text(path)  # names the line
            raise


def _parse(row: Mapping[str, str], place: str) -> tuple[float, ...]:
    x1, y1, x2, y2 = (finite_number(row[key], f"{place}: malformed {key}") for key in _SIDES)
    if x2 <= x1:
        raise ValueError(f"{place}: x2 ({x2}) must be higher than x1 ({x1})")
    if y2 <= y1:
        raise ValueError(f"{place}: y2 ({y2}) must be higher than y1 ({y1})")
    return x1, y1, x2, y2


def to_pixels(boxes: Mapping[str, list[tuple]], folder: StrPath) -> dict[str, SizedBoxes]:
    """Return boxes in pixels, with the sizes of their images.

    Missing images, as in a partial download, and boxes thinner than a pixel are left out, with one
    warning for each.

    Args:
        boxes: image id -> rows in fractions, as `read_boxes` returns.
        folder: the folder of the images `ID.jpg`.

    Returns:
        Dictionary of image id -> (width, height, array `(n, 5)` of `x1, y1, x2, y2, label`).

    Raises:
        ValueError: if there is no image.
    """
    images: dict[str, SizedBoxes] = {}
    absent = thin = 0
    for ident, rows in boxes.items():
        try:
            width, height = image_size(os.path.join(folder, f"{ident}.jpg"))
        except (OSError, ValueError):
            absent += 1
            continue
        pixels = np.array(rows) * [width, height, width, height, 1]
        rounded = np.round(pixels)
        kept = (rounded[:, 2] > rounded[:, 0]) & (rounded[:, 3] > rounded[:, 1])
        thin += int((~kept).sum())
        if kept.any():
            images[ident] = (width, height, pixels[kept])
    if not images:
        raise ValueError(f"{folder}: expected images, found none of the {len(boxes)} annotated")
    if absent:
        warnings.warn(f"{folder}: left out {absent} images, missing or unreadable", stacklevel=3)
    if thin:
        warnings.warn(f"{folder}: left out {thin} boxes thinner than a pixel", stacklevel=3)
    return images


def load_hierarchy(metadata_dir: StrPath, version: str = "v4") -> dict[str, Any]:
    """Return the hierarchy of classes in a metadata folder."""
    path = Files("", "train", version, metadata_dir).metadata(LAYOUTS[version].hierarchy)
    with open(path, encoding="utf-8-sig") as file:
        return json.load(file)


def get_labels(metadata_dir: StrPath, version: str = "v4") -> tuple[dict[int, str], dict[str, int]]:
    """Return label -> class name and class id -> label of a metadata folder."""
    names = read_class_names(Files("", "train", version, metadata_dir))
    return dict(enumerate(names.values())), {ident: label for label, ident in enumerate(names)}


def generate_images_annotations_json(
    main_dir: StrPath,
    metadata_dir: StrPath,
    subset: str,
    cls_index: Mapping[str, int],
    version: str = "v4",
) -> dict[str, dict[str, Any]]:
    """Return sizes and boxes of the images of a subset, in the form of keras-retinanet 1.0.0.

    Args:
        main_dir: folder of the data set.
        metadata_dir: folder of its CSV files.
        subset: "train", "validation" or "test".
        cls_index: label of each class id; boxes of other classes are left out.
        version: one of `LAYOUTS`.

    Returns:
        Dictionary of image id -> `{"w", "h", "boxes"}`, each box
        `{"cls_id", "x1", "x2", "y1", "y2"}` in fractions of the image's sides.
    """
    files = Files(main_dir, subset, version, metadata_dir)
    boxes = read_boxes(files.metadata(*files.layout.boxes), cls_index, files.is_in_subset())
    return {
        ident: {"w": width, "h": height, "boxes": [_old_box(row, width, height) for row in rows]}
        for ident, (width, height, rows) in to_pixels(boxes, files.images()).items()
    }


def _old_box(row: np.ndarray, width: int, height: int) -> dict[str, float]:
    x1, y1, x2, y2, label = row
    sides = {"x1": x1 / width, "x2": x2 / width, "y1": y1 / height, "y2": y2 / height}
    return {"cls_id": int(label), **{name: float(side) for name, side in sides.items()}}


def _fingerprint(path: str) -> list[Any]:
    """Return path, size and modification time of a file or folder."""
    status = os.stat(path)
    return [os.path.abspath(path), status.st_size, status.st_mtime_ns]


def save_cache(path: StrPath, images: Mapping[str, SizedBoxes], made_from: Any) -> None:
    """Write what `to_pixels` returned, and what it was made from, to a .npz file."""
    counts = [len(rows) for _, _, rows in images.values()]
    with replacing(path) as temporary:
        np.savez(
            temporary,
            made_from=json.dumps(made_from),
            idents=list(images),
            sizes=[(width, height) for width, height, _ in images.values()],
            starts=np.cumsum([0, *counts]),
            rows=np.concatenate([rows for _, _, rows in images.values()]),
        )


def load_cache(path: StrPath, made_from: Any) -> dict[str, SizedBoxes] | None:
    """Return what `save_cache` wrote; None for a missing or damaged file, or other sources."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            if str(stored["made_from"]) != json.dumps(made_from):
                return None
            starts, rows = stored["starts"].tolist(), stored["rows"]
            sizes, idents = stored["sizes"].tolist(), stored["idents"].tolist()
    except Exception:  # NumPy and zipfile raise many types; in any case a new file replaces it
        return None
    return {
        ident: (*size, rows[start:end])
        for ident, size, start, end in zip(idents, sizes, starts[:-1], starts[1:], strict=True)
    }


class OpenImagesGenerator(LabelledGenerator):
    """A data set in Open Images form; images without boxes of the chosen classes are left out."""

    def __init__(
        self,
        main_dir: StrPath,
        subset: str,
        version: str = "v4",
        labels_filter: Sequence[str] | None = None,
        annotation_cache_dir: StrPath = ".",
        parent_label: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Read the annotations, or their cache.

        The size of every image is needed, which takes long for a million images. So boxes and
        sizes are cached in `annotation_cache_dir/oid_VERSION_SUBSET.npz`, which is written again
        when its sources have changed.

        Args:
            main_dir: folder of the data set; see `LAYOUTS` for where its files are.
            subset: "train", "validation" or "test".
            version: one of `LAYOUTS`.
            labels_filter: names of the classes to use, in the order of their labels; None for all.
            annotation_cache_dir: folder of the cache.
            parent_label: name of a class to use with all below it in the hierarchy, instead of
                `labels_filter`.
            **kwargs: for `Generator`.

        Raises:
            OSError: if a file cannot be read.
            ValueError: naming file and line, if one is malformed; for an unknown version, subset or
                class; or if there is no image.
        """
        files = Files(main_dir, subset, version)
        names = read_class_names(files)
        chosen = choose_classes(files, names, labels_filter, parent_label)
        cache = os.path.join(annotation_cache_dir, f"oid_{version}_{subset}.npz")
        images = _read(files, names, cache)
        labels = np.full(len(names), -1)
        known = list(names)
        labels[[known.index(ident) for ident in chosen]] = np.arange(len(chosen))
        images = _relabel(images, labels)
        if not images:
            raise ValueError(f"{files.images()}: no image has a box of the classes asked for")
        self.sizes = [(width, height) for width, height, _ in images.values()]
        classes = {names[ident]: label for label, ident in enumerate(chosen)}
        self.base_dir = files.images()
        paths = [os.path.join(self.base_dir, f"{ident}.jpg") for ident in images]
        super().__init__(classes, paths, [rows for _, _, rows in images.values()], **kwargs)

    def image_aspect_ratio(self, image_index: int) -> float:
        """Return the width of an image over its height."""
        width, height = self.sizes[image_index]
        return width / height


def _read(files: Files, names: Mapping[str, str], cache: str) -> dict[str, SizedBoxes]:
    """Return the boxes of all classes, from the cache if its sources are these files."""
    path, folder = files.metadata(*files.layout.boxes), files.images()
    held_out = files.held_out()
    sources = [path, folder] if held_out is None else [path, folder, held_out]
    made_from = [*map(_fingerprint, sources), list(names)]
    images = load_cache(cache, made_from)
    if images is None:
        labels = {ident: label for label, ident in enumerate(names)}
        images = to_pixels(read_boxes(path, labels, files.is_in_subset()), folder)
        save_cache(cache, images, made_from)
    return images


def _relabel(images: Mapping[str, SizedBoxes], labels: np.ndarray) -> dict[str, SizedBoxes]:
    """Return images with `labels[old]` for each label, without the boxes where that is -1."""
    relabelled = {}
    for ident, (width, height, rows) in images.items():
        new = labels[rows[:, 4].astype(int)]
        if (new >= 0).any():
            rows = np.column_stack([rows[:, :4], new])[new >= 0]
            relabelled[ident] = (width, height, rows)
    return relabelled
