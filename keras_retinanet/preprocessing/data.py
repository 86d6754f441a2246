"""What to train and evaluate on, as a value: one frozen dataclass for each format.

Nothing is read until a set is opened. Nothing here imports TensorFlow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from keras_retinanet.system.types import StrPath

if TYPE_CHECKING:
    from keras_retinanet.preprocessing.generator import Generator


class TrainingData(ABC):
    """A set to train on and perhaps one to evaluate on.

    Attributes:
        name: the format, as in the command line and the names of snapshots.
    """

    name: ClassVar[str]

    @abstractmethod
    def open_training(self, **arguments: Any) -> Generator:
        """Return the set to train on.

        Args:
            **arguments: for `Generator`.

        Raises:
            OSError: if a file cannot be read.
            ValueError: naming file and line or entry, if one is malformed.
        """

    @abstractmethod
    def open_validation(self, **arguments: Any) -> Generator | None:
        """Return the set to evaluate on, None if there is none; as `open_training` otherwise."""


class _NamedSets(TrainingData):
    """Data whose sets have names."""

    train_set: str
    val_set: str

    @abstractmethod
    def open_set(self, set_name: str, **arguments: Any) -> Generator:
        """Return the set of a name."""

    def open_training(self, **arguments: Any) -> Generator:
        return self.open_set(self.train_set, **arguments)

    def open_validation(self, **arguments: Any) -> Generator:
        return self.open_set(self.val_set, **arguments)


@dataclass(frozen=True)
class CocoData(_NamedSets):
    """A data set in COCO form.

    Attributes:
        path: folder with `annotations/instances_SET.json` and `images/SET/`.
        train_set: set to train on.
        val_set: set to evaluate on.
    """

    name: ClassVar[str] = "coco"
    path: StrPath
    train_set: str = "train2017"
    val_set: str = "val2017"

    def open_set(self, set_name: str, **arguments: Any) -> Generator:
        """Return the set of a name; see `CocoGenerator`."""
        from keras_retinanet.preprocessing.coco import CocoGenerator

        return CocoGenerator(self.path, set_name, **arguments)


@dataclass(frozen=True)
class CSVData(TrainingData):
    """A data set in CSV files; see `CSVGenerator`.

    Attributes:
        annotations: file of rows `path,x1,y1,x2,y2,class_name` to train on.
        classes: file of rows `class_name,id`.
        val_annotations: file to evaluate on; None for none.
    """

    name: ClassVar[str] = "csv"
    annotations: StrPath
    classes: StrPath
    val_annotations: StrPath | None = None

    def open_training(self, **arguments: Any) -> Generator:
        """Return the set to train on."""
        from keras_retinanet.preprocessing.csv_generator import CSVGenerator

        return CSVGenerator(self.annotations, self.classes, **arguments)

    def open_validation(self, **arguments: Any) -> Generator | None:
        """Return the set to evaluate on, None if there is none."""
        from keras_retinanet.preprocessing.csv_generator import CSVGenerator

        if self.val_annotations is None:
            return None
        return CSVGenerator(self.val_annotations, self.classes, **arguments)


@dataclass(frozen=True)
class PascalData(_NamedSets):
    """A data set in PASCAL VOC form.

    Attributes:
        path: folder with `ImageSets/Main/`, `Annotations/` and `JPEGImages/`.
        train_set: set to train on.
        val_set: set to evaluate on.
        classes: CSV file of rows `class_name,id`; None for the 20 classes of VOC.
        image_extension: extension of the image files, tried before the usual ones; None for none.
        skip_truncated: whether to leave out objects marked as truncated.
        skip_difficult: whether to leave out objects marked as difficult.
    """

    name: ClassVar[str] = "pascal"
    path: StrPath
    train_set: str = "train"
    val_set: str = "val"
    classes: StrPath | None = None
    image_extension: str | None = None
    skip_truncated: bool = False
    skip_difficult: bool = False

    def open_set(self, set_name: str, **arguments: Any) -> Generator:
        """Return the set of a name; see `PascalVocGenerator`."""
        from keras_retinanet.preprocessing.csv_generator import read_classes
        from keras_retinanet.preprocessing.pascal_voc import PascalVocGenerator

        if self.classes is not None:
            arguments["classes"] = read_classes(self.classes)
        return PascalVocGenerator(
            self.path,
            set_name,
            image_extension=self.image_extension,
            skip_truncated=self.skip_truncated,
            skip_difficult=self.skip_difficult,
            **arguments,
        )


@dataclass(frozen=True)
class KittiData(_NamedSets):
    """A data set in KITTI form.

    Attributes:
        path: folder of the sets, each with `labels/` and `images/`.
        train_set: folder to train on.
        val_set: folder to evaluate on.
    """

    name: ClassVar[str] = "kitti"
    path: StrPath
    train_set: str = "train"
    val_set: str = "val"

    def open_set(self, set_name: str, **arguments: Any) -> Generator:
        """Return the set of a name; see `KittiGenerator`."""
        from keras_retinanet.preprocessing.kitti import KittiGenerator

        return KittiGenerator(self.path, set_name, **arguments)


@dataclass(frozen=True)
class OpenImagesData(_NamedSets):
    """A data set in Open Images form.

    Attributes:
        path: folder of the data set.
        version: such as "v7"; one of `annotations.open_images_layouts.LAYOUTS`.
        labels_filter: names of the classes to use; None for all.
        parent_label: name of a class to use with all classes below it; takes precedence over
            `labels_filter`.
        annotation_cache_dir: folder where boxes and image sizes are cached.
        train_set: subset to train on.
        val_set: subset to evaluate on.
    """

    name: ClassVar[str] = "oid"
    path: StrPath
    version: str = "v4"
    labels_filter: Sequence[str] | None = None
    parent_label: str | None = None
    annotation_cache_dir: StrPath = "."
    train_set: str = "train"
    val_set: str = "validation"

    def open_set(self, set_name: str, **arguments: Any) -> Generator:
        """Return the set of a name; see `OpenImagesGenerator`."""
        from keras_retinanet.preprocessing import open_images

        return open_images.OpenImagesGenerator(
            self.path,
            set_name,
            version=self.version,
            labels_filter=self.labels_filter,
            annotation_cache_dir=self.annotation_cache_dir,
            parent_label=self.parent_label,
            **arguments,
        )


@dataclass(frozen=True)
class YoloData(_NamedSets):
    """A data set in YOLO form.

    Attributes:
        path: `data.yaml`, or its folder.
        train_set: set to train on: "train", "val" or "test".
        val_set: set to evaluate on.
    """

    name: ClassVar[str] = "yolo"
    path: StrPath
    train_set: str = "train"
    val_set: str = "val"

    def open_set(self, set_name: str, **arguments: Any) -> Generator:
        """Return the set of a name; see `YoloGenerator`."""
        from keras_retinanet.preprocessing.yolo import YoloGenerator

        return YoloGenerator(self.path, set_name, **arguments)


@dataclass(frozen=True)
class ShapesData(_NamedSets):
    """The built-in data set of drawn shapes, which needs no files.

    Attributes:
        train_set: set to train on.
        val_set: set to evaluate on.
    """

    name: ClassVar[str] = "shapes"
    train_set: str = "train"
    val_set: str = "val"

    def open_set(self, set_name: str, **arguments: Any) -> Generator:
        """Return the set of a name; see `ShapesGenerator`."""
        from keras_retinanet.preprocessing.shapes import ShapesGenerator

        return ShapesGenerator(set_name, **arguments)
