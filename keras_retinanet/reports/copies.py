"""Annotated copies of images and videos, drawn and written by a thread."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import TracebackType

from keras_retinanet.detection.photos import Photo
from keras_retinanet.detection.videos import Video, VideoFile
from keras_retinanet.reports.detections import ImageDetections, draw, write_copy
from keras_retinanet.system.prefetch import Background


class Copies:
    """The copies with boxes drawn, as a context that ends when all are written.

    Args:
        copies: source -> file of its copy, for those that get one.
        on_error: called with the path of a source whose copy cannot be written, and the error.
        depth: maximum number of images that wait to be drawn.
    """

    def __init__(
        self,
        copies: Mapping[str, str],
        on_error: Callable[[str, Exception], None],
        depth: int = 4,
    ) -> None:
        self._copies, self._on_error = copies, on_error
        self._failed: set[str] = set()
        self._thread = Background(depth)
        self._open: tuple[str, VideoFile] | None = None  # the video that is written

    def add(self, photo: Photo, found: ImageDetections) -> None:
        """Draw on an image or a frame, and write it, if it gets a copy.

        Where no image may wait (`depth`), it is written when this returns.
        """
        if photo.path in self._copies:
            self._thread.call(
                functools.partial(self._write, photo, found),
                functools.partial(self._on_error, photo.path),
            )

    def _write(self, photo: Photo, found: ImageDetections) -> None:
        if self._open is not None and self._open[0] != photo.path:
            self._close(None)
        if photo.video is None:
            write_copy(photo.image, found, self._copies[photo.path])
        elif photo.path not in self._failed:
            try:
                draw(photo.image, found)
                self._file_of(photo, photo.video).write(photo.image)
            except BaseException:
                self._failed.add(photo.path)  # not once a frame
                raise

    def _file_of(self, photo: Photo, video: Video) -> VideoFile:
        """Return the video file that a frame belongs to, which is begun with its first frame."""
        if self._open is None:
            size = photo.image.shape[1], photo.image.shape[0]
            target = self._copies[photo.path]
            file = VideoFile(target, video.rate, size, keep_part=video.is_live)
            self._open = photo.path, file.__enter__()
        return self._open[1]

    def _close(self, error: BaseException | None) -> None:
        """End the video that is written; it is removed if the run was stopped by an error."""
        if self._open is None:
            return
        path, file = self._open
        self._open = None
        try:
            file.__exit__(type(error) if error is not None else None, error, None)
        except Exception as raised:
            if raised is not error:
                self._on_error(path, raised)

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
        self._close(error)
