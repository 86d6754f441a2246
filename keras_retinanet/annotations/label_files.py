"""Find the YOLO label files of images: `labels/a.txt` for `images/a.jpg`."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from keras_retinanet.system.messages import shorten

# Compared in lower case. `JPEGImages` is where Pascal VOC has its images.
_IMAGE_FOLDERS = ("images", "jpegimages")
_LABEL_FOLDERS = ("labels", "label", "annotations")
_USUAL = "labels"
# Tools write the class names beside the labels.
_NO_LABELS = ("classes.txt",)
_OTHER_LABELS = (".json", ".xml", ".csv")


@dataclass(frozen=True)
class LabelFiles:
    """The label files of some images.

    Attributes:
        paths: the label file of each image; None if it has none.
        unlabelled: folders of images of which none has a label file, though others have.
        unusual: folders of label files that are not where `label_path` looks first.
        without_image: label files that belong to none of the images.
        expected: where the label file of the first image is looked for first, for messages.
        found_instead: what there is in place of label files, in words, if there is none.
    """

    paths: list[str | None]
    unlabelled: list[str]
    unusual: list[str]
    without_image: list[str]
    expected: str
    found_instead: str


def label_path(image_path: str) -> str:
    """Return the label file of an image, or where it is expected: the suffix becomes `.txt`.

    The last folder `images`, in any case, becomes `labels`. If there is no label file there, other
    names for that folder are tried, such as `Labels` and `annotations`, then other folders above,
    then the folder of the image.
    """
    return find_label_files([image_path]).paths[0] or _expected(image_path)


def _expected(image_path: str) -> str:
    folder, name = os.path.split(image_path)
    return os.path.join(_usual_folder(folder), f"{os.path.splitext(name)[0]}.txt")


def find_label_files(images: Sequence[str]) -> LabelFiles:
    """Return the label files of some images, at least one; see `label_path`."""
    by_folder: dict[str, dict[str, int]] = defaultdict(dict)
    stems = [os.path.splitext(os.path.basename(image))[0] for image in images]
    for index, (image, stem) in enumerate(zip(images, stems, strict=True)):
        by_folder[os.path.dirname(image)][stem] = index
    paths: list[str | None] = [None] * len(images)
    unlabelled, unusual, used = [], [], {}
    claimed: dict[str, set[str]] = defaultdict(set)
    for folder, index_of in by_folder.items():
        labels, names = _label_folder(folder, index_of)
        claimed[labels] |= index_of.keys()
        # Where labels are beside the images, a text file may be anything.
        if labels != folder:
            used[labels] = names
        if names.keys().isdisjoint(index_of):
            unlabelled.append(folder)
        elif labels != _usual_folder(folder):
            unusual.append(labels)
        for stem in index_of.keys() & names.keys():
            paths[index_of[stem]] = os.path.join(labels, names[stem])
    # A stem may occur twice in a folder: `a.jpg` and `a.png` share their labels.
    for index, (image, stem) in enumerate(zip(images, stems, strict=True)):
        paths[index] = paths[by_folder[os.path.dirname(image)][stem]]
    without_image = [
        os.path.join(labels, name)
        for labels, names in used.items()
        for stem, name in names.items()
        if stem not in claimed[labels]
    ]
    first = os.path.dirname(images[0])
    return LabelFiles(
        paths,
        unlabelled,
        unusual,
        sorted(without_image),
        _tail(_expected(images[0])),
        "" if any(paths) else _found_instead(first),
    )


def _label_folder(folder: str, stems: Mapping[str, int]) -> tuple[str, dict[str, str]]:
    """Return the folder of the labels for images of some stems in a folder, and its label files."""
    for place in _places(folder):
        names = _text_files(place)
        if not names.keys().isdisjoint(stems):
            return place, names
    usual = _usual_folder(folder)
    return usual, _text_files(usual)


def _usual_folder(folder: str) -> str:
    return next(_places(folder))


def _places(folder: str) -> Iterator[str]:
    """Yield the folders where the labels of the images in a folder may be, the usual one first."""
    yield from _beside_images_folder(folder)
    yield folder
    # For images in the current folder, say, or behind a link.
    yield from _beside_images_folder(os.path.abspath(folder))
    yield from _beside_images_folder(os.path.realpath(folder))


def _beside_images_folder(folder: str) -> Iterator[str]:
    """Yield a path with each part `images`, from the last, replaced by the folders of labels."""
    parts = folder.replace("/", os.sep).split(os.sep)
    for at in reversed(range(len(parts))):
        if parts[at].lower() in _IMAGE_FOLDERS:
            above = os.sep.join(parts[:at]) + os.sep if at else ""
            for name in (_USUAL, *_other_label_folders(above)):
                yield os.path.join(above + name, *parts[at + 1 :])


def _other_label_folders(folder: str) -> list[str]:
    """Return the names of folders of labels in a folder, except the usual one."""
    names = [name for name in _listed(folder) if name.lower() in _LABEL_FOLDERS and name != _USUAL]
    return sorted(names, key=lambda name: (_LABEL_FOLDERS.index(name.lower()), name))


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []


def _text_files(folder: str) -> dict[str, str]:
    """Return stem -> name of the text files in a folder that may be label files."""
    splits = ((os.path.splitext(name), name) for name in _listed(folder))
    return {
        stem: name
        for (stem, suffix), name in splits
        if suffix.lower() == ".txt" and name not in _NO_LABELS
    }


def _found_instead(folder: str) -> str:
    """Return in words what is where the labels of the images in a folder are looked for."""
    for place in _places(folder):
        names = sorted(_listed(place))
        if place == folder:
            names = [name for name in names if name.lower().endswith(_OTHER_LABELS)]
        if names:
            return f"{_tail(place)} has {len(names)} entries such as {shorten(names[0], 40)}"
    above = os.path.dirname(_usual_folder(folder))
    if not os.path.isdir(above or "."):
        above = os.path.dirname(above)
    names = sorted(name for name in _listed(above) if os.path.isdir(os.path.join(above, name)))
    folders = shorten(", ".join(names), 40) or "none"
    return f"{_tail(above) or 'the current folder'} has the folders {folders}"


def _tail(path: str) -> str:
    """Return the last parts of a path, enough to recognise it."""
    parts = path.split(os.sep)
    return shorten(path if len(parts) < 4 else os.sep.join(["...", *parts[-3:]]), 50)
