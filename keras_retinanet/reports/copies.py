"""Annotated copies of images and videos, drawn and written by a thread."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import TracebackType

from keras_retinanet.detection.photos import Photo
from keras_retinanet.detection.videos import VideoFile
from keras_retinanet.reports.detections import ImageDetections, drawn, write_copy
from keras_retinanet.system.prefetch import Background

# Images that wait to be drawn.
_DEPTH = 4


class Copies:
    """The copies with boxes drawn, as a context that ends when all are written.

    Args:
        copies: source -> file of its copy, for those that get one.
        videos: those of the sources that are videos -> whether it is live.
        on_error: called with the path of a source whose copy cannot be written, and the error.
    """

    def __init__(
        self,
        copies: Mapping[str, str],
        videos: Mapping[str, bool],
        on_error: Callable[[str, Exception], None],
    ) -> None:
        self._copies, self._videos, self._on_error = copies, videos, on_error
        self._thread = Background(_DEPTH)
        self._open: tuple[str, VideoFile] | None = None  # the video that is written

    def add(self, photo: Photo, found: ImageDetections) -> None:
        """Draw and write the copy of an image, or a frame of it, if it gets one."""
        if photo.path in self._copies:
            self._thread.call(
                functools.partial(self._write, photo, found),
                functools.partial(self._on_error, photo.path),
            )

    def _write(self, photo: Photo, found: ImageDetections) -> None:
        target = self._copies[photo.path]
        if photo.video is None:
            write_copy(photo.image, found, target)
            return
        if self._open is None or self._open[0] != photo.path:
            self._close(None)
            file = VideoFile(
                target, photo.video.rate, photo.video.size, keep_part=self._videos[photo.path]
            )
            self._open = photo.path, file.__enter__()
        self._open[1].write(drawn(photo.image, found))

    def _close(self, error: BaseException | None) -> None:
        """End the video that is written; it is removed if it is not whole."""
        if self._open is not None:
            _, file = self._open
            self._open = None
            file.__exit__(type(error) if error is not None else None, error, None)

    def __enter__(self) -> Copies:
        self._thread.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.__exit__(kind, error, traceback)
        path = self._open[0] if self._open is not None else ""
        try:
            self._close(error)
        except BaseException as raised:
            if isinstance(raised, Exception) and raised is not error:
                self._on_error(path, raised)
