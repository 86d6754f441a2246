"""The images that each of several workers looks at, and the detections of all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras_retinanet.detection.detections import Detections
from keras_retinanet.system.workers import rows_of_workers, this_worker


def own_images(size: int) -> range:
    """Return the indices that this worker has to look at, of so many images."""
    worker = this_worker()
    return range(worker.index, size, worker.count)


def of_all_workers(found: Mapping[int, Detections], size: int) -> list[Detections]:
    """Return the detections of each of so many images, from those of `own_images` in each worker.

    An image of which nobody has detections has none.
    """
    if this_worker().count == 1:
        return [found.get(index, Detections.empty()) for index in range(size)]
    tables = [_to_table(index, detections) for index, detections in found.items()]
    rows = rows_of_workers(np.concatenate([np.zeros((0, 9)), *tables]))
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    ends = np.searchsorted(rows[:, 0], np.arange(size), side="right")
    return [_from_table(table) for table in np.split(rows, ends)[:size]]


def _to_table(index: int, found: Detections) -> np.ndarray:
    """Return detections as rows of index, capped, bytes of a coordinate, box, score and label."""
    columns = np.empty((len(found), 9))
    columns[:, :3] = index, found.capped, found.boxes.itemsize
    columns[:, 3:7], columns[:, 7], columns[:, 8] = found.boxes, found.scores, found.labels
    return columns


def _from_table(rows: np.ndarray) -> Detections:
    """Return the detections of an image from its rows."""
    if not len(rows):
        return Detections.empty()
    _, capped, itemsize = rows[0, :3]
    return Detections(
        rows[:, 3:7].astype(f"float{8 * itemsize:.0f}"),
        rows[:, 7].astype("float32"),
        rows[:, 8].astype(int),
        bool(capped),
    )
