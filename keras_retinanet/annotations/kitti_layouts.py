"""Where the label files and images of a data set in KITTI form are."""

import os

from keras_retinanet.system.files import only_regular
from keras_retinanet.system.types import StrPath

# Folders of label files and of images: as keras-retinanet 1.0.0 wants them, and as downloaded.
_LABELS = ("labels", "label_2")
_IMAGES = ("images", "image_2")
# Fields of a line: all; with a detection's score; or without those of the object in space.
FIELD_COUNTS = (15, 16, 8)
# Label files to look into, since a file is empty where an image has no objects.
_MAX_FILES = 20


def recognises(path: StrPath) -> bool:
    """Return whether there are sets in KITTI form below a folder.

    `labels/` and `images/` may be those of YOLO, so the first line of a label file decides.
    """
    return any(_looks_like_kitti(labels) for labels, _ in find_sets(path).values())


def find_sets(path: StrPath) -> dict[str, tuple[str, str]]:
    """Return set name -> folders of its label files and of its images, sorted by name.

    A set is a folder with `labels/` or `label_2/`. The data set as downloaded has one, `training`,
    which may be the path itself: `testing` has no labels. Empty if there is no set.
    """
    try:
        names = sorted(os.listdir(path))
    except OSError:
        return {}
    sets = {name: _set_in(os.path.join(path, name)) for name in names if not name.startswith(".")}
    found = {name: folders for name, folders in sets.items() if folders is not None}
    if not found and os.path.isdir(os.path.join(path, "label_2")):
        itself = _set_in(os.fspath(path))
        found = {os.path.basename(os.path.abspath(path)): itself} if itself else {}
    return found


def find_set(path: StrPath, subset: str) -> tuple[str, str]:
    """Return the folders of the label files and of the images of a set.

    `train` is also the set `training` of the data as downloaded. If there is no such set, the
    folders are those where it was expected.
    """
    sets = find_sets(path)
    is_download = len(sets) == 1 and not os.path.isdir(os.path.join(path, subset))
    if subset in ("train", "training") and is_download:
        (folders,) = sets.values()
        if os.path.basename(folders[0]) == _LABELS[1]:
            return folders
    folder = os.path.join(path, subset)
    return sets.get(subset, (os.path.join(folder, _LABELS[0]), os.path.join(folder, _IMAGES[0])))


def _set_in(folder: str) -> tuple[str, str] | None:
    """Return the folders of label files and images of a set; None if it has no label files."""
    labels, images = (
        [os.path.join(folder, name) for name in names] for names in (_LABELS, _IMAGES)
    )
    for index, path in enumerate(labels):
        if os.path.isdir(path):
            return path, next(filter(os.path.isdir, images), images[index])
    return None


def _looks_like_kitti(folder: str) -> bool:
    """Return whether the first label file in a folder that is not empty has lines of KITTI."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".txt"))
    for name in names[:_MAX_FILES]:
        try:
            with open(os.path.join(folder, name), "rb", opener=only_regular) as file:
                fields = file.readline(1000).split()
        except (OSError, ValueError):
            return False
        if fields:
            return len(fields) in FIELD_COUNTS and fields[0][:1].isalpha()
    return False
