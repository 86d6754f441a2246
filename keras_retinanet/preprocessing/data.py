"""What to train and evaluate on, as a value: one frozen dataclass for each format.

Nothing is read until a set is opened. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

if TYPE_CHECKING:
    from keras_retinanet.annotations.voc_layouts import VocLayout
    from keras_retinanet.preprocessing.generator import Generator


class TrainingData(ABC):
    """A set to train on and perhaps one to evaluate on.

    Attributes:
        name: the format, as in the command line and the names of snapshots.
    """

    name: ClassVar[str]

    @abstractmethod
    def open_training(
        self, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator:
        """Return the set to train on.

        Args:
            known_classes: class name -> label of the model, for formats whose class names are found
                in the files; None to find them.
            **arguments: for `Generator`.

        Raises:
            OSError: if a file cannot be read.
            ValueError: naming file and line or entry, if one is malformed.
        """

    @abstractmethod
    def open_validation(
        self, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator | None:
        """Return the set to evaluate on, None if there is none; as `open_training` otherwise."""

    def training_source(self) -> str:
        """Return the set to train on in words, for messages."""
        return "the set to train on"


class _NamedSets(TrainingData):
    """Data whose sets have names.

    Attributes:
        usual_train: names of the set to train on, the first that is there counts.
        usual_val: the same for the set to evaluate on.
        train_set: set to train on; None for a usual one, or the only one there is.
        val_set: set to evaluate on; None for a usual one, if there is one.
    """

    usual_train: ClassVar[Sequence[str]] = ("train",)
    usual_val: ClassVar[Sequence[str]] = ("val", "valid", "validation")
    train_set: str | None
    val_set: str | None

    @abstractmethod
    def set_names(self) -> list[str]:
        """Return the names of the sets there are, without reading them; none if none is found."""

    @abstractmethod
    def open_set(
        self, set_name: str, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator:
        """Return the set of a name; arguments and errors of `open_training`."""

    def open_training(
        self, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator:
        name = self._checked(self.train_set) or self._training_set()
        return self.open_set(name, known_classes=known_classes, **arguments)

    def open_validation(
        self, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator | None:
        name = self._checked(self.val_set) or self._validation_set()
        if name is None:
            return None
        return self.open_set(name, known_classes=known_classes, **arguments)

    def training_source(self) -> str:
        return f"the set {self.train_set or self._training_set()!r}"

    def _training_set(self) -> str:
        """Return the name of the set to train on, if nobody named it."""
        names = self.set_names()
        usual = [name for each in self.usual_train for name in names if name.lower() == each]
        if not usual and len(names) == 1:
            return names[0]
        if not usual and names:
            raise ValueError(
                f"{self._place()}: expected the set {' or '.join(map(repr, self.usual_train))} to "
                f"train on, or the name of another (sets: {shorten(', '.join(names), 100)})"
            )
        return (usual or self.usual_train)[0]

    def _validation_set(self) -> str | None:
        """Return the name of the set to evaluate on, if nobody named it; None for none."""
        names = self.set_names()
        if not names:  # opening one says why
            return self.usual_val[0]
        found = [name for each in self.usual_val for name in names if name.lower() == each]
        trained = names[0] if self.train_set is None and len(names) == 1 else self.train_set
        return next((name for name in found if name != trained), None)

    def _checked(self, name: str | None) -> str | None:
        """Return a name that somebody gave; raise ValueError if there is no such set, but others.

        If no set is found at all, opening one says why.
        """
        names = self.set_names() if name is not None else []
        if names and name not in names:
            raise ValueError(
                f"{self._place()}: no set {shorten(repr(name), 60)} "
                f"(sets: {shorten(', '.join(names), 100)})"
            )
        return name

    def _place(self) -> str:
        return shorten(getattr(self, "path", self.name), 120)


@dataclass(frozen=True)
class CocoData(_NamedSets):
    """A data set in COCO form.

    Attributes:
        path: folder of one of the layouts of `annotations.coco_layouts.find_sets`, or a JSON file.
        train_set: set to train on; None for the usual one. It may be a JSON file, too.
        val_set: set to evaluate on; None for the usual one, if there is one.
        images: folder of the images; None to look for it beside the annotations.
    """

    name: ClassVar[str] = "coco"
    path: StrPath
    usual_train: ClassVar[Sequence[str]] = ("train2017", "train")
    usual_val: ClassVar[Sequence[str]] = ("val2017", "val", "valid", "validation")
    train_set: str | None = None
    val_set: str | None = None
    images: StrPath | None = None

    def set_names(self) -> list[str]:
        """Return the sets with an annotation file."""
        from keras_retinanet.annotations import coco_layouts

        return list(coco_layouts.find_sets(self.path))

    def open_set(
        self, set_name: str, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator:
        """Return the set of a name; see `CocoGenerator`."""
        from keras_retinanet.preprocessing.coco import CocoGenerator

        return CocoGenerator(self.path, set_name, images_dir=self.images, **arguments)

    def _checked(self, name: str | None) -> str | None:
        return name  # it may be a file, beside a path that is one; opening it says what is there


@dataclass(frozen=True)
class CSVData(TrainingData):
    """A data set in CSV files; see `CSVGenerator`.

    Attributes:
        annotations: file of boxes to train on.
        classes: file of rows `class_name,id`; "-" to find the classes in `annotations`.
        val_annotations: file to evaluate on; None for none.
        base_dir: where relative paths of images start; None for the folder of each file.
    """

    name: ClassVar[str] = "csv"
    annotations: StrPath
    classes: StrPath
    val_annotations: StrPath | None = None
    base_dir: StrPath | None = None

    def open_training(
        self, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator:
        """Return the set to train on."""
        return self._open(self.annotations, known_classes=known_classes, **arguments)

    def open_validation(
        self, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator | None:
        """Return the set to evaluate on, None if there is none."""
        if self.val_annotations is None:
            return None
        return self._open(self.val_annotations, known_classes=known_classes, **arguments)

    def _open(self, annotations: StrPath, **arguments: Any) -> Generator:
        from keras_retinanet.preprocessing.csv_generator import CSVGenerator

        return CSVGenerator(annotations, self.classes, self.base_dir, **arguments)


@dataclass(frozen=True)
class PascalData(_NamedSets):
    """A data set in PASCAL VOC form.

    Attributes:
        path: folder with `ImageSets/Main/`, `Annotations/` and `JPEGImages/`, or with XML files in
            it or below; see `annotations.voc_layouts`.
        train_set: set to train on; None for the usual one.
        val_set: set to evaluate on; None for the usual one, if there is one.
        classes: CSV file of rows `class_name,id`; None for those of a file of class names in the
            folder, or the 20 classes of VOC, or the names that are found.
        image_extension: extension of the image files, tried before the usual ones; None for none.
        skip_truncated: whether to leave out objects marked as truncated.
        skip_difficult: whether to leave out objects marked as difficult.
        is_evaluated: whether only the set to evaluate on is wanted. Then the usual one is `test`,
            or `val`, or the only one there is.
    """

    name: ClassVar[str] = "pascal"
    usual_train: ClassVar[Sequence[str]] = ("train", "training", "trainval")
    path: StrPath
    train_set: str | None = None
    val_set: str | None = None
    classes: StrPath | None = None
    image_extension: str | None = None
    skip_truncated: bool = False
    skip_difficult: bool = False
    is_evaluated: bool = False

    @cached_property
    def _layout(self) -> VocLayout:
        """Where the files are; the folder is listed once for all sets."""
        from keras_retinanet.annotations.voc_layouts import find_layout

        return find_layout(self.path)

    def set_names(self) -> list[str]:
        """Return the sets with a list of their own in `ImageSets/`, or else a folder."""
        return self._layout.sets

    def open_set(
        self, set_name: str, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator:
        """Return the set of a name; see `PascalVocGenerator`."""
        from keras_retinanet.preprocessing.csv_generator import read_classes
        from keras_retinanet.preprocessing.pascal_voc import PascalVocGenerator

        return PascalVocGenerator(
            self.path,
            set_name,
            classes=None if self.classes is None else read_classes(self.classes),
            image_extension=self.image_extension,
            skip_truncated=self.skip_truncated,
            skip_difficult=self.skip_difficult,
            known_classes=known_classes,
            layout=self._layout,
            **arguments,
        )

    def open_validation(
        self, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator | None:
        """Return the set to evaluate on, None if there is none.

        Objects of classes that are not in `known_classes` are left out, with a warning.
        """
        return super().open_validation(known_classes=known_classes, skip_unknown=True, **arguments)

    def _validation_set(self) -> str | None:
        names = self.set_names()
        if not self.is_evaluated:
            # Its images are those of `train` and of `val`.
            uses_all = self.train_set is None and self._training_set().lower() == "trainval"
            return None if uses_all else super()._validation_set()
        usual = ("test", "testing", *self.usual_val)
        found = [name for each in usual for name in names if name.lower() == each]
        if not found and len(names) > 1:
            raise ValueError(
                f"{self._place()}: no set 'test' or 'val': --pascal-set names another "
                f"(sets: {shorten(', '.join(names), 100)})"
            )
        name = (found or names or ["test"])[0]
        if name.lower() != "test":
            warnings.warn(
                f"{self._place()}: no set 'test', so this is the set {name!r}", stacklevel=3
            )
        return name

    def _checked(self, name: str | None) -> str | None:
        return name  # lists of single classes are sets too; opening one says if it is not there


@dataclass(frozen=True)
class KittiData(_NamedSets):
    """A data set in KITTI form.

    Attributes:
        path: folder of the sets, or of the only one; see `annotations.kitti_layouts.find_sets`.
        train_set: folder to train on; None for the usual one.
        val_set: folder to evaluate on; None for the usual one, if there is one.
    """

    name: ClassVar[str] = "kitti"
    path: StrPath
    usual_train: ClassVar[Sequence[str]] = ("train", "training")
    train_set: str | None = None
    val_set: str | None = None

    def set_names(self) -> list[str]:
        """Return the folders with label files and images."""
        from keras_retinanet.annotations import kitti_layouts

        return list(kitti_layouts.find_sets(self.path))

    def open_set(
        self, set_name: str, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator:
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
        train_set: subset to train on; None for the usual one.
        val_set: subset to evaluate on; None for the usual one.
    """

    name: ClassVar[str] = "oid"
    usual_val: ClassVar[Sequence[str]] = ("validation",)
    path: StrPath
    version: str = "v4"
    labels_filter: Sequence[str] | None = None
    parent_label: str | None = None
    annotation_cache_dir: StrPath = "."
    train_set: str | None = None
    val_set: str | None = None

    def set_names(self) -> list[str]:
        """Return the subsets whose files are there."""
        from keras_retinanet.annotations import open_images_layouts

        return open_images_layouts.find_sets(self.path, self.version)

    def open_set(
        self, set_name: str, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator:
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
        train_set: set to train on: "train", "val" or "test"; None for the usual one.
        val_set: set to evaluate on; None for the usual one, if there is one.
    """

    name: ClassVar[str] = "yolo"
    usual_val: ClassVar[Sequence[str]] = ("val",)
    path: StrPath
    train_set: str | None = None
    val_set: str | None = None

    def set_names(self) -> list[str]:
        """Return the sets that `data.yaml` or the folder has."""
        from keras_retinanet.preprocessing.yolo import set_names

        return set_names(self.path) if os.path.exists(self.path) else []

    def open_set(
        self, set_name: str, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator:
        """Return the set of a name; see `YoloGenerator`."""
        from keras_retinanet.preprocessing.yolo import YoloGenerator

        return YoloGenerator(self.path, set_name, **arguments)


@dataclass(frozen=True)
class ShapesData(_NamedSets):
    """The built-in data set of drawn shapes, which needs no files.

    Attributes:
        train_set: set to train on; None for the usual one.
        val_set: set to evaluate on; None for the usual one, if there is one.
    """

    name: ClassVar[str] = "shapes"
    train_set: str | None = None
    val_set: str | None = None

    def set_names(self) -> list[str]:
        """Return both sets."""
        return ["train", "val"]

    def open_set(
        self, set_name: str, *, known_classes: Mapping[str, int] | None = None, **arguments: Any
    ) -> Generator:
        """Return the set of a name; see `ShapesGenerator`."""
        from keras_retinanet.preprocessing.shapes import ShapesGenerator

        return ShapesGenerator(set_name, **arguments)
