"""What `retinanet-detect` writes: files of detections, a table, and what to skip the next time."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from keras_retinanet.reports import recorded, records
from keras_retinanet.reports.detections import ImageDetections, Tally
from keras_retinanet.reports.recorded import Recorded
from keras_retinanet.reports.records import RecordFile
from keras_retinanet.system.messages import reason_with_path, shorten


@dataclass(frozen=True)
class EarlierRun:
    """What an earlier run has done, if this one goes on with it.

    Attributes:
        copies: source -> file of its copy.
        records: "json" or "csv" -> what that file holds.
    """

    copies: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, Recorded] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Mapping[str, str], copies: Mapping[str, str]) -> EarlierRun:
        """Return what is done by the files there are.

        Args:
            files: "json" or "csv" -> the file of detections.
            copies: source -> file of its copy.

        Raises:
            OSError: if a file cannot be read.
            ValueError: naming a file that is none of detections.
        """
        readers = {"json": recorded.recorded_json, "csv": recorded.recorded_csv}
        return cls(copies, {name: readers[name](path) for name, path in files.items()})

    def has(self, path: str, videos: Mapping[str, bool]) -> bool:
        """Return whether a source is done with: it has its copy, and is in each file.

        Of a video the copy is in its place only once it is whole; without one, it is run again. A
        camera or a stream never is what it was.

        Args:
            path: the source.
            videos: see `Sources`.
        """
        if videos.get(path) or not (self.copies or self.records):
            return False
        if path in videos and path not in self.copies:
            return False
        has_copy = path not in self.copies or os.path.exists(self.copies[path])
        first = 0 if path in videos else None
        return has_copy and all(self.is_in(name, path, first) for name in self.records)

    def is_in(self, name: str, path: str, frame: int | None = None) -> bool:
        """Return whether the file of an option has an image or a frame."""
        key = recorded.absolute(path), frame
        return name in self.records and key in self.records[name].keys


class Results:
    """The results of a run, written as they come.

    Args:
        files: "json", "csv" or "coco" -> the file of detections.
        copies: source -> file of the annotated copy, for those that get one.
        earlier: what the files keep, and need not be written again.

    Attributes:
        copies: as given.
        tally: what was found.
        errors: source -> why it could not be read, or its copy not be written.
    """

    def __init__(
        self, files: Mapping[str, str], copies: Mapping[str, str], earlier: EarlierRun
    ) -> None:
        self.copies, self.tally = copies, Tally()
        self.errors: dict[str, str] = {}
        self._paths, self._earlier = files, earlier
        self._files: dict[str, RecordFile] = {}
        self._full: dict[str, int] = {}  # sources that may have more objects -> the maximum

    @contextlib.contextmanager
    def writing(self, class_names: Sequence[str | None] | None) -> Iterator[None]:
        """Open the files of detections, and close them at the end.

        Args:
            class_names: those of the model, for COCO's numbers of categories.

        Raises:
            OSError: if a file cannot be written.
        """
        with contextlib.ExitStack() as stack:
            for name, path in self._paths.items():
                end = self._earlier.records.get(name, Recorded()).end
                if name == "json":
                    file = records.json_file(path, end)
                elif name == "csv":
                    file = records.csv_file(path, end)
                else:
                    file = records.coco_file(path, class_names)
                stack.callback(file.close)
                self._files[name] = file
            yield

    def add(self, found: ImageDetections, maximum: int | None, *, is_live: bool = False) -> None:
        """Count and write what was found on an image or a frame.

        Args:
            found: its detections.
            maximum: the maximum that left others out, if one did.
            is_live: whether it is of a camera or a stream.

        Raises:
            OSError: if a file of detections cannot be written.
        """
        if maximum is not None:
            self._full.setdefault(found.path, maximum)
        self.tally.add(found)
        for name, file in self._files.items():
            if is_live or not self._earlier.is_in(name, found.path, found.frame):
                file.add(found)

    def fail(self, path: str, error: Exception) -> None:
        """Note that a source cannot be read, or its copy not be written."""
        # Not the error itself, which would keep the image in memory.
        self.errors[path] = reason_with_path(path, error)

    def report(self, score_threshold: float) -> None:
        """Print the table, and a warning about sources that may have more objects.

        Args:
            score_threshold: the threshold that was applied, for the title.
        """
        self.tally.print_table(score_threshold)
        if self._full:
            images = shorten(next(iter(self._full)))
            if len(self._full) > 1:
                images += f" and {len(self._full) - 1} more images"
            print(
                f"warning: {images}: {next(iter(self._full.values()))} detections, the maximum: "
                "there may be more; raise --max-detections",
                file=sys.stderr,
            )
