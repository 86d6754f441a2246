"""The boxes of all images of a data set in one array."""

from collections.abc import Iterable, Sequence

import numpy as np


class BoxTable(Sequence):
    """For each image its rows `x1, y1, x2, y2, label`, float64 `(n, 5)`; `n` may be 0.

    A list of tuples takes several times the memory. What indexing gives is a view of `rows`.

    Attributes:
        rows: those of all images, one image after the other, `(N, 5)`.
        starts: where the rows of each image begin, and at last `N`, `(images + 1,)`.
    """

    def __init__(self, image_indices, rows, size: int):
        """Sort rows by image; those of one image keep their order.

        Args:
            image_indices: the image of each row, integers `(N,)` from 0.
            rows: `x1, y1, x2, y2, label`, `(N, 5)`; kept as they are if they are sorted.
            size: number of images.
        """
        image_indices = np.asarray(image_indices, "int64")
        rows = np.asarray(rows, "float64").reshape(-1, 5)
        if (image_indices[1:] < image_indices[:-1]).any():
            rows = rows[np.argsort(image_indices, kind="stable")]
        self.rows = rows
        self.starts = np.concatenate([[0], np.cumsum(np.bincount(image_indices, minlength=size))])

    @classmethod
    def of(cls, annotations: Iterable) -> "BoxTable":
        """Return the table of a sequence with the rows of each image; a table is returned as is."""
        if isinstance(annotations, cls):
            return annotations
        arrays = [np.asarray(rows, "float64").reshape(-1, 5) for rows in annotations]
        rows = np.concatenate(arrays) if arrays else []
        counts = [len(array) for array in arrays]
        return cls(np.repeat(np.arange(len(arrays)), counts), rows, len(arrays))

    def __len__(self):
        """Return the number of images."""
        return len(self.starts) - 1

    def __getitem__(self, image_index):
        """Return the rows `(n, 5)` of an image."""
        # A range knows negative indices, and raises IndexError where there is no image.
        index = range(len(self))[image_index]
        return self.rows[self.starts[index] : self.starts[index + 1]]

    def counts(self) -> np.ndarray:
        """Return the number of rows of each image, `(images,)`."""
        return np.diff(self.starts)

    def select(self, kept) -> "BoxTable":
        """Return the table of the rows where a mask `(N,)` is true."""
        images = np.repeat(np.arange(len(self)), self.counts())
        return BoxTable(images[kept], self.rows[kept], len(self))
