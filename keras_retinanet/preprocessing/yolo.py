"""Data sets in YOLO form: `data.yaml`, folders of images, and a text file of labels for each image.

The format is that of https://docs.ultralytics.com/datasets/detect/: `labels/` lies where `images/`
does, and a line is `class x y width height`, centre and size as shares of the image's sides; or
`class x1 y1 x2 y2 x3 y3 ...`, the outline of an object, of which the box is taken.
"""

import os

import yaml

from keras_retinanet.images import image_size
from keras_retinanet.preprocessing.labelled import (
    LabelledGenerator,
    finite_number,
    parse_lines,
)

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# Tools round to six digits, so a box may leave its image by less than this share of a side.
_TOLERANCE = 1e-3


def read_description(path) -> dict:
    """Return what a `data.yaml` says.

    Returns:
        `{"classes": name -> label, "root": folder, "sets": set name -> entry}`; an entry is a path
        or a list of paths, relative to the root.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is no YAML or has no class names, or not `nc` of them.
    """
    with open(path, encoding="utf-8-sig") as file:
        try:
            content = yaml.safe_load(file)
        except yaml.YAMLError as error:
            raise ValueError(f"{path}: expected YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not content.get("names"):
        raise ValueError(f"{path}: expected the key 'names' with the classes")
    names = content["names"]
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
    return {"classes": classes, "root": root, "sets": sets}


def find_images(root, entries) -> list[str]:
    """Return the image files that an entry such as `train: images/train` stands for, sorted.

    Args:
        root: folder where relative paths start.
        entries: a folder, a text file with a path in each line, or a list of these. Paths in a text
            file that begin with `./` start where the file is.

    Raises:
        OSError: if a folder or text file does not exist.
        ValueError: if there is no image.
    """
    entries = entries if isinstance(entries, list) else [entries]
    images = []
    for entry in entries:
        place = os.path.join(root, entry)
        if entry.startswith("../") and not os.path.exists(place):
            # Some tools write `../train/images` into a data.yaml that lies beside `train`.
            place = os.path.join(root, entry.removeprefix("../"))
        images += _listed(place, root) if place.endswith(".txt") else _in_folder(place)
    if not images:
        raise ValueError(f"{', '.join(entries)} in {root}: expected images, found none")
    return images


def _listed(place, root):
    folder = os.path.dirname(place)
    with open(place, encoding="utf-8-sig") as file:
        names = [line.strip() for line in file if line.strip()]
    starts = [folder if name.startswith("./") else root for name in names]
    return [
        os.path.normpath(os.path.join(start, name))
        for start, name in zip(starts, names, strict=True)
    ]


def _in_folder(folder):
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"folder of images not found: {folder}")
    files = (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    return sorted(file for file in files if file.lower().endswith(IMAGE_SUFFIXES))


def label_path(image_path) -> str:
    """Return the label file of an image: its last folder `images` is `labels`, its end `.txt`."""
    head, sep, tail = image_path.rpartition(f"{os.sep}images{os.sep}")
    base = f"{head}{os.sep}labels{os.sep}{tail}" if sep else image_path
    return os.path.splitext(base)[0] + ".txt"


def read_labels(path, size, labels) -> list[tuple]:
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


def _parse(fields, place, size, labels):
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        raise ValueError(
            f"{place}: expected 'class x y width height' or 'class x1 y1 x2 y2 x3 y3 ...', "
            f"got {len(fields)} fields"
        )
    label = finite_number(fields[0], f"{place}: malformed class", int)
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
        raise ValueError(f"{place}: expected shares of the image's sides, 0 to 1, got {fields[1:]}")
    x1, y1, x2, y2 = (min(max(side, 0.0), 1.0) for side in sides)
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"{place}: expected a width and a height above 0, got {fields[1:]}")
    return x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1], label


class YoloGenerator(LabelledGenerator):
    """A data set in YOLO form."""

    def __init__(self, data_file, set_name="train", **kwargs):
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
        paths = find_images(description["root"], description["sets"][set_name])
        labels = set(description["classes"].values())
        annotations = [_annotations(path, labels) for path in paths]
        super().__init__(description["classes"], paths, annotations, source=data_file, **kwargs)


def _annotations(image_path, labels):
    """Return the boxes of an image; those of an unreadable one do not matter: it is skipped."""
    try:
        size = image_size(image_path)
    except (OSError, ValueError):
        size = (1, 1)
    return read_labels(label_path(image_path), size, labels)
