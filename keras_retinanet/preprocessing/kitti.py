"""Data sets in KITTI form: label files in `SUBSET/labels/`, images in `SUBSET/images/`.

The format of a line is that of http://www.cvlibs.net/datasets/kitti/: 15 fields, of which the first
is the class and the fifth to eighth are left, top, right and bottom in pixels from 0.
"""

import os
from typing import Any

from keras_retinanet.annotations import kitti_layouts
from keras_retinanet.annotations.image_files import ImageFinder
from keras_retinanet.annotations.text import finite_number, parse_lines
from keras_retinanet.preprocessing.labelled import LabelledGenerator
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# "DontCare" marks regions that nobody labelled; keras-retinanet trains them as "Misc". Of two names
# for a label the last is the one that is shown.
kitti_classes = {
    "Car": 0,
    "Van": 1,
    "Truck": 2,
    "Pedestrian": 3,
    "Person_sitting": 4,
    "Cyclist": 5,
    "Tram": 6,
    "DontCare": 7,
    "Misc": 7,
}
_SIDES = ("left", "top", "right", "bottom")


def read_labels(path: StrPath) -> list[tuple]:
    """Return the boxes `(x1, y1, x2, y2, label)` in a label file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming file and line, for a number of fields that is not 15, 16 (with a score)
            or 8 (without what follows the box), an unknown class, or a malformed, empty or
            reversed box.
    """
    return parse_lines(path, "KITTI label file", _parse)


def _parse(fields: list[str], place: str) -> tuple:
    # Fields have no names: where one is missing, others would be read in its place.
    if len(fields) not in kitti_layouts.FIELD_COUNTS:
        raise ValueError(f"{place}: expected 15 fields, got {len(fields)}")
    if fields[0] not in kitti_classes:
        name = shorten(fields[0], 40)
        raise ValueError(f"{place}: unknown class '{name}' (classes: {list(kitti_classes)})")
    x1, y1, x2, y2 = (
        finite_number(text, f"{place}: malformed {side}")
        for text, side in zip(fields[4:8], _SIDES, strict=True)
    )
    if x2 <= x1 or y2 <= y1:
        raise ValueError(
            f"{place}: expected right and bottom above left and top, got {shorten(fields[4:8])}"
        )
    return x1, y1, x2, y2, kitti_classes[fields[0]]


class KittiGenerator(LabelledGenerator):
    """A data set in KITTI form."""

    def __init__(self, base_dir: StrPath, subset: str = "train", **kwargs: Any) -> None:
        """Read all label files, in the order of their names.

        Args:
            base_dir: folder of the subsets, or of the only one, as downloaded.
            subset: the folder in it with `labels/` and `images/`, or `label_2/` and `image_2/`;
                images are PNG files, or others where there is none. `train` is also `training`.
            **kwargs: for `Generator`.

        Raises:
            OSError: if a file cannot be read.
            ValueError: naming file and line, if one is malformed or an image does not exist.
        """
        self.base_dir = base_dir
        labels, images_dir = kitti_layouts.find_set(base_dir, subset)
        names = sorted(name for name in os.listdir(labels) if name.endswith(".txt"))
        images = ImageFinder(images_dir)
        paths = [images.find(name.removesuffix(".txt"), ".png") for name in names]
        annotations = [read_labels(os.path.join(labels, name)) for name in names]
        super().__init__(kitti_classes, paths, annotations, source=labels, **kwargs)

    def why_no_boxes(self) -> str:
        """Return the likely cause, for messages, if the data set has no box at all."""
        return f"all {len(self.paths)} label files are empty"
