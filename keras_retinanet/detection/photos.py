"""A detector and files in, the detections of each image out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.detection.detector import Detector, Prepared
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
        seconds: from the start of the video to the frame; None for an image.
        video: the video that a frame is of; None for an image.
    """

    path: str
    image: np.ndarray
    detections: Detections
    frame: int | None = None
    seconds: float | None = None
    video: Video | None = None


@dataclass
class _Item:
    """An image on its way: read and prepared, or an error instead."""

    path: str
    image: np.ndarray | None = None
    sample: Prepared | None = None
    error: Exception | None = None
    frame: int | None = None
    seconds: float | None = None
    video: Video | None = None


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
    ahead = _items(detector, paths, max_pixels, videos)
    if detector.tile is None:  # images that are cut into tiles may fill the memory one by one
        ahead = in_background(ahead, max(2, batch_size))
    with contextlib.closing(ahead):
        for item, found in _detected(detector, ahead, batch_size):
            error = found if isinstance(found, Exception) else item.error
            if error is not None:
                if on_error is None:
                    raise error
                on_error(item.path, error)
            elif isinstance(found, Detections) and item.image is not None:
                yield Photo(item.path, item.image, found, item.frame, item.seconds, item.video)
            del item  # a large image is let go before the next one is read


def _detected(
    detector: Detector, items: Iterator[_Item], batch_size: int
) -> Iterator[tuple[_Item, Detections | Exception | None]]:
    """Yield each item with its detections, or the error of the network; None for bad items."""
    if detector.tile is None:
        samples = ((item, item.sample) for item in items)
        yield from detector.detect_in_order(samples, batch_size)
        return
    for item in items:  # each is let go before the next one is read
        found: Detections | Exception | None = None
        if item.image is not None and item.error is None:
            try:
                found = detector.detect_large(item.image, batch_size)
            except Exception as error:
                found = error
        yield item, found
        del item


def _items(
    detector: Detector, paths: Sequence[str], max_pixels: int, videos: Mapping[str, bool]
) -> Generator[_Item, None, None]:
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
    """Yield the frames of a video, and an error where it breaks off."""
    number = -1
    try:
        video = Video(int(path) if path.isdecimal() and is_live else path, is_live=is_live)
        with contextlib.closing(video):
            start = time.monotonic()
            for number, image in enumerate(video.frames()):
                # A camera gives frames when it likes, and some are missed.
                seconds = time.monotonic() - start if video.is_live else number / video.rate
                item = _Item(path, image, frame=number, seconds=round(seconds, 3), video=video)
                try:
                    _prepare(detector, item)
                except Exception as error:
                    item.error = error
                yield item
    except Exception as error:  # must not cost the other files
        yield _Item(path, error=error)
        return
    if text := video.missing(number + 1):
        yield _Item(path, error=ValueError(text))


def _prepare(detector: Detector, item: _Item) -> None:
    """Resize the image of an item, unless it will be cut into tiles."""
    if detector.tile is None and item.image is not None:
        item.sample = detector.prepare(item.image)
