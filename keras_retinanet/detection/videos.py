"""Videos, cameras and streams, frame by frame, and annotated videos."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType

import cv2
import numpy as np

from keras_retinanet.system.files import replacing
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# Frames per second where a source does not tell.
_USUAL_RATE = 25.0
# Share of the declared frames that a file may lack: not every kind counts them exactly.
_UNCERTAIN = 0.1
# Seconds before each attempt to connect to a stream again; then it has ended.
_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)


class Video:
    """A video file, a camera or a stream.

    Args:
        source: the path of a file, the number of a camera, or the address of a stream.
        is_live: whether it is a camera or a stream, which has no end of its own. An address that
            tells how many frames it has is none.
        sleep: waits for seconds; for tests.

    Attributes:
        is_live: whether it has no end of its own.
        rate: frames per second.
        size: width and height in pixels.
        count: number of frames that the source declares; None if it does not, as a stream.

    Raises:
        ValueError: if it cannot be opened, or has no frame.
    """

    def __init__(
        self,
        source: StrPath | int,
        *,
        is_live: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source: str | int = source if isinstance(source, int) else os.fspath(source)
        if isinstance(self._source, str) and os.path.exists(self._source):
            # OpenCV reads a name with a colon as an address.
            self._source = os.path.abspath(self._source)
        self._sleep = sleep
        self._capture = self._open()
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0 < rate < 1000 else _USUAL_RATE
        sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        width, height = (int(self._capture.get(side)) for side in sides)
        self.size = width, height
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 else None
        self.is_live = is_live and self.count is None
        self._error = ""

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            raise ValueError(
                f"{shorten(self._source, 200)}: expected a video, a camera or a stream that OpenCV "
                "opens"
            )
        return capture

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the frames, BGR uint8 `(h, w, 3)`; connect again to a stream that breaks off."""
        failures = 0
        while True:
            is_read, frame = self._capture.read()
            if is_read:
                failures = 0
                yield frame
            elif not self.is_live:
                return
            elif failures == len(_WAITS):
                self._error = f"{self._source}: the stream broke off, and could not be opened again"
                return
            else:
                self._sleep(_WAITS[failures])
                failures += 1
                self._capture.release()
                self._capture = cv2.VideoCapture(self._source)

    def missing(self, read: int) -> str:
        """Return what is wrong with a video that ended after `read` frames; empty if nothing."""
        if not read:
            return f"{self._source}: expected a video, got none with a frame"
        if self.count is not None and read < (1 - _UNCERTAIN) * self.count - 1:
            return f"{self._source}: the video is damaged: it has {read} of {self.count} frames"
        return self._error

    def close(self) -> None:
        """Let go of the file or the camera."""
        self._capture.release()


class VideoFile:
    """A video that is written frame by frame, as a context; it is in its place at the end.

    A column or row that makes a side odd is left out, with a warning: the codec has even sides.

    Args:
        path: the file, .mp4.
        rate: frames per second.
        size: width and height in pixels.
        keep_part: whether a part is kept where the program is stopped, as of a camera.
    """

    def __init__(
        self, path: StrPath, rate: float, size: tuple[int, int], *, keep_part: bool = False
    ) -> None:
        self._path, self._rate, self._size, self._keep_part = path, rate, size, keep_part
        self._place = replacing(path)
        self._count = 0

    def __enter__(self) -> VideoFile:
        """Begin the file.

        Raises:
            OSError: if it cannot be written.
            ValueError: if OpenCV cannot write it.
        """
        self._temporary = str(self._place.__enter__())
        if any(side % 2 for side in self._size):
            warnings.warn(
                f"{self._path}: an odd side of {self._size[0]}x{self._size[1]} is one pixel "
                "shorter in the video",
                stacklevel=2,
            )
        code = cv2.VideoWriter.fourcc(*"mp4v")
        for rate in (self._rate, round(self._rate, 1)):  # the codec refuses some with many digits
            self._writer = cv2.VideoWriter(self._temporary, code, rate, self._size)
            if self._writer.isOpened():
                return self
        error = ValueError(f"{self._path}: OpenCV cannot write this video")
        self._place.__exit__(ValueError, error, None)
        raise error

    def write(self, frame: np.ndarray) -> None:
        """Add a frame, BGR uint8 `(h, w, 3)`; one of another size is resized."""
        if frame.shape[1::-1] != self._size:
            frame = cv2.resize(frame, self._size)
        self._writer.write(frame)
        self._count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the file in its place, or remove it where the program is stopped.

        Raises:
            OSError: if it is not whole, as on a full disk, of which OpenCV does not tell.
        """
        self._writer.release()
        if self._keep_part:
            kind = error = traceback = None
        if error is None and (written := _frame_count(self._temporary)) != self._count:
            error = OSError(
                errno.EIO,
                f"the video has {written} of {self._count} frames: is the disk full?",
                str(self._path),
            )
            with contextlib.suppress(OSError):  # `replacing` raises it again
                self._place.__exit__(type(error), error, None)
            raise error
        self._place.__exit__(kind, error, traceback)


def _frame_count(path: str) -> int:
    """Return how many frames a video file has by its header; 0 for a damaged one."""
    capture = cv2.VideoCapture(path)
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    finally:
        capture.release()
