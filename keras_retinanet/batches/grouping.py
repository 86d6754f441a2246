"""Which images share a batch, epoch by epoch."""

import threading
from collections.abc import Sequence

import numpy as np

METHODS = ("none", "random", "ratio")


class Groups:
    """The image indices of each batch of any epoch, drawn from (seed, epoch) alone."""

    def __init__(
        self,
        size: int,
        batch_size: int,
        method: str,
        shuffle: bool,
        seed: int,
        ratios: Sequence[float] | None = None,
    ):
        """Keep how to group.

        Args:
            size: number of images.
            batch_size: images a batch; the last batch is filled up from the first images.
            method: "ratio" for images of like aspect ratio, "random", or "none" for those that
                follow each other.
            shuffle: whether each epoch has the batches in another order.
            seed: what the draws start from.
            ratios: width over height of each image, for "ratio".

        Raises:
            ValueError: for a batch size below 1, an unknown method or no images.
        """
        if batch_size < 1:
            raise ValueError(f"expected a batch size of at least 1, got {batch_size}")
        if method not in METHODS:
            raise ValueError(f"expected group_method 'none', 'random' or 'ratio', got {method!r}")
        if not size:
            raise ValueError("expected a data set with at least one image, got none")
        self._size, self._batch_size = size, batch_size
        self._method, self._shuffle, self._seed = method, shuffle, seed
        self._ratios = None if ratios is None else np.asarray(ratios)
        self._known: dict[int, list[list[int]]] = {}
        self._lock = threading.Lock()

    def of(self, epoch: int) -> list[list[int]]:
        """Return the image indices of each batch of an epoch."""
        with self._lock:
            if epoch not in self._known:
                # Batches are fetched ahead, so two epochs are in use at a time.
                self._known = {k: groups for k, groups in self._known.items() if k >= epoch - 1}
                self._known[epoch] = self._draw(epoch)
            return self._known[epoch]

    def _draw(self, epoch):
        rng = np.random.default_rng([self._seed, epoch])
        order = np.arange(self._size)
        by_ratio = self._method == "ratio"
        if self._method == "random" or (by_ratio and self._shuffle):
            rng.shuffle(order)
        if by_ratio:
            # Images of one ratio meet others of it each epoch; the sort keeps their random order.
            order = order[np.argsort(self._ratios[order], kind="stable")]
        filled = np.resize(order, -(-self._size // self._batch_size) * self._batch_size)
        groups = filled.reshape(-1, self._batch_size).tolist()
        if self._shuffle:
            rng.shuffle(groups)
        return groups
