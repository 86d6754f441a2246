"""The boxes of all images of a data set in one array."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike


class BoxTable(Sequence[np.ndarray]):
    """The rows `x1, y1, x2, y2, label` of each image, float64 `(n, 5)`; `n` may be 0.

    Lists of tuples take several times the memory. Indexing returns a view of `rows`.

    Attributes:
        rows: those of all images, one image after the other, `(N, 5)`.
        starts: index of the first row of each image, then `N`, `(images + 1,)`.
    """

    def __init__(self, image_indices: ArrayLike, rows: ArrayLike, size: int) -> None:
        """Sort rows by image; those of one image keep their order.

        Args:
            image_indices: index of the image of each row, integers `(N,)`.
            rows: `x1, y1, x2, y2, label`, `(N, 5)`; not copied if they are sorted by image.
            size: number of images.
        """
        image_indices = np.asarray(image_indices, "int64")
        rows = np.asarray(rows, "float64").reshape(-1, 5)
        if (image_indices[1:] < image_indices[:-1]).any():
            rows = rows[np.argsort(image_indices, kind="stable")]
        self.rows = rows
        self.starts = np.concatenate([[0], np.cumsum(np.bincount(image_indices, minlength=size))])

    @classmethod
    def of(cls, annotations: Iterable[ArrayLike]) -> "BoxTable":
        """Return the table of the rows of each image; a table is returned as it is."""
        if isinstance(annotations, cls):
            return annotations
        arrays = [np.asarray(rows, "float64").reshape(-1, 5) for rows in annotations]
        rows = np.concatenate(arrays) if arrays else np.zeros((0, 5))
        counts = [len(array) for array in arrays]
        return cls(np.repeat(np.arange(len(arrays)), counts), rows, len(arrays))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.starts) - 1

    def __getitem__(self, image_index: int) -> np.ndarray:  # type: ignore[override]  # no slices
        """Return the rows `(n, 5)` of an image."""
        # A range handles negative indices, and raises IndexError where there is no image.
        index = range(len(self))[image_index]
        return self.rows[self.starts[index] : self.starts[index + 1]]

    def counts(self) -> np.ndarray:
        """Return the number of rows of each image, `(images,)`."""
        return np.diff(self.starts)

    def select(self, kept: np.ndarray) -> "BoxTable":
        """Return the table of the rows for which a mask `(N,)` is true."""
        images = np.repeat(np.arange(len(self)), self.counts())
        return BoxTable(images[kept], self.rows[kept], len(self))

    def take(self, images: Sequence[int]) -> "BoxTable":
        """Return the table of some images, in the order given."""
        indices = np.asarray(images, "int64")
        counts = self.counts()[indices]
        # Row k of the result comes k - (its image's first row) after that image's first row here.
        first = np.repeat(self.starts[indices] - np.cumsum(counts) + counts, counts)
        rows = self.rows[first + np.arange(counts.sum())]
        return BoxTable(np.repeat(np.arange(len(indices)), counts), rows, len(indices))
