"""Decoded images, kept so that they need not be decoded again each epoch."""

import hashlib
import os
import shutil
import threading
import warnings
from pathlib import Path

import numpy as np

from keras_retinanet.batches.dataset import ImageSet
from keras_retinanet.system.files import keras_home, replacing
from keras_retinanet.system.machine import free_memory


class NoCache:
    """Keeps nothing."""

    def get(self, data_set: ImageSet, image_index) -> np.ndarray:
        """Return an image as `load_image` of its data set does."""
        return data_set.load_image(image_index)


class _Limited:
    """What both caches share: room for some bytes, and a warning when it is used up."""

    def __init__(self, limit):
        self._left, self._number, self._full = int(limit), 0, False
        self._lock = threading.Lock()

    def _take(self, size) -> bool:
        """Return whether there is room for `size` bytes, which are then taken."""
        with self._lock:
            if self._full:
                return False
            if size <= self._left:
                self._left -= size
                self._number += 1
                return True
        self._stop("half of what was free is used")
        return False

    def _stop(self, reason):
        with self._lock:
            if self._full:
                return
            self._full = True
        warnings.warn(
            f"the cache stops at {self._number} images, {reason}: others are decoded each time",
            stacklevel=2,
        )


class InMemory(_Limited):
    """Keeps images in memory, as they were when they were first read."""

    def __init__(self, limit: int | None = None):
        """Start without images.

        Args:
            limit: most bytes of all images; None for half of what is free now.
        """
        super().__init__(free_memory() // 2 if limit is None else limit)
        self._images: dict[int, np.ndarray] = {}

    def get(self, data_set: ImageSet, image_index) -> np.ndarray:
        """Return an image as `load_image` of its data set does, in an array of its own."""
        image = self._images.get(image_index)
        if image is None:
            image = data_set.load_image(image_index)
            if not self._take(image.nbytes):
                return image
            self._images[image_index] = image
        return image.copy()


class OnDisk(_Limited):
    """Keeps images as `.npy` files, for later runs too.

    An image whose path, size in bytes or time of change is another is read anew. One that is no
    file is not kept. Nothing is ever deleted.
    """

    def __init__(self, folder: str | Path | None = None, limit: int | None = None):
        """Keep where to store images.

        Args:
            folder: made if missing; None for `decoded_images` in Keras's folder.
            limit: most bytes to add; None for half of what is free now.

        Raises:
            OSError: if the folder cannot be made.
        """
        self.folder = Path(folder or keras_home() / "decoded_images")
        self.folder.mkdir(parents=True, exist_ok=True)
        super().__init__(shutil.disk_usage(self.folder).free // 2 if limit is None else limit)

    def get(self, data_set: ImageSet, image_index) -> np.ndarray:
        """Return an image as `load_image` of its data set does."""
        file = self._file(data_set.image_path(image_index))
        if file is None:
            return data_set.load_image(image_index)
        try:
            return np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):  # not there, or damaged
            image = data_set.load_image(image_index)
        if self._take(image.nbytes):
            self._save(file, image)
        return image

    def _file(self, path) -> Path | None:
        """Return where an image is kept; None if there is no such image file."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        key = f"{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}"
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.npy"  # not too many in one folder

    def _save(self, file, image):
        try:
            with replacing(file) as temporary:
                np.save(temporary, image, allow_pickle=False)
        except OSError as error:
            self._stop(str(error))


CACHES = {"none": NoCache, "ram": InMemory, "disk": OnDisk}
