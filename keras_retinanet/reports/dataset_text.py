"""The report on a data set (`retinanet-debug --check`) as text and as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from rich.table import Table
from rich.text import Text

from keras_retinanet.geometry.anchors import AnchorParameters
from keras_retinanet.reports.dataset import Count, DatasetReport
from keras_retinanet.reports.tables import print_table
from keras_retinanet.system.files import atomic_write
from keras_retinanet.system.types import StrPath

LISTED = 20  # maximum number of files in a list of the text; the JSON file lists all


def write_json(path: StrPath, report: DatasetReport) -> None:
    """Write a report to a JSON file, atomically.

    Raises:
        OSError: if the file cannot be written.
    """
    atomic_write(path, json.dumps(report.to_dict(), indent=1) + "\n")


def print_report(report: DatasetReport) -> None:
    """Print a report: the boxes of each class, their sizes, the anchors, and what is broken."""
    print(
        f"Images: {report.images} (unreadable: {len(report.unreadable)}, "
        f"without boxes: {report.images_without_boxes})"
    )
    print_table(_class_table(report))
    absent = [name for name, count in report.classes.items() if not count.boxes]
    if absent:
        _print(f"Classes without boxes ({len(absent)}): {', '.join(absent)}")
    print_table(_size_table(report))
    _print_anchors(report)
    _print_files("Unreadable images", report.unreadable)
    _print_files("Images with boxes dropped: no area, or not fully inside", report.dropped)
    _print_files("Images with boxes clipped: outside by up to a pixel", report.clipped)
    _print_files("Images of another size than annotated", report.other_size)
    _print_files(
        "Images with an EXIF orientation, which is ignored: store them upright, or check that the "
        "boxes are in the pixels as stored",
        report.rotated,
    )
    for what, repetition in (("Boxes", report.repeated_boxes), ("Images", report.repeated_images)):
        if repetition is not None:
            _print(
                f"{what} listed again, which count again: {repetition.number}, the first: "
                f"{repetition.first}"
            )
    if report.no_boxes is not None:
        _print(f"There is no box at all: {report.no_boxes}")
    if not report.broken:
        print("Nothing is broken.")


def _class_table(report: DatasetReport) -> Table:
    table = Table(title="Boxes")
    table.add_column("class")
    for heading in ("boxes", "without an anchor", "share"):
        table.add_column(heading, justify="right")
    for name, count in report.classes.items():
        if count.boxes:
            # Text, because a name with brackets must not be read as markup.
            table.add_row(Text(name), *_cells(count))
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
    if report.fitted_anchors is not None and report.fitted_anchors != report.anchors:
        print(
            f"  {_sizes(report.fitted_anchors)} would match more boxes: training chooses them "
            "unless --config sets others"
        )


def _sizes(anchors: AnchorParameters) -> str:
    return " ".join(f"{size:g}" for size in np.round(anchors.sizes, 1))


def _print_files(title: str, files: Mapping[str, str | int]) -> None:
    if not files:
        return
    print(f"{title} ({len(files)}):")
    for path, value in list(files.items())[:LISTED]:
        line = str(value)
        _print(f"  {line if path in line else f'{path}: {line}'}")
    if len(files) > LISTED:
        print(f"  and {len(files) - LISTED} more (--json names all)")


def _print(line: str) -> None:
    """Print a line; bytes in file names that are no UTF-8 are printed as such."""
    print(line.encode("utf-8", "backslashreplace").decode())
