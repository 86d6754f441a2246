"""Checks of everything in an HDF5 file before any of it is used.

A snapshot needs groups, and datasets of numbers that the file holds itself. All else that HDF5 can
do is refused: links and external storage would make any file on this machine appear as weights,
circles of groups and endless lists take for ever, and datasets that are declared but not written,
or compressed, take more memory than there is.
"""

import math
import zlib

import h5py
import numpy as np

from keras_retinanet.system.archives import check_expansion
from keras_retinanet.system.limits import (
    MAX_HDF5_DEPTH,
    MAX_HDF5_OBJECTS,
    MAX_MODEL_CONFIG_BYTES,
    MIN_CONTENTS_BYTES,
)

# Attributes that list names of layers or weights.
_NAME_LISTS = ("layer_names", "weight_names")
_MAX_VARIABLE_LENGTH_NAMES = 4096


def check_contents(file: h5py.File, file_bytes: int) -> None:
    """Check everything in an HDF5 file.

    Args:
        file: the file.
        file_bytes: its size.

    Raises:
        ValueError: naming the place of what no snapshot needs.
        OSError, RuntimeError, TypeError, ...: what h5py raises for a damaged file.
    """
    _Checker(file_bytes).check(file)


class _Checker:
    """The sums over all objects of a file while they are visited."""

    def __init__(self, file_bytes: int) -> None:
        self._file_bytes = file_bytes
        self._objects = 0
        self._bytes = 0

    def check(self, file: h5py.File) -> None:
        """Visit all objects of a file, without recursion."""
        groups, seen = [(file["/"], 0)], set()
        while groups:
            group, depth = groups.pop()
            address = h5py.h5o.get_info(group.id).addr
            if address in seen:  # hard links may form a circle
                continue
            seen.add(address)
            if depth > MAX_HDF5_DEPTH:
                raise ValueError(f"expected at most {MAX_HDF5_DEPTH} groups inside each other")
            self._count(len(group))
            self._check_attributes(group)
            for name in group:
                place = f"{group.name.rstrip('/')}/{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{place} is a link to elsewhere, which no snapshot needs")
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append((item, depth + 1))
                elif isinstance(item, h5py.Dataset):
                    self._check_dataset(item, place)
                else:
                    raise ValueError(f"{place} is neither a group nor a dataset")

    def _count(self, number: int) -> None:
        self._objects += number
        if self._objects > MAX_HDF5_OBJECTS:
            raise ValueError(
                f"expected at most {MAX_HDF5_OBJECTS} groups, datasets, attributes and names"
            )

    def _check_attributes(self, item: h5py.Group | h5py.Dataset) -> None:
        """Check the attributes of a group or dataset."""
        self._count(len(item.attrs))
        for name in item.attrs:
            place = f"attribute {name!r} of {item.name}"
            attribute = item.attrs.get_id(name)
            dtype, shape = attribute.dtype, attribute.shape
            count = 0 if shape is None else math.prod(shape)
            if dtype.kind == "O":
                text = h5py.check_string_dtype(dtype)
                if text is None or count > _MAX_VARIABLE_LENGTH_NAMES:
                    raise ValueError(f"{place}: expected a text, a list of texts or numbers")
            if count * dtype.itemsize > MAX_MODEL_CONFIG_BYTES:
                raise ValueError(
                    f"{place}: expected at most {MAX_MODEL_CONFIG_BYTES} bytes, got "
                    f"{count * dtype.itemsize}"
                )
            if name.rstrip("0123456789") in _NAME_LISTS:
                self._check_names(item, item.attrs[name], place)

    def _check_names(self, group: h5py.Group, values: np.ndarray, place: str) -> None:
        """Check a list of names of layers or weights: different objects below their group."""
        names = [
            name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
            for name in np.ravel(values).tolist()
        ]
        self._count(len(names))
        addresses = set()
        for name in names:
            if {"", ".", ".."} & set(name.split("/")) or name not in group:
                raise ValueError(f"{place}: expected names of what is in the group, got {name!r}")
            addresses.add(h5py.h5o.get_info(group[name].id).addr)
        # Each group that is listed lists weights: without this, a small file could list millions.
        if len(addresses) < len(names):
            raise ValueError(f"{place}: the same object stands there twice")

    def _check_dataset(self, dataset: h5py.Dataset, place: str) -> None:
        """Check that a dataset is an array of numbers that the file holds."""
        if dataset.external or dataset.is_virtual:
            raise ValueError(f"{place} keeps its values in another file, refused")
        self._check_attributes(dataset)
        dtype, shape = dataset.dtype, dataset.shape
        # Keras stores bfloat16, which HDF5 does not have, as two bytes of no type.
        is_opaque = dtype.kind == "V" and dtype.names is None and dtype.subdtype is None
        # Texts take no more memory than they declare; who wants numbers refuses them later.
        if shape is None or not (dtype.kind in "fiubS" or (is_opaque and dtype.itemsize <= 2)):
            raise ValueError(f"{place}: expected numbers, got {dtype} of the shape {shape}")
        declared = math.prod(shape) * dtype.itemsize
        self._bytes += declared
        check_expansion(self._bytes, self._file_bytes)
        if dataset.chunks is None:
            stored = dataset.id.get_storage_size()
            if stored < declared:
                raise ValueError(f"{place}: expected {declared} bytes in the file, got {stored}")
        elif declared:
            self._check_chunks(dataset, place, declared)

    def _check_chunks(self, dataset: h5py.Dataset, place: str, declared: int) -> None:
        """Check that all chunks of a dataset are there and no larger than they should be."""
        size = math.prod(dataset.chunks) * dataset.dtype.itemsize
        expected = math.prod(
            -(-side // step) for side, step in zip(dataset.shape, dataset.chunks, strict=True)
        )
        self._count(expected)
        if size > max(declared, MIN_CONTENTS_BYTES):
            raise ValueError(f"{place}: chunks of {size} bytes for a dataset of {declared}")
        if dataset.id.get_num_chunks() != expected:
            raise ValueError(f"{place}: parts of its values are not in the file")
        filters = _filters(dataset)
        if not filters:
            return
        deflate, shuffle, fletcher = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, 3
        if filters.count(deflate) > 1 or set(filters) - {deflate, shuffle, fletcher}:
            raise ValueError(f"{place}: expected gzip or no compression (h5repack -f NONE)")
        if deflate in filters:
            self._check_deflated(dataset, place, size)

    def _check_deflated(self, dataset: h5py.Dataset, place: str, size: int) -> None:
        """Check that no compressed chunk is longer than the others; HDF5 would expand all of it."""
        chunks: list[tuple[int, ...]] = []
        dataset.id.chunk_iter(lambda chunk: chunks.append(chunk.chunk_offset))
        for offset in chunks:
            _, stored = dataset.id.read_direct_chunk(offset)
            decompressor = zlib.decompressobj()
            try:
                length = len(decompressor.decompress(stored, size + 1))
            except zlib.error:
                continue  # stored as it is; or damaged, which reading it reports
            if length > size:
                raise ValueError(f"{place}: a chunk is longer than the {size} bytes it declares")


def _filters(dataset: h5py.Dataset) -> list[int]:
    """Return the numbers of the filters that a dataset's chunks pass through."""
    settings = dataset.id.get_create_plist()
    return [settings.get_filter(i)[0] for i in range(settings.get_nfilters())]
