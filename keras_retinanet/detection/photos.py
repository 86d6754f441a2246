"""A detector and image files in, the detections of each image out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import Detector, Prepared, equal_sizes
from keras_retinanet.images import read_image_bgr
from keras_retinanet.system.limits import MAX_PIXELS


@dataclass(frozen=True)
class Photo:
    """An image file and what a model found in it.

    Attributes:
        path: the file.
        image: BGR uint8 (h, w, 3).
        detections: all that the model gives, in pixels of the image, best first.
    """

    path: str
    image: np.ndarray
    detections: Detections


def detect_photos(
    detector: Detector,
    paths: Sequence[str],
    batch_size: int = 1,
    on_error: Callable[[str, Exception], None] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Photo]:
    """Run a detector on image files.

    Args:
        detector: the detector.
        paths: the files.
        batch_size: maximum number of images in a batch; it changes speed and memory, not results.
        on_error: called with the path and the error of a file that cannot be read, or on which the
            network fails; the other files are still processed. None raises the error.
        max_pixels: maximum number of pixels that an image may declare.

    Yields:
        Each readable photo, in the order in which the batches are done.

    Raises:
        OSError: for a file that cannot be opened, without `on_error`.
        ValueError: for a file that is not an image, without `on_error`.
    """
    waiting: dict[int, np.ndarray] = {}  # images whose batch has not run yet

    def prepared() -> Iterator[tuple[int, Prepared]]:
        for index, path in enumerate(paths):
            try:
                image = read_image_bgr(path, max_pixels=max_pixels)
                sample = detector.prepare(image)
            # Whatever is wrong with one photo must not cost the others.
            except Exception as error:
                if on_error is None:
                    raise
                on_error(path, error)
            else:
                waiting[index] = image
                yield index, sample

    for batch in equal_sizes(prepared(), batch_size):
        groups = [batch]
        while groups:
            group = groups.pop(0)
            try:
                results, _ = detector.detect_batch([sample for _, sample in group])
            except Exception as error:
                if on_error is None:
                    raise
                if len(group) > 1:  # one image may fit into the memory where a batch does not
                    groups = [[one] for one in group]
                    continue
                ((index, _),) = group
                del waiting[index]
                on_error(paths[index], error)
            else:
                for (index, _), detections in zip(group, results, strict=True):
                    yield Photo(paths[index], waiting.pop(index), detections)
