"""What the readers of all formats share: image files, and classes with names and labels."""

import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from keras_retinanet.annotations.absent_files import why_absent
from keras_retinanet.annotations.box_table import BoxTable
from keras_retinanet.annotations.image_lists import select_images
from keras_retinanet.annotations.image_sizes import read_sizes
from keras_retinanet.annotations.repetitions import repeated_boxes, repeated_images
from keras_retinanet.images import read_image_bgr
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.system.limits import MAX_PIXELS, MAX_UNUSED_LABELS
from keras_retinanet.system.machine import gc_paused
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import Annotations, StrPath

# With this many images in one folder, listing it is faster than looking for each file.
MIN_IMAGES_TO_LIST = 100
# With this many ids without a class, beyond one for each class, the ids are likely not meant so.
USUAL_GAPS = 10

_PerImage = TypeVar("_PerImage", list, np.ndarray)


class LabelledGenerator(Generator):
    """A data set whose images are files and whose classes have names.

    A reader reads its format, then calls this constructor.

    Attributes:
        classes: class name -> label.
        labels: label -> class name; of several names for a label the last.
        paths: the file of each image.
        annotations: for each image rows `x1, y1, x2, y2, label` in pixels; empty if a subclass has
            a `load_annotations` of its own.
        dropped: for each image the number of boxes left out as invalid; None if there are none.
        max_pixels: maximum number of pixels that an image may declare.
        found_classes: whether the class names were found in the annotations, and not listed
            anywhere.
        selected: which of the images that the reader has read are used, in their order.
    """

    found_classes: bool = False

    def __init__(
        self,
        classes: Mapping[str, int],
        paths: Sequence[str],
        annotations: Iterable | None,
        *,
        source: StrPath | None = None,
        missing_ok: bool = False,
        dropped: np.ndarray | None = None,
        sizes: np.ndarray | None = None,
        max_pixels: int = MAX_PIXELS,
        image_list: Collection[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep what a reader has read.

        Args:
            classes: class name -> label.
            paths: the file of each image.
            annotations: for each image rows `x1, y1, x2, y2, label` in pixels, such as a
                `BoxTable`; None if the reader has a `load_annotations` of its own.
            source: the file or folder that lists the images, for messages; None if they are not
                files.
            missing_ok: whether image files may be missing; reading them is then an error.
            dropped: for each image the number of boxes left out as invalid; None for none at all.
            sizes: width and height of each image, float64 `(images, 2)`; None to read them from
                the files if they are needed.
            max_pixels: maximum number of pixels that an image may declare; reading one with more
                is an error.
            image_list: the images to use, as paths; see `select_images`. None for all. What a
                reader keeps of each image by itself has to go through `kept`.
            **kwargs: for `Generator`.

        Raises:
            ValueError: if there is no class or no image, if the list names what is no image, if a
                label is out of range (see `check_labels`), or if image files do not exist, naming
                the first.
        """
        table = BoxTable.of(() if annotations is None else annotations)
        self.selected: Sequence[int] = range(len(paths))
        if image_list is not None:
            self.selected = select_images(paths, image_list).tolist()
            paths = self.kept(list(paths))
            table = table.take(self.selected) if annotations is not None else table
            dropped = None if dropped is None else self.kept(dropped)
            sizes = None if sizes is None else self.kept(sizes)
        if source is not None and not (missing_ok and paths):
            check_files(source, paths)
        if not classes:
            raise ValueError("expected a data set with at least one class, got none")
        where = "" if source is None else f"{source}: "
        check_labels(classes, lambda name: f"{where}class {shorten(name, 60)!r}")
        self.classes = dict(classes)
        self.labels = {label: name for name, label in self.classes.items()}
        self.paths = list(paths)
        self.annotations = table
        self.dropped = dropped
        self.max_pixels = max_pixels
        self._source = source
        self._sizes = sizes
        if annotations is not None:
            self._warn_about_what_looks_wrong()
        with gc_paused():
            super().__init__(**kwargs)

    def kept(self, values: _PerImage) -> _PerImage:
        """Return, of values for each image that the reader has read, those of the images in use."""
        if len(self.selected) == len(values):
            return values
        if isinstance(values, np.ndarray):
            return values[np.asarray(self.selected, int)]
        return cast("_PerImage", [values[index] for index in self.selected])

    def _warn_about_what_looks_wrong(self) -> None:
        """Warn about what can be meant as it is written, but rarely is."""
        where = "" if self._source is None else f"{self._source}: "
        for what, repetition in (
            ("images", repeated_images(self.paths)),
            ("boxes", repeated_boxes(self.annotations, self.paths, self.labels)),
        ):
            if repetition is not None:
                warnings.warn(
                    f"{where}{what} listed again, which count again: {repetition.number}, the "
                    f"first: {shorten(repetition.first, 200)}",
                    stacklevel=4,
                )
        warn_about_fractions(self.annotations.rows[:, :4], where)
        if self.num_classes() > 2 * len(self.labels) + USUAL_GAPS:
            warnings.warn(
                f"{where}the highest class id is {max(self.labels)}, so the network gets "
                f"{self.num_classes()} outputs for {len(self.labels)} classes",
                stacklevel=4,
            )

    def _aspect_ratios(self) -> Sequence[float] | np.ndarray:
        """Return the aspect ratio of every image; unknown sizes are read all at once."""
        overridden = type(self).image_aspect_ratio is not LabelledGenerator.image_aspect_ratio
        if overridden or (self._source is None and self._sizes is None):
            return super()._aspect_ratios()
        if self._sizes is None:
            self._sizes = read_sizes(self.paths, self._source or "")
        width, height = self._sizes.T
        with np.errstate(over="ignore"):  # a file may say that an image is 1e-320 pixels high
            return np.divide(width, height, out=np.ones(len(height)), where=height > 0)

    def size(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def num_classes(self) -> int:
        """Return the maximum label + 1."""
        return max(self.labels) + 1

    def has_label(self, label: int) -> bool:
        """Return whether a label is in use."""
        return label in self.labels

    def has_name(self, name: str) -> bool:
        """Return whether a class name is known."""
        return name in self.classes

    def name_to_label(self, name: str) -> int:
        """Return the label of a class name."""
        return self.classes[name]

    def label_to_name(self, label: int) -> str:
        """Return the class name of a label."""
        return self.labels[label]

    def image_path(self, image_index: int) -> str:
        """Return the path of an image."""
        return self.paths[image_index]

    def image_aspect_ratio(self, image_index: int) -> float:
        """Return width divided by height; 1 for an unreadable image (loading it says why)."""
        if self._sizes is None:
            (width, height), *_ = read_sizes([self.paths[image_index]], self._source or "")
        else:
            width, height = self._sizes[image_index].tolist()
        return width / height if height else 1.0

    def load_image(self, image_index: int) -> np.ndarray:
        """Return an image as BGR uint8."""
        return read_image_bgr(self.paths[image_index], max_pixels=self.max_pixels)

    def load_annotations(self, image_index: int) -> Annotations:
        """Return labels `(n,)` and boxes `(n, 4)` of an image, in new arrays."""
        rows = self.annotations[image_index]
        return {"labels": rows[:, 4].astype(int), "bboxes": rows[:, :4].copy()}

    def has_boxes(self) -> bool:
        """Return whether any image has a box; True if a subclass loads them by itself."""
        own = type(self).load_annotations is not LabelledGenerator.load_annotations
        return own or len(self.annotations.rows) > 0

    def why_no_boxes(self) -> str:
        """Return the likely cause, for messages, if the data set has no box at all."""
        if self.dropped is not None and self.dropped.any():
            return f"all {self.dropped.sum()} are invalid or thinner than a pixel, and left out"
        return "the annotations have none"

    def dropped_boxes(self, image_index: int) -> int:
        """Return how many invalid boxes of an image were left out."""
        return 0 if self.dropped is None else int(self.dropped[image_index])


def check_labels(classes: Mapping[str, int], place_of: Callable[[str], str]) -> None:
    """Raise ValueError if a label is negative, or so high that it cannot be meant.

    A network has an output for each label up to the highest, whether a class has it or not.

    Args:
        classes: class name -> label.
        place_of: function of a class name that says where it is, for the message.
    """
    highest = len(set(classes.values())) - 1 + MAX_UNUSED_LABELS
    for name, label in classes.items():
        if not 0 <= label <= highest:
            raise ValueError(
                f"{place_of(name)}: expected an id of 0 to {highest}, since the network has an "
                f"output for each id up to the highest, got {shorten(label, 40)}"
            )


def warn_about_fractions(boxes: np.ndarray, where: str = "") -> None:
    """Warn if boxes `(n, 4)`, which are in pixels, all lie within one pixel.

    Args:
        boxes: of all images.
        where: "file: ", for the warning.
    """
    if len(boxes) and (boxes <= 1).all() and (boxes != boxes.round()).any():
        warnings.warn(
            f"{where}no coordinate is above 1: are they fractions of the image's sides? They are "
            "read as pixels",
            stacklevel=5,
        )


def check_files(source: StrPath, paths: Sequence[str]) -> None:
    """Raise ValueError if `source` lists no images, or, naming the first, if files do not exist."""
    if not paths:
        raise ValueError(f"{source}: expected at least one image, got none")
    listed = _list_folders(paths)
    missing = [path for path in paths if path not in listed and not os.path.isfile(path)]
    if missing:
        cause = why_absent(missing[0])
        message = f"{source}: {len(missing)} of {len(paths)} image files not found, the first: "
        raise ValueError(shorten(f"{message}{missing[0]}{cause and f' ({cause})'}", 299))


def _list_folders(paths: Iterable[str]) -> set[str]:
    """Return those of some paths that a listing of their folder shows to be files."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        wanted[path.rpartition(os.sep)[0]].add(path)
    found: set[str] = set()
    for folder, inside in wanted.items():
        if len(inside) >= MIN_IMAGES_TO_LIST:
            found |= inside & _files_in(folder)
    return found


def _files_in(folder: str) -> set[str]:
    """Return the files in a folder, except links; none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return {entry.path for entry in entries if entry.is_file(follow_symlinks=False)}
    except OSError:
        return set()


def drop_empty_boxes(
    annotations: BoxTable, place_of: Callable[[int], str]
) -> tuple[BoxTable, np.ndarray]:
    """Return annotations without boxes that are empty or reversed, with one warning for all.

    Args:
        annotations: for each image rows `x1, y1, x2, y2, label`.
        place_of: function of an image's index that says where its rows come from, for the warning.

    Returns:
        The annotations that are left, and the number of boxes left out of each image.
    """
    rows = annotations.rows
    has_area = (rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])
    kept = annotations if has_area.all() else annotations.select(has_area)
    dropped = annotations.counts() - kept.counts()
    if dropped.any():
        first = place_of(int(np.flatnonzero(dropped)[0]))
        warnings.warn(
            f"left out {dropped.sum()} boxes without area, the first of them in {first}",
            stacklevel=3,
        )
    return kept, dropped
