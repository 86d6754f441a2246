"""Videos, cameras and streams, frame by frame, and annotated videos."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from types import TracebackType

import cv2
import numpy as np

from keras_retinanet.system.files import replacing
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# Frames per second where a source does not tell.
_USUAL_RATE = 25.0
# Seconds before each attempt to connect to a stream again; then it has ended.
_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)


class Video:
    """A video file, a camera or a stream.

    Args:
        source: the path of a file, the number of a camera, or the address of a stream.
        is_live: whether it is a camera or a stream, which has no end of its own.
        sleep: waits for seconds; for tests.

    Attributes:
        rate: frames per second.
        size: width and height in pixels.
        count: number of frames; None if it is not known, as of a stream.

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
        self._source = source if isinstance(source, int) else os.fspath(source)
        self._is_live, self._sleep = is_live, sleep
        self._capture = self._open()
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0 < rate < 1000 else _USUAL_RATE
        sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        width, height = (int(self._capture.get(side)) for side in sides)
        self.size = width, height
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 and not is_live else None

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
            elif not self._is_live or failures == len(_WAITS):
                return
            else:
                self._sleep(_WAITS[failures])
                failures += 1
                self._capture.release()
                self._capture = cv2.VideoCapture(self._source)

    def close(self) -> None:
        """Let go of the file or the camera."""
        self._capture.release()


class VideoFile:
    """A video that is written frame by frame, as a context; it is in its place at the end.

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

    def __enter__(self) -> VideoFile:
        """Begin the file.

        Raises:
            OSError: if it cannot be written.
            ValueError: if OpenCV cannot write it.
        """
        temporary = self._place.__enter__()
        code = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(str(temporary), code, self._rate, self._size)
        if not self._writer.isOpened():
            error = ValueError(f"{self._path}: OpenCV cannot write this video")
            self._place.__exit__(ValueError, error, None)
            raise error
        return self

    def write(self, frame: np.ndarray) -> None:
        """Add a frame, BGR uint8 `(h, w, 3)`; one of another size is resized."""
        if frame.shape[1::-1] != self._size:
            frame = cv2.resize(frame, self._size)
        self._writer.write(frame)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the file in its place, or remove it where the program is stopped."""
        self._writer.release()
        if self._keep_part:
            kind = error = traceback = None
        self._place.__exit__(kind, error, traceback)
