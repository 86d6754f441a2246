"""Data sets in Open Images form: versions 3 to 7 and the challenge of 2018.

The formats are those of https://storage.googleapis.com/openimages/web/download_v7.html: a CSV file
of boxes for each subset, in fractions of the image's sides, and class names in another.
"""

import json
import os
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_retinanet.annotations import fractions
from keras_retinanet.annotations.open_images_layouts import (
    Files,
    choose_classes,
    find_hierarchy_parent,
    image_folders,
    image_paths,
    load_hierarchy_children,
    read_class_names,
    read_hierarchy,
)
from keras_retinanet.annotations.text import (
    bounded_lines,
    csv_rows,
    finite_number,
    naming_file,
    read_text,
)
from keras_retinanet.images import image_size
from keras_retinanet.preprocessing.labelled import LabelledGenerator
from keras_retinanet.system.array_files import load_arrays
from keras_retinanet.system.files import only_regular, read_ends, replacing
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
_COLUMNS = ("ImageID", "LabelName", *_SIDES)


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
            malformed or reversed box, boxes that mostly are no fractions, or text that is not
            UTF-8.
    """
    # The file may be larger than memory, so it is not read at once.
    with (
        open(path, newline="", encoding="utf-8-sig", opener=only_regular) as file,
        naming_file(path),
    ):
        try:
            return _read_rows(csv_rows(bounded_lines(file)), labels, keep)
        except UnicodeDecodeError:
            pass
    read_text(path)  # raises an error that names the line
    raise ValueError(f"{path}: expected UTF-8 text")  # another program has changed the file


def _read_rows(
    rows: Iterator[tuple[int, list[str]]],
    labels: Mapping[str, int],
    keep: Callable[[str], bool] | None,
) -> dict[str, list[tuple]]:
    line, columns = next(rows, (1, []))
    missing = {*_COLUMNS} - set(columns)
    if missing:
        raise ValueError(f"line {line}: expected the columns {sorted(missing)}")
    ident_at, name_at, *sides_at = map(columns.index, _COLUMNS)
    boxes: dict[str, list[tuple]] = {}
    far_lines, total = [], 0
    for line, row in rows:
        if len(row) < len(columns):
            raise ValueError(f"line {line}: expected {len(columns)} columns, got {len(row)}")
        ident, label = row[ident_at], labels.get(row[name_at])
        if label is not None and (keep is None or keep(ident)):
            box = _parse([row[at] for at in sides_at], f"line {line}")
            boxes.setdefault(ident, []).append((*box, label))
            total += 1
            if min(box) < fractions.FAR_BELOW or max(box) > fractions.FAR_ABOVE:
                far_lines.append(line)
    if 2 * len(far_lines) > total:
        raise ValueError(
            f"line {far_lines[0]}: expected fractions of the image's sides, 0 to 1: it and "
            f"{len(far_lines) - 1} other of {total} boxes are not: are they pixels?"
        )
    return boxes


def _parse(texts: Sequence[str], place: str) -> tuple[float, ...]:
    x1, y1, x2, y2 = (
        finite_number(text, f"{place}: malformed {key}")
        for text, key in zip(texts, _SIDES, strict=True)
    )
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
        folder: the folder of the images `ID.jpg`, or of folders with them.

    Returns:
        Dictionary of image id -> (width, height, array `(n, 5)` of `x1, y1, x2, y2, label`).

    Raises:
        ValueError: if there is no image.
    """
    images: dict[str, SizedBoxes] = {}
    absent, thin = [], []
    paths = image_paths(folder, boxes)
    for (ident, rows), path in zip(boxes.items(), paths, strict=True):
        try:
            width, height = image_size(path)
        except (OSError, ValueError):
            absent.append(path)
            continue
        pixels = np.array(rows)
        pixels[:, :4] = fractions.scale(pixels[:, :4], np.array([width, height]))
        rounded = np.round(pixels)
        kept = (rounded[:, 2] > rounded[:, 0]) & (rounded[:, 3] > rounded[:, 1])
        thin += [path] * int((~kept).sum())
        if kept.any():
            images[ident] = (width, height, pixels[kept])
    if not images:
        first = f", the first: {absent[0]}" if absent else ""
        raise ValueError(
            f"{folder}: expected images, found none of the {len(boxes)} annotated{first}"
        )
    for left_out, text in (
        (absent, "images, missing or unreadable"),
        (thin, "boxes thinner than a pixel"),
    ):
        if left_out:
            warnings.warn(
                f"{folder}: left out {len(left_out)} {text}, the first: {left_out[0]}", stacklevel=3
            )
    return images


