"""Reading images and boxes for training: what is wrong with them is left out, named and counted."""

import threading
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from keras_retinanet.augmentation import crops
from keras_retinanet.batches.dataset import DetectionDataset
from keras_retinanet.batches.image_cache import CACHES
from keras_retinanet.geometry.boxes import are_valid, clip_to_image
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import Annotations


class GroupedDataset(DetectionDataset, Protocol):
    """A data set that loads several images at a time."""

    def load_image_group(self, group: Sequence[int]) -> Sequence[np.ndarray]:
        """Return the images of some indices."""

    def load_annotations_group(self, group: Sequence[int]) -> Sequence[Annotations]:
        """Return the annotations of some indices."""


class ImageReader:
    """Reads the images of a data set and replaces those that cannot be read.

    The data set is an argument of the methods, not an attribute: it owns its reader, and Python
    frees two objects that refer to each other late, with all images of a cache.

    Attributes:
        skipped: path of each image that was replaced -> how often.
    """

    def __init__(self, cache: str) -> None:
        """Start with an empty cache.

        Args:
            cache: "none", "ram" or "disk".

        Raises:
            ValueError: for an unknown cache.
        """
        if cache not in CACHES:
            raise ValueError(f"expected cache 'none', 'ram' or 'disk', got {cache!r}")
        self.skipped: Counter[str] = Counter()
        self._cache = CACHES[cache]()
        self._lock = threading.Lock()

    def load_images(self, dataset: DetectionDataset, group: Sequence[int]) -> list[np.ndarray]:
        """Return the images of some indices, from the cache where there is one."""
        return [self._cache.get(dataset, image_index) for image_index in group]

    def read_group(
        self, dataset: GroupedDataset, group: Sequence[int], strict: bool
    ) -> tuple[Sequence[int], Sequence[np.ndarray], Sequence[Annotations]]:
        """Return the images and annotations of a group, and the indices that they come from.

        An unreadable image is replaced by the next readable one, with a warning the first time.

        Args:
            dataset: the data set; its `load_image_group` and `load_annotations_group` are called.
            group: indices of images.
            strict: whether an unreadable image is an error instead.

        Raises:
            OSError: if `strict`, and an image cannot be opened.
            ValueError: if `strict`, and an image cannot be read; or if none can be.
        """
        try:
            return group, dataset.load_image_group(group), dataset.load_annotations_group(group)
        except (OSError, ValueError):
            if strict:
                raise
        samples = [self._read_next(dataset, image_index) for image_index in group]
        indices, images, annotations = zip(*samples, strict=True)
        return list(indices), list(images), list(annotations)

    def _read_next(
        self, dataset: GroupedDataset, image_index: int
    ) -> tuple[int, np.ndarray, Annotations]:
        """Return the first image that can be read, from an index on, and its annotations."""
        size = dataset.size()
        for offset in range(size):
            index = (image_index + offset) % size
            try:
                (image,) = dataset.load_image_group([index])
                (annotations,) = dataset.load_annotations_group([index])
                return index, image, annotations
            except (OSError, ValueError) as error:
                self._count_skipped(dataset.image_path(index), error)
        raise ValueError(f"none of the {size} images can be read")

    def _count_skipped(self, path: str, error: Exception) -> None:
        with self._lock:
            self.skipped[path] += 1
            first = self.skipped[path] == 1
        if first:
            warnings.warn(f"skipped an image that cannot be read: {error}", stacklevel=2)


def load_annotations(dataset: DetectionDataset, group: Sequence[int]) -> list[Annotations]:
    """Return the annotations of some indices.

    Raises:
        TypeError: if the data set returns no dictionary with `labels` and `bboxes`.
    """
    annotations_group = [dataset.load_annotations(image_index) for image_index in group]
    for annotations in annotations_group:
        if not isinstance(annotations, dict) or not {"labels", "bboxes"} <= set(annotations):
            raise TypeError(
                f"{type(dataset).__name__}.load_annotations: expected a dictionary with 'labels' "
                f"and 'bboxes', got {annotations!r}"
            )
    return annotations_group


class BoxClipper:
    """Makes the boxes of a data set fit their images, and counts the boxes that did not.

    Attributes:
        clipped: path of each image with boxes that were clipped -> their number.
        dropped: path of each image with boxes that were dropped -> their number.
    """

    def __init__(self) -> None:
        """Start without counts."""
        self.clipped: dict[str, int] = {}
        self.dropped: dict[str, int] = {}
        self._lock = threading.Lock()

    def fit(
        self,
        dataset: DetectionDataset,
        image_index: int,
        image: np.ndarray,
        annotations: Annotations,
    ) -> Annotations:
        """Return annotations whose boxes have an area and lie inside the image.

        Exporters round, so a box that leaves its image by a pixel is clipped: without it the
        network would be trained to see background there. The first such image of the data set is
        named in a warning. Other boxes are dropped, with a warning for each image.

        Args:
            dataset: names the image.
            image_index: index of the image.
            image: array `(h, w, ...)`.
            annotations: of the image; `bboxes` may be any sequence of boxes.
        """
        boxes = np.asarray(annotations["bboxes"], "float64").reshape(-1, 4)
        annotations = {**annotations, "bboxes": boxes}
        if are_valid(boxes, *image.shape[:2]).all():
            return annotations
        clipped, usable, changed = clip_to_image(boxes, *image.shape[:2])
        path = dataset.image_path(image_index)
        if changed.any():
            self._count_clipped(path, int(changed.sum()))
        annotations["bboxes"] = clipped
        if usable.all():
            return annotations
        with self._lock:
            self.dropped[path] = int((~usable).sum())
        warnings.warn(
            f"Image {path} with id {image_index} (shape {image.shape}) "
            f"contains the following invalid boxes: {shorten(boxes[~usable].tolist())}.",
            stacklevel=2,
        )
        return crops.keep_boxes(annotations, usable)

    def _count_clipped(self, path: str, number: int) -> None:
        with self._lock:
            first = not self.clipped
            self.clipped[path] = number
        if first:
            warnings.warn(
                f"clipped boxes that leave their image by up to a pixel, the first in {path}",
                stacklevel=3,
            )
