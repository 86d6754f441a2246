"""Recognise the form of a data set by its files."""

from __future__ import annotations

import os
from collections.abc import Callable

from keras_retinanet.annotations import (
    coco_layouts,
    kitti_layouts,
    open_images_layouts,
    voc_layouts,
    yolo_layouts,
)
from keras_retinanet.annotations.csv_files import find_csv_files
from keras_retinanet.preprocessing.data import (
    CocoData,
    CSVData,
    KittiData,
    OpenImagesData,
    PascalData,
    TrainingData,
    YoloData,
)
from keras_retinanet.system.types import StrPath


def recognise(path: StrPath) -> list[TrainingData]:
    """Return the data that a path may stand for, one for each form that fits; few files are read.

    Args:
        path: a folder, or a file such as `data.yaml` or a CSV file of boxes.

    Raises:
        OSError: if there is nothing at the path.
        ValueError: if a folder has several files of the same form.
    """
    os.stat(path)
    found = (form(path) for form in _FORMS)
    return [data for data in found if data is not None]


def _coco(path: StrPath) -> TrainingData | None:
    return CocoData(path) if coco_layouts.recognises(path) else None


def _csv(path: StrPath) -> TrainingData | None:
    files = find_csv_files(path)
    if files is None:
        return None
    return CSVData(files.annotations, files.classes, files.val_annotations)


def _pascal(path: StrPath) -> TrainingData | None:
    return PascalData(path) if voc_layouts.recognises(path) else None


def _kitti(path: StrPath) -> TrainingData | None:
    return KittiData(path) if kitti_layouts.recognises(path) else None


def _open_images(path: StrPath) -> TrainingData | None:
    version = open_images_layouts.find_version(path)
    return OpenImagesData(path, version) if version is not None else None


def _yolo(path: StrPath) -> TrainingData | None:
    return YoloData(path) if yolo_layouts.is_yolo(path) else None


_FORMS: tuple[Callable[[StrPath], TrainingData | None], ...] = (
    *(_coco, _csv, _pascal, _kitti, _open_images, _yolo),
)