def load_hierarchy(metadata_dir: StrPath, version: str = "v4") -> dict[str, Any]:
    """Return the hierarchy of classes in a metadata folder."""
    files = Files("", "train", version, metadata_dir)
    return read_hierarchy(files.metadata(files.layout.hierarchy))


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
    """Return path, size and modification time of a file or folder, and a hash of a file's ends."""
    status, ends = (os.stat(path), b"") if os.path.isdir(path) else read_ends(path)
    return [os.path.abspath(path), status.st_size, status.st_mtime_ns, zlib.crc32(ends)]


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


def load_cache(path: StrPath, made_from: Any, num_classes: int) -> dict[str, SizedBoxes] | None:
    """Return what `save_cache` wrote; None for a missing or damaged file, or other sources.

    Args:
        path: the file.
        made_from: what the cache must have been made from.
        num_classes: labels must be below.
    """
    types = {"made_from": "U", "idents": "U", "sizes": "i8", "starts": "i8", "rows": "f8"}
    try:
        stored = load_arrays(path, types)
        sources, idents = str(stored["made_from"]), stored["idents"].tolist()
    except (OSError, ValueError):  # a new file replaces it
        return None
    sizes, starts, rows = stored["sizes"], stored["starts"], stored["rows"]
    if sources != json.dumps(made_from) or not _fit(idents, sizes, starts, rows, num_classes):
        return None
    return {
        ident: (*size, rows[start:end])
        for ident, size, start, end in zip(
            idents, sizes.tolist(), starts[:-1].tolist(), starts[1:].tolist(), strict=True
        )
    }


def _fit(
    idents: list[str], sizes: np.ndarray, starts: np.ndarray, rows: np.ndarray, num_classes: int
) -> bool:
    """Return whether the arrays of a cache fit each other and hold possible values."""
    count = len(idents)
    shapes = sizes.shape, starts.shape, rows.shape[1:]
    if shapes != ((count, 2), (count + 1,), (5,)) or len(set(idents)) < count:
        return False
    if starts[0] != 0 or starts[-1] != len(rows) or (starts[1:] <= starts[:-1]).any():
        return False
    x1, y1, x2, y2, labels = rows.T
    return bool(
        ((sizes >= 1) & (sizes < 2**31)).all()
        and np.isfinite(rows).all()
        and ((x1 < x2) & (y1 < y2)).all()
        and ((labels >= 0) & (labels < num_classes) & (labels == np.floor(labels))).all()
    )


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
        paths = image_paths(self.base_dir, images)
        super().__init__(
            classes,
            paths,
            [rows for _, _, rows in images.values()],
            sizes=np.array(self.sizes, "float64"),
            **kwargs,
        )
        self.sizes = self.kept(self.sizes)


def _read(files: Files, names: Mapping[str, str], cache: str) -> dict[str, SizedBoxes]:
    """Return the boxes of all classes, from the cache if its sources are these files."""
    path, folder = files.metadata(*files.layout.boxes), files.images()
    held_out = files.held_out()
    sources = [path, folder, *image_folders(folder), *([held_out] if held_out else [])]
    made_from = [*map(_fingerprint, sources), list(names)]
    images = load_cache(cache, made_from, len(names))
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
