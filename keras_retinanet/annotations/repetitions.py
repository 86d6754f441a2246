"""Boxes and images that a data set lists more than once, found without comparing all pairs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_retinanet.annotations.box_table import BoxTable

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, with well mixed bits: 2^64 over the golden ratio
# In a path relative to the folder of all: more than one spelling is possible.
_UNUSUAL = ("//", "/./", "/../", "\0./", "\0../", "\0/")


@dataclass(frozen=True)
class Repetition:
    """What is listed more than once.

    Attributes:
        number: how many entries repeat an earlier one.
        first: the first of them, in words.
    """

    number: int
    first: str

    def to_dict(self) -> dict[str, Any]:
        """Return both, for JSON."""
        return asdict(self)


def repeated_boxes(
    table: BoxTable, paths: Sequence[str], names: Mapping[int, str | None]
) -> Repetition | None:
    """Return the rows of a table that equal an earlier row of the same image; None if none do.

    Args:
        table: the boxes of all images.
        paths: the file of each image, for the description.
        names: the name of each label, for the description.
    """
    later = _repeated_rows(table)
    if not len(later):
        return None
    *box, label = table.rows[later[0]].tolist()
    image = int(np.searchsorted(table.starts, later[0], side="right")) - 1
    sides = ", ".join(f"{side:g}" for side in box)
    return Repetition(len(later), f"{paths[image]}: box {sides} of class {names.get(int(label))!r}")


def _repeated_rows(table: BoxTable) -> np.ndarray:
    """Return the indices of rows that equal an earlier row of their image, in their order."""
    if len(table.rows) < 2:
        return np.zeros(0, int)
    # Equal rows have equal hashes. A comparison of all columns is needed for these alone.
    hashes = np.repeat(np.arange(len(table), dtype="uint64"), table.counts())
    for column in table.rows.T:
        bits = (column + 0.0).view("uint64")  # -0 becomes 0
        # Small whole numbers differ in the upper bits only, which a product would lose.
        hashes ^= bits ^ (bits >> np.uint64(32))
        hashes *= _FACTOR
        hashes ^= hashes >> np.uint64(29)
    in_order = np.sort(hashes)
    if (in_order[1:] != in_order[:-1]).all():
        return np.zeros(0, int)
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    earlier, later = order[:-1][same], order[1:][same]
    images = np.searchsorted(table.starts, [earlier, later], side="right")
    equal = (images[0] == images[1]) & (table.rows[earlier] == table.rows[later]).all(axis=1)
    return np.sort(later[equal])


def repeated_images(paths: Sequence[str]) -> Repetition | None:
    """Return the images that are listed twice, perhaps in two spellings; None if none are.

    `a.jpg`, `./a.jpg` and `sub/../a.jpg` are the same image. The disk is not looked at, so links
    are not followed.
    """
    if not paths:
        return None
    # The folder that all have in common, however that is spelled.
    common = os.path.commonprefix([min(paths), max(paths)])
    folder = common[: common.rfind("/") + 1]
    names = _normal_paths(paths, folder)
    if len(set(names)) == len(names):
        return None
    first_index: dict[str, int] = {}
    later = [i for i, name in enumerate(names) if first_index.setdefault(name, i) != i]
    first, again = paths[first_index[names[later[0]]]], paths[later[0]]
    spellings = f"{again.removeprefix(folder)} is {first.removeprefix(folder)}"
    return Repetition(len(later), again if again == first else spellings)


def _normal_paths(paths: Sequence[str], folder: str) -> Sequence[str]:
    """Return a path of each image that is equal for equal images.

    Args:
        paths: the images.
        folder: the beginning that all have in common.
    """
    # Normalising a million paths takes a second. It is needed if one is unusual after the folder.
    text = ("\0" + "\0".join(paths)).replace("\0" + folder, "\0")
    if os.sep == "/" and not any(part in text for part in _UNUSUAL):
        return paths
    here = os.getcwd()
    return [
        os.path.normpath(path if os.path.isabs(path) else os.path.join(here, path))
        for path in paths
    ]
