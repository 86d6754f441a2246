"""Decoded images, kept so that they need not be decoded again in each epoch."""

import hashlib
import os
import shutil
import threading
import warnings
from pathlib import Path

import numpy as np

from keras_retinanet.batches.dataset import DetectionDataset
from keras_retinanet.system.files import keras_home, replacing
from keras_retinanet.system.machine import free_memory
from keras_retinanet.system.types import StrPath


class NoCache:
    """A cache that keeps nothing."""

    def get(self, dataset: DetectionDataset, image_index: int) -> np.ndarray:
        """Return an image, the same as `load_image` of its data set."""
        return dataset.load_image(image_index)


class _Limited:
    """What both caches share: a maximum size, and a warning when it is reached."""

    def __init__(self, limit: int) -> None:
        self._bytes_left, self._images_kept, self._full = int(limit), 0, False
        self._lock = threading.Lock()

    def _reserve(self, size: int) -> bool:
        """Reserve room for an image of `size` bytes; return whether there was enough."""
        with self._lock:
            if self._full:
                return False
            if size <= self._bytes_left:
                self._bytes_left -= size
                self._images_kept += 1
                return True
        self._stop("half of what was free is used")
        return False

    def _stop(self, reason: str) -> None:
        with self._lock:
            if self._full:
                return
            self._full = True
        warnings.warn(
            f"the cache stops at {self._images_kept} images, {reason}: others are decoded each "
            "time",
            stacklevel=2,
        )


class InMemory(_Limited):
    """A cache in memory."""

    def __init__(self, limit: int | None = None) -> None:
        """Start without images.

        Args:
            limit: maximum bytes of all images; None for half of what is free now.
        """
        super().__init__(free_memory() // 2 if limit is None else limit)
        self._images: dict[int, np.ndarray] = {}

    def get(self, dataset: DetectionDataset, image_index: int) -> np.ndarray:
        """Return an image in a new array, the same as `load_image` of its data set."""
        image = self._images.get(image_index)
        if image is None:
            image = dataset.load_image(image_index)
            if not self._reserve(image.nbytes):
                return image
            self._images[image_index] = image
        return image.copy()


class OnDisk(_Limited):
    """A cache of `.npy` files, for later runs too.

    An image is decoded again if its path, size in bytes or modification time has changed. An image
    that is not a file is not kept. Nothing is ever deleted.
    """

    def __init__(self, folder: StrPath | None = None, limit: int | None = None) -> None:
        """Keep where to store images.

        Args:
            folder: made if missing; None for `decoded_images` in Keras's folder.
            limit: maximum bytes to add; None for half of what is free now.

        Raises:
            OSError: if the folder cannot be made.
        """
        self.folder = Path(folder or keras_home() / "decoded_images")
        self.folder.mkdir(parents=True, exist_ok=True)
        super().__init__(shutil.disk_usage(self.folder).free // 2 if limit is None else limit)

    def get(self, dataset: DetectionDataset, image_index: int) -> np.ndarray:
        """Return an image, the same as `load_image` of its data set."""
        file = self._file(dataset.image_path(image_index))
        if file is None:
            return dataset.load_image(image_index)
        try:
            return np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):  # not there, or damaged
            image = dataset.load_image(image_index)
        if self._reserve(image.nbytes):
            self._save(file, image)
        return image

    def _file(self, path: StrPath) -> Path | None:
        """Return the cache file of an image; None if there is no such image file."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        key = f"{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}"
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.npy"  # not too many in one folder

    def _save(self, file: Path, image: np.ndarray) -> None:
        try:
            with replacing(file) as temporary:
                np.save(temporary, image, allow_pickle=False)
        except OSError as error:
            self._stop(str(error))


CACHES = {"none": NoCache, "ram": InMemory, "disk": OnDisk}
