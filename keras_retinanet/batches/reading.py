"""Images and boxes as training reads them: what is unreadable or invalid does not get through."""

import threading
import warnings
from collections import Counter

import numpy as np

from keras_retinanet.augmentation import crops
from keras_retinanet.batches.dataset import ImageSet
from keras_retinanet.batches.image_cache import CACHES
from keras_retinanet.geometry.boxes import are_valid


class ReadingSet(ImageSet):
    """A data set that replaces what cannot be read.

    Attributes:
        strict: whether an unreadable image raises an error instead.
        skipped: path of each image that was replaced -> how often.
    """

    def __init__(self, strict, cache, workers, use_multiprocessing, max_queue_size):
        """Keep how to read; `Generator` says what the arguments are.

        Raises:
            ValueError: for an unknown cache.
        """
        super().__init__(workers, use_multiprocessing, max_queue_size)
        if cache not in CACHES:
            raise ValueError(f"expected cache 'none', 'ram' or 'disk', got {cache!r}")
        self.strict = strict
        self.skipped = Counter()
        self._image_cache = CACHES[cache]()
        self._lock = threading.Lock()

    def load_image_group(self, group) -> list[np.ndarray]:
        """Return the images of some indices, from the cache where there is one."""
        return [self._image_cache.get(self, image_index) for image_index in group]

    def _load(self, group):
        """Return the indices read for `group`, their images and annotations."""
        try:
            return group, self.load_image_group(group), self.load_annotations_group(group)
        except (OSError, ValueError):
            if self.strict:
                raise
        loaded = [self._load_readable(image_index) for image_index in group]
        return [list(values) for values in zip(*loaded, strict=True)]

    def _load_readable(self, image_index):
        for offset in range(self.size()):
            index = (image_index + offset) % self.size()
            try:
                (image,), (annotations,) = (
                    self.load_image_group([index]),
                    self.load_annotations_group([index]),
                )
                return index, image, annotations
            except (OSError, ValueError) as error:
                self._skip(index, error)
        raise ValueError(f"none of the {self.size()} images can be read")

    def _skip(self, image_index, error):
        path = self.image_path(image_index)
        with self._lock:
            self.skipped[path] += 1
            first = self.skipped[path] == 1
        if first:
            warnings.warn(f"skipped an image that cannot be read: {error}", stacklevel=2)

    def filter_annotations(self, image_group, annotations_group, group):
        """Return annotations without boxes that are empty or leave the image, with a warning."""
        kept = [
            self._valid(image, annotations, image_index)
            for image, annotations, image_index in zip(
                image_group, annotations_group, group, strict=True
            )
        ]
        return image_group, kept

    def _valid(self, image, annotations, image_index):
        boxes = np.asarray(annotations["bboxes"], "float64").reshape(-1, 4)
        annotations = {**annotations, "bboxes": boxes}
        good = are_valid(boxes, *image.shape[:2])
        if good.all():
            return annotations
        warnings.warn(
            f"Image {self.image_path(image_index)} with id {image_index} (shape {image.shape}) "
            f"contains the following invalid boxes: {boxes[~good].tolist()}.",
            stacklevel=2,
        )
        return crops.keep_boxes(annotations, good)
