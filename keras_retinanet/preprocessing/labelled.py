"""What the readers of all formats share: image files, and classes with names and labels."""

import os
import warnings

import numpy as np

from keras_retinanet.images import image_size, read_image_bgr
from keras_retinanet.preprocessing.generator import Generator


class LabelledGenerator(Generator):
    """A data set whose images are files and whose classes have names.

    A reader reads its format, then calls this constructor.

    Attributes:
        classes: class name -> label.
        labels: label -> class name; of several names for a label the last.
        paths: the file of each image.
        annotations: for each image `{"labels": (n,), "bboxes": (n, 4)}` in pixels.
        dropped: for each image the number of boxes left out as invalid; None if there are none.
    """

    def __init__(
        self,
        classes,
        paths,
        annotations,
        *,
        source=None,
        missing_ok=False,
        dropped=None,
        **kwargs,
    ):
        """Keep what a reader has read.

        Args:
            classes: class name -> label.
            paths: the file of each image.
            annotations: for each image rows `x1, y1, x2, y2, label` in pixels.
            source: the file or folder that lists the images, for messages; None if they are no
                files.
            missing_ok: whether image files may be missing; reading them is then an error.
            dropped: for each image the number of boxes left out as invalid; None for none at all.
            **kwargs: for `Generator`.

        Raises:
            ValueError: if there is no class or no image, or image files do not exist, naming the
                first.
        """
        if source is not None and not (missing_ok and paths):
            check_files(source, paths)
        if not classes:
            raise ValueError("expected a data set with at least one class, got none")
        self.classes = dict(classes)
        self.labels = {label: name for name, label in self.classes.items()}
        self.paths = list(paths)
        self.annotations = annotations
        self.dropped = dropped
        super().__init__(**kwargs)

    def size(self):
        """Return the number of images."""
        return len(self.paths)

    def num_classes(self):
        """Return the greatest label + 1."""
        return max(self.labels) + 1

    def has_label(self, label):
        """Return whether a label is in use."""
        return label in self.labels

    def has_name(self, name):
        """Return whether a class name is known."""
        return name in self.classes

    def name_to_label(self, name):
        """Return the label of a class name."""
        return self.classes[name]

    def label_to_name(self, label):
        """Return the class name of a label."""
        return self.labels[label]

    def image_path(self, image_index):
        """Return the path of an image."""
        return self.paths[image_index]

    def image_aspect_ratio(self, image_index):
        """Return width over height; 1 for an image that cannot be read (loading it says why)."""
        try:
            width, height = image_size(self.paths[image_index])
        except (OSError, ValueError):
            return 1.0
        return width / height

    def load_image(self, image_index):
        """Return an image as BGR uint8."""
        return read_image_bgr(self.paths[image_index])

    def load_annotations(self, image_index):
        """Return labels `(n,)` and boxes `(n, 4)` of an image, in new arrays."""
        rows = np.array(self.annotations[image_index], "float64").reshape(-1, 5)
        return {"labels": rows[:, 4].astype(int), "bboxes": rows[:, :4]}

    def dropped_boxes(self, image_index):
        """Return how many invalid boxes of an image were left out."""
        return self.dropped[image_index] if self.dropped else 0


def check_files(source, paths) -> None:
    """Raise ValueError if `source` lists no images, or, naming the first, if files do not exist."""
    if not paths:
        raise ValueError(f"{source}: expected at least one image, got none")
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise ValueError(
            f"{source}: {len(missing)} of {len(paths)} image files not found, "
            f"the first: {missing[0]}"
        )


def drop_empty_boxes(annotations, files) -> tuple[list[list[tuple]], list[int]]:
    """Return annotations without boxes that are empty or reversed, with one warning for all.

    Args:
        annotations: for each image rows `x1, y1, x2, y2, label`.
        files: where the rows of each image come from, for the warning.

    Returns:
        The annotations that are left, and for each image the number of boxes that are not.
    """
    kept = [[row for row in rows if row[2] > row[0] and row[3] > row[1]] for rows in annotations]
    losses = [len(rows) - len(left) for rows, left in zip(annotations, kept, strict=True)]
    if any(losses):
        first = next(file for file, lost in zip(files, losses, strict=True) if lost)
        warnings.warn(
            f"left out {sum(losses)} boxes without area, the first of them in {first}",
            stacklevel=3,
        )
    return kept, losses
