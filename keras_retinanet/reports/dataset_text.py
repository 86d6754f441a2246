"""What `retinanet-debug` writes: pictures, and the report of `--check` as text and JSON."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keras_retinanet.reports.dataset import Count, DatasetReport
from keras_retinanet.system.files import atomic_write

LISTED = 20  # most files that the text names of a kind; the JSON file names all


def choose_targets(paths: list[str], directory: str, flatten: bool) -> list[str]:
    """Return where the picture of each image goes: `_debug` before the extension.

    The folders of an image are kept below `directory`, without a drive and without `..`, unless
    `flatten`; pictures that would share a name get a number. Formats that OpenCV does not write
    become PNG.

    Args:
        paths: the image files.
        directory: folder of the pictures.
        flatten: whether all go into `directory` itself.

    Raises:
        ValueError: if a picture would replace one of the images.
    """
    originals = {os.path.realpath(path) for path in paths}
    targets: dict[str, None] = {}
    for path in paths:
        stem, extension = os.path.splitext(os.path.basename(path) if flatten else _relative(path))
        if not cv2.haveImageWriter(f"a{extension}"):
            extension += ".png"
        target, number = os.path.join(directory, f"{stem}_debug{extension}"), 1
        while target in targets:
            number += 1
            target = os.path.join(directory, f"{stem}_debug-{number}{extension}")
        if os.path.realpath(target) in originals:
            raise ValueError(f"--output-dir {directory}: {target} would replace an image")
        targets[target] = None
    return list(targets)


def _relative(path: str) -> str:
    """Return a path that stays below any folder it is joined to."""
    _, path = os.path.splitdrive(os.path.normpath(path))
    return os.path.join(*(part for part in path.split(os.sep) if part not in ("", "..")))


def write_picture(path: str, picture: np.ndarray) -> None:
    """Write a picture, whole or not at all; folders are made.

    Raises:
        OSError: if it cannot be written.
    """
    done, data = cv2.imencode(os.path.splitext(path)[1], picture)
    if not done:
        raise OSError(f"cannot write {path}: OpenCV does not encode it")
    atomic_write(path, data.tobytes())


def write_json(path: str, report: DatasetReport) -> None:
    """Write a report to a JSON file, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    atomic_write(path, json.dumps(report.to_dict(), indent=1) + "\n")


def print_report(report: DatasetReport) -> None:
    """Print a report: what there is, how large it is, and what is broken."""
    print(
        f"Images: {report.images} (unreadable: {len(report.unreadable)}, "
        f"without boxes: {report.images_without_boxes})"
    )
    Console().print(_class_table(report))
    absent = [name for name, count in report.classes.items() if not count.boxes]
    if absent:
        print(f"Classes without boxes ({len(absent)}): {', '.join(absent)}")
    Console().print(_size_table(report))
    _print_anchors(report)
    _print_files("Unreadable images", report.unreadable)
    _print_files("Images with boxes dropped: no area, or not wholly inside", report.dropped)
    if not report.broken:
        print("Nothing is broken.")


def _class_table(report: DatasetReport) -> Table:
    table = Table(title="Boxes")
    table.add_column("class")
    for heading in ("boxes", "without an anchor", "share"):
        table.add_column(heading, justify="right")
    for name, count in report.classes.items():
        if count.boxes:
            table.add_row(Text(name), *_cells(count))  # Text: brackets in a name are no markup
    table.add_section()
    table.add_row("all", *_cells(report.total))
    return table


def _cells(count: Count) -> tuple[str, str, str]:
    share = count.share_without_anchor
    return (
        str(count.boxes),
        str(count.without_anchor),
        "-" if share is None else f"{share:.1%}",
    )


def _size_table(report: DatasetReport) -> Table:
    table = Table(title="Sizes of boxes: square root of the area, in pixels")
    table.add_column("")
    for heading in ("smallest", "25 %", "median", "75 %", "largest"):
        table.add_column(heading, justify="right")
    rows = (
        ("in the image file", report.original_size, ".1f"),
        ("resized for the network", report.network_size, ".1f"),
        ("height over width", report.shape, ".2f"),
    )
    for name, spread, form in rows:
        values = vars(spread).values() if spread else ()
        table.add_row(name, *(format(value, form) for value in values))
    return table


def _print_anchors(report: DatasetReport) -> None:
    print(f"Anchor sizes: {_sizes(report.anchors)}")
    if report.fitted_anchors not in (None, report.anchors):
        print(
            f"  {_sizes(report.fitted_anchors)} would match more boxes: training takes them by "
            "itself where no --config sets others"
        )


def _sizes(anchors) -> str:
    return " ".join(f"{size:g}" for size in np.round(anchors.sizes, 1))


def _print_files(title: str, files: dict[str, str] | dict[str, int]) -> None:
    if not files:
        return
    print(f"{title} ({len(files)}):")
    for path, what in list(files.items())[:LISTED]:
        line = str(what)
        print(f"  {line if path in line else f'{path}: {line}'}")
    if len(files) > LISTED:
        print(f"  and {len(files) - LISTED} more (--json names all)")
