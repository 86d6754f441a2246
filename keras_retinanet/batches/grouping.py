"""Which images share a batch, epoch by epoch."""

import threading
from collections.abc import Sequence

import numpy as np

METHODS = ("none", "random", "ratio")


class Groups:
    """The image indices of each batch of any epoch, which depend on seed and epoch alone."""

    def __init__(
        self,
        size: int,
        batch_size: int,
        method: str,
        shuffle: bool,
        seed: int,
        ratios: Sequence[float] | np.ndarray | None = None,
    ) -> None:
        """Keep how to group.

        Args:
            size: number of images.
            batch_size: images per batch; the last batch is filled up from the first images.
            method: "ratio" for images of similar aspect ratio, "random", or "none" for consecutive
                images.
            shuffle: whether the batches come in another order in each epoch.
            seed: seed of the random order.
            ratios: width divided by height of each image, for "ratio".

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
        self._ratios = np.asarray([] if ratios is None else ratios)
        self._by_epoch: dict[int, list[list[int]]] = {}
        self._lock = threading.Lock()

    def for_epoch(self, epoch: int) -> list[list[int]]:
        """Return the image indices of each batch of an epoch."""
        with self._lock:
            if epoch not in self._by_epoch:
                # Batches are prefetched, so two epochs are in use at a time.
                self._by_epoch = {k: v for k, v in self._by_epoch.items() if k >= epoch - 1}
                self._by_epoch[epoch] = self._make_groups(epoch)
            return self._by_epoch[epoch]

    def _make_groups(self, epoch: int) -> list[list[int]]:
        rng = np.random.default_rng([self._seed, epoch])
        order = np.arange(self._size)
        by_ratio = self._method == "ratio"
        if self._method == "random" or (by_ratio and self._shuffle):
            rng.shuffle(order)
        if by_ratio:
            # The sort is stable: images of equal ratio stay in random order, so that they share
            # their batch with others in each epoch.
            order = order[np.argsort(self._ratios[order], kind="stable")]
        filled = np.resize(order, -(-self._size // self._batch_size) * self._batch_size)
        groups = filled.reshape(-1, self._batch_size).tolist()
        if self._shuffle:
            rng.shuffle(groups)
        return groups
