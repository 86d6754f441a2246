"""Decoded images, kept so that they need not be decoded again in each epoch."""

import hashlib
import os
import shutil
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np

from keras_retinanet.batches.dataset import DetectionDataset
from keras_retinanet.system.files import (
    keras_home,
    only_regular,
    read_ends,
    remove_leftovers,
    replacing,
)
from keras_retinanet.system.limits import MAX_PIXELS
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
    """A cache of files with one image each, for later runs too.

    An image is decoded again if its path, size in bytes, modification time, or first or last bytes
    have changed, or if its cache file is damaged. An image that is not a file is not kept. Images
    are never deleted.

    A cache file holds `_HEADER`, then the pixels, uint8 `(h, w, 3)`.
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
        for folder in self.folder.iterdir():
            if folder.is_dir():
                remove_leftovers(folder, min_age=_DAY)
        super().__init__(shutil.disk_usage(self.folder).free // 2 if limit is None else limit)

    def get(self, dataset: DetectionDataset, image_index: int) -> np.ndarray:
        """Return an image, the same as `load_image` of its data set."""
        key = _key(dataset, dataset.image_path(image_index))
        if key is None:
            return dataset.load_image(image_index)
        name = key.hex()
        file = self.folder / name[:2] / f"{name[2:]}.pixels"  # not too many in one folder
        image = _read(file, key)
        if image is None:
            image = dataset.load_image(image_index)
            self._save(file, key, image)
        return image

    def _save(self, file: Path, key: bytes, image: np.ndarray) -> None:
        is_usual = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
        if not is_usual or image.size > 3 * MAX_PIXELS:
            self._stop(
                f"which keeps uint8 images (h, w, 3) of up to {MAX_PIXELS} pixels, and one is "
                f"{image.dtype} {image.shape}"
            )
            return
        if not self._reserve(image.nbytes):
            return
        pixels = np.ascontiguousarray(image)
        try:
            with replacing(file) as temporary, open(temporary, "wb") as opened:
                opened.write(_header(pixels, key))
                opened.write(pixels.data)
        except OSError as error:
            self._stop(str(error))


# Format, height, width, checksum.
_HEADER = struct.Struct("<8sQQQ")
_FORMAT = b"pixels 1"
_DAY = 86400.0  # seconds
_BLOCK = 4096  # bytes that are summed for the checksum


def _key(dataset: DetectionDataset, path: StrPath) -> bytes | None:
    """Return a hash that changes with an image file; None if there is no such file."""
    try:
        status, ends = read_ends(path)
    except (OSError, ValueError):
        return None
    # Two classes may prepare the images of the same file in different ways.
    reader = type(dataset).load_image
    text = (
        f"{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}\0"
        f"{reader.__module__}.{reader.__qualname__}\0"
    )
    return hashlib.sha256(text.encode("utf-8", "surrogateescape") + ends).digest()


def _header(pixels: np.ndarray, key: bytes) -> bytes:
    height, width = pixels.shape[:2]
    # The key is part of the checksum, so that the file of one image cannot pass for another's.
    start = zlib.crc32(key + struct.pack("<QQ", height, width))
    # Sums of blocks take a tenth of the time of a CRC of the pixels, which would double that of
    # `get`. A CRC of the sums finds blocks that were exchanged.
    data = pixels.reshape(-1)
    blocks = data[: data.size // _BLOCK * _BLOCK].view("<u8").reshape(-1, _BLOCK // 8)
    rest = zlib.crc32(data[blocks.nbytes :].data, start)
    return _HEADER.pack(
        _FORMAT, height, width, zlib.crc32(blocks.sum(axis=1, dtype="<u8").data, rest)
    )


def _read(file: Path, key: bytes) -> np.ndarray | None:
    """Return the image in a cache file; None if there is no such file, or it is damaged."""
    try:
        with open(file, "rb", buffering=0, opener=only_regular) as opened:
            header = opened.read(_HEADER.size)
            _, height, width, _ = _HEADER.unpack(header)
            size = 3 * height * width
            # Checked before the memory is taken.
            if size > 3 * MAX_PIXELS or os.fstat(opened.fileno()).st_size != len(header) + size:
                return None
            pixels = np.empty((height, width, 3), "uint8")
            opened.readinto(pixels.data)
    except (OSError, ValueError, struct.error):
        return None
    return pixels if header == _header(pixels, key) else None


CACHES = {"none": NoCache, "ram": InMemory, "disk": OnDisk}
