"""Find the CSV files of a data set in a folder."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from keras_retinanet.annotations.csv_boxes import FIND_CLASSES, has_boxes
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

_TRAIN, _VAL = ("train", "training"), ("val", "valid", "validation")
# `{}` stands for the set: Roboflow, `retinanet-train shapes --export`, TensorFlow's tutorials.
_OF_SET = (
    "{}/_annotations.csv",
    "{}.csv",
    "{}_labels.csv",
    "{}_annotations.csv",
    "annotations_{}.csv",
    "{}/annotations.csv",
    "{}/labels.csv",
)
_CLASSES = ("classes.csv", "_classes.csv")
_OTHER_FORMS = (".yaml", ".yml", ".json", ".xml")


@dataclass(frozen=True)
class CSVFiles:
    """The files of a data set.

    Attributes:
        annotations: the boxes to train on.
        classes: the file of class names; "-" if there is none.
        val_annotations: the boxes to evaluate on; None if there are none.
    """

    annotations: str
    classes: str
    val_annotations: str | None


def find_csv_files(path: StrPath) -> CSVFiles | None:
    """Return the CSV files of boxes of a data set; None if there are none.

    Args:
        path: a file of boxes, or a folder with one, or one for each set, such as `train.csv` and
            `val.csv`, or `train/_annotations.csv`. A `classes.csv` beside them is used.

    Raises:
        ValueError: if a folder has several files of boxes, and none is named after a set.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        found = path if _is_of_boxes(path) else None
        return None if found is None else CSVFiles(found, _classes(os.path.dirname(path)), None)
    training = _of_set(path, _TRAIN)
    if training is not None:
        classes = _classes(path, os.path.dirname(training))
        return CSVFiles(training, classes, _of_set(path, _VAL))
    try:
        names = sorted(name for name in os.listdir(path) if name.lower().endswith(".csv"))
    except OSError:
        return None
    # Any number of files may be there: a few tell that it is not clear which is meant.
    found_names = [name for name in names[:20] if _is_of_boxes(os.path.join(path, name))]
    if len(found_names) > 1:
        raise ValueError(
            f"{path}: expected one CSV file of boxes, or one called train.csv, got "
            f"{shorten(', '.join(found_names), 100)}: name the one to use in place of the folder"
        )
    if not found_names:
        return None
    return CSVFiles(os.path.join(path, found_names[0]), _classes(path), None)


def _of_set(folder: str, keys: Iterable[str]) -> str | None:
    """Return the file of boxes of a set that may have one of some names."""
    paths = (os.path.join(folder, form.format(key)) for key in keys for form in _OF_SET)
    return next((path for path in paths if _is_of_boxes(path)), None)


def _is_of_boxes(path: str) -> bool:
    if path.lower().endswith(_OTHER_FORMS):  # a list in YAML may look like a row
        return False
    try:
        return has_boxes(path)
    except OSError:
        return False


def _classes(*folders: str) -> str:
    paths = (os.path.join(folder, name) for folder in folders for name in _CLASSES)
    return next(filter(os.path.isfile, paths), FIND_CLASSES)
