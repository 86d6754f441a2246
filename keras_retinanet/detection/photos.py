"""A detector and files in, the detections of each image out."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import WAITING_BATCHES, Detector, Prepared, equal_sizes
from keras_retinanet.detection.inputs import as_image
from keras_retinanet.detection.videos import Video
from keras_retinanet.system.limits import MAX_PIXELS
from keras_retinanet.system.prefetch import in_background


@dataclass(frozen=True)
class Photo:
    """An image, or a frame of a video, and what a model found in it.

    Attributes:
        path: the file, address or number of a camera.
        image: BGR uint8 (h, w, 3).
        detections: all that the model gives, in pixels of the image, best first.
        frame: number of the frame from 0; None for an image.
        video: the video that a frame is of; None for an image.
    """

    path: str
    image: np.ndarray
    detections: Detections
    frame: int | None = None
    video: Video | None = None


@dataclass
class _Item:
    """An image on its way: read and prepared, or an error instead."""

    path: str
    image: np.ndarray | None = None
    sample: Prepared | None = None
    error: Exception | None = None
    frame: int | None = None
    video: Video | None = None
    found: Detections | None = None


def detect_photos(
    detector: Detector,
    paths: Sequence[str],
    batch_size: int = 1,
    on_error: Callable[[str, Exception], None] | None = None,
    max_pixels: int = MAX_PIXELS,
    videos: Mapping[str, bool] = MappingProxyType({}),
) -> Iterator[Photo]:
    """Run a detector on images and videos; a thread reads ahead.

    A few images are in memory at a time, however many there are.

    Args:
        detector: the detector.
        paths: files, and addresses of images.
        batch_size: maximum number of images in a batch; it changes speed and memory, not results.
        on_error: called with the path and the error of a file that cannot be read, or on which the
            network fails; the other files are still processed. None raises the error.
        max_pixels: maximum number of pixels that an image may declare.
        videos: those of the paths that are videos -> whether it is live, see `Video`.

    Yields:
        Each readable image and each frame, in their order.

    Raises:
        OSError: for a file that cannot be opened, without `on_error`.
        ValueError: for a file that is not an image, without `on_error`.
    """
    # A camera's frames are not to wait for others where there are no batches.
    window = batch_size * WAITING_BATCHES if batch_size > 1 else 1
    ahead = in_background(_items(detector, paths, max_pixels, videos), depth=max(2, batch_size))
    with contextlib.closing(ahead):
        while some := list(itertools.islice(ahead, window)):
            _detect(detector, some, batch_size)
            while some:
                item = some.pop(0)
                if item.error is None and item.image is not None and item.found is not None:
                    yield Photo(item.path, item.image, item.found, item.frame, item.video)
                elif item.error is not None:
                    if on_error is None:
                        raise item.error
                    on_error(item.path, item.error)


def _items(
    detector: Detector, paths: Sequence[str], max_pixels: int, videos: Mapping[str, bool]
) -> Iterator[_Item]:
    """Yield each image and frame, read and prepared, or its error."""
    for path in paths:
        if path in videos:
            yield from _frames(detector, path, videos[path])
            continue
        item = _Item(path)
        try:
            item.image = as_image(path, max_pixels=max_pixels)
            _prepare(detector, item)
        except Exception as error:  # whatever is wrong with one photo must not cost the others
            item.error = error
        yield item


def _frames(detector: Detector, path: str, is_live: bool) -> Iterator[_Item]:
    """Yield the frames of a video."""
    try:
        video = Video(int(path) if path.isdecimal() and is_live else path, is_live=is_live)
    except ValueError as error:
        yield _Item(path, error=error)
        return
    number = -1
    for number, image in enumerate(video.frames()):
        item = _Item(path, image, frame=number, video=video)
        try:
            _prepare(detector, item)
        except Exception as error:
            item.error = error
        yield item
    video.close()
    if number < 0:
        yield _Item(path, error=ValueError(f"{path}: expected a video, got none with a frame"))


def _prepare(detector: Detector, item: _Item) -> None:
    """Resize the image of an item, unless it will be cut into tiles."""
    if detector.tile is None and item.image is not None:
        item.sample = detector.prepare(item.image)


def _detect(detector: Detector, items: Sequence[_Item], batch_size: int) -> None:
    """Give items their detections, or the error of the network."""
    samples = [(i, item.sample) for i, item in enumerate(items) if item.sample is not None]
    for batch in equal_sizes(samples, batch_size):
        groups = [batch]
        while groups:
            group = groups.pop(0)
            try:
                results, _ = detector.detect_batch([sample for _, sample in group])
            except Exception as error:
                if len(group) > 1:  # one image may fit into the memory where a batch does not
                    groups = [[one] for one in group]
                else:
                    items[group[0][0]].error = error
            else:
                for (i, _), found in zip(group, results, strict=True):
                    items[i].found = found
    for item in items:
        if item.sample is None and item.image is not None and item.error is None:
            try:
                item.found = detector.detect_large(item.image, batch_size)
            except Exception as error:
                item.error = error
