"""Checkpoints that `torch.save` wrote: the zip form, and the form before torch 1.6. Without torch.

Zip: `PREFIX/data.pkl`, and the numbers of each storage in `PREFIX/data/KEY`. Before: a pickled
magic number, version and description of the machine, the pickled object, the pickled list of keys,
and for each key the number of elements (int64) and the bytes. In the pickle a tensor is a shape,
strides and an offset into a storage, which several may share.
"""

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_retinanet.system.limits import MAX_CHECKPOINT_MEMBERS
from keras_retinanet.system.messages import shorten
from keras_retinanet.zoo import numpy_pickles
from keras_retinanet.zoo.pickles import Global, Handlers, load_pickle
from keras_retinanet.zoo.stored import (
    ITEM_BYTES,
    Stored,
    checked_integer,
    checked_integers,
    checked_shape,
    count,
    decode,
    describe,
    memory_bytes,
)

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
_KINDS = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
_LOCAL_HEADER = 30  # bytes before the name of a member of a zip archive
_ENCRYPTED = 1  # in the flags of a member


class _Storages:
    """The storages that a pickle refers to, decoded when they are asked for."""

    def __init__(self, read: Callable[[str], memoryview]) -> None:
        self._read = read  # returns the bytes of a key
        self.known: dict[str, tuple[str, int]] = {}  # kind and number of elements of each key
        self._arrays: dict[str, np.ndarray] = {}

    def load(self, identity: Any) -> "_Storage":
        """Return the storage that a persistent id names.

        It is ("storage", class, key, device, elements), and in the old form also None or the key,
        offset and elements of the part of it that is meant.
        """
        if not isinstance(identity, tuple) or len(identity) not in (5, 6):
            raise ValueError(f"expected a reference to a storage, got {describe(identity)}")
        what, kind, key, _, elements = identity[:5]
        if what != "storage" or not isinstance(kind, Global) or type(key) is not str:
            # Such as a module, by which whole models were saved.
            raise ValueError(f"expected a reference to a storage, got one to {describe(what)}")
        if str(kind) not in _KINDS:
            raise ValueError(f"expected numbers that NumPy has, got {shorten(ascii(str(kind)))}")
        found = (_KINDS[str(kind)], checked_integer(elements))
        if self.known.setdefault(key, found) != found:
            raise ValueError(f"the storage {describe(key)} is said to be of two kinds")
        start, length = 0, found[1]
        if len(identity) == 6 and identity[5] is not None:
            _, start, length = _checked_part(identity[5])
            if start + length > found[1]:
                raise ValueError(f"a part of the storage {describe(key)} lies outside it")
        return _Storage(self, key, start, length)

    def array(self, key: str) -> np.ndarray:
        """Return all numbers of a storage."""
        if key not in self._arrays:
            kind, elements = self.known[key]
            data, expected = self._read(key), elements * ITEM_BYTES[kind]
            if len(data) != expected:
                raise ValueError(
                    f"expected {expected} bytes in the storage {describe(key)}, got {len(data)}"
                )
            self._arrays[key] = decode(data, kind)
        return self._arrays[key]


class _Storage:
    """A storage, or a part of one."""

    def __init__(self, storages: _Storages, key: str, start: int, length: int) -> None:
        self._storages = storages
        self._key = key
        self._start = start
        self.length = length

    @property
    def item_bytes(self) -> int:
        """Bytes of a number in memory."""
        return memory_bytes(self._storages.known[self._key][0])

    def array(self) -> np.ndarray:
        return self._storages.array(self._key)[self._start : self._start + self.length]


class _Tensor(Stored):
    """A tensor: the elements offset + sum(index * stride) of a storage."""

    def __init__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> None:
        if not isinstance(storage, _Storage):
            raise ValueError(f"expected a tensor in a storage, got {describe(storage)}")
        self._storage = storage
        self._offset = offset
        self._shape = shape
        self._strides = strides

    @property
    def nbytes(self) -> int:
        return count(checked_shape(self._shape)) * self._storage.item_bytes

    def array(self) -> np.ndarray:
        shape, offset = checked_shape(self._shape), checked_integer(self._offset)
        strides = checked_integers(self._strides)
        if len(strides) != len(shape):
            raise ValueError(f"expected {len(shape)} strides, got {describe(strides)}")
        values, steps = self._storage.array(), zip(shape, strides, strict=True)
        last = offset + sum((size - 1) * stride for size, stride in steps)
        if 0 in shape:
            return values[:0].reshape(shape)
        if last >= values.size:
            raise ValueError(
                f"expected a storage of at least {last + 1} elements for the shape "
                f"{describe(shape)}, got {values.size}"
            )
        # NumPy checks once more that the array lies inside the storage.
        size = values.itemsize
        return np.ndarray(
            shape, values.dtype, values, offset * size, [stride * size for stride in strides]
        )


def _checked_part(part: Any) -> tuple[str, int, int]:
    """Return the key, the offset and the number of elements of a part of a storage."""
    if not isinstance(part, tuple) or len(part) != 3 or type(part[0]) is not str:
        raise ValueError(f"expected a part of a storage, got {describe(part)}")
    return part[0], checked_integer(part[1]), checked_integer(part[2])


def _parameter(tensor: Any, *_: Any) -> _Tensor:
    if not isinstance(tensor, _Tensor):
        raise ValueError(f"expected a tensor as parameter, got {describe(tensor)}")
    return tensor


_HANDLERS: Handlers = {
    **numpy_pickles.HANDLERS,
    "torch._utils._rebuild_tensor_v2": _Tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": checked_shape,
    "torch.device": lambda *parts: None,
}


def read_zip(data: bytes) -> Any:
    """Return the object in a checkpoint in the zip form.

    Args:
        data: the bytes of the file.

    Returns:
        The object. Ordered dictionaries in it are `dict`, tensors `Stored`.

    Raises:
        ValueError: if the archive is damaged or no such checkpoint.
    """
    # Before all are listed, which takes ten times their bytes.
    if data.count(b"PK\1\2") > MAX_CHECKPOINT_MEMBERS:
        raise ValueError(f"expected an archive of at most {MAX_CHECKPOINT_MEMBERS} members")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {member.filename: member for member in archive.infolist()}
    except Exception as error:  # zipfile raises many types for damaged files
        raise ValueError("expected a zip archive, got one that is truncated or damaged") from error
    prefix = _find_prefix(members)

    def read(name: str) -> memoryview:
        if prefix + name not in members:
            raise ValueError(f"expected a member {describe(name)} in the archive, got none")
        return _member(data, members[prefix + name])

    if f"{prefix}byteorder" in members and read("byteorder").tobytes() != b"little":
        raise ValueError("expected numbers with the lowest byte first, got another byte order")
    storages = _Storages(lambda key: read(f"data/{key}"))
    return load_pickle(read("data.pkl"), _HANDLERS, storages.load)[0]


def _find_prefix(members: Mapping[str, zipfile.ZipInfo]) -> str:
    """Return the folder of an archive in which everything is, with its slash."""
    found = [name[: -len("data.pkl")] for name in members if name.endswith("/data.pkl")]
    if not found:
        if "config.json" in members:
            raise ValueError("expected a checkpoint of another library, got a Keras model")
        raise ValueError("expected a checkpoint that torch.save wrote, got another zip archive")
    prefix = min(found, key=len)
    if f"{prefix}constants.pkl" in members or any(
        name.startswith(f"{prefix}code/") for name in members
    ):
        raise ValueError(
            "expected a checkpoint of tensors, got a TorchScript program: save the state_dict() of "
            "its model instead"
        )
    return prefix


def _member(data: bytes, member: zipfile.ZipInfo) -> memoryview:
    """Return the bytes of a member, without copying them."""
    name = describe(member.filename)
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
        raise ValueError(f"expected archive members that are only stored, got {name}, compressed")
    header = data[member.header_offset : member.header_offset + _LOCAL_HEADER]
    # The extra field here is longer than in the directory: torch aligns the data with it.
    start = member.header_offset + _LOCAL_HEADER
    start += int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    found = memoryview(data)[start : start + member.file_size]
    if member.header_offset < 0 or header[:4] != b"PK\3\4" or len(found) != member.file_size:
        raise ValueError(f"the archive is truncated or damaged at its member {name}")
    if zlib.crc32(found) != member.CRC:
        raise ValueError(f"the archive is damaged: its member {name} has another checksum")
    return found


def read_legacy(data: bytes) -> Any:
    """Return the object in a checkpoint in the form before torch 1.6.

    Args, Returns, Raises: see `read_zip`.
    """
    view = memoryview(data)
    parts: dict[str, memoryview] = {}
    storages = _Storages(parts.__getitem__)
    magic, place = load_pickle(view, {})
    version, place = load_pickle(view, {}, start=place)
    machine, place = load_pickle(view, {}, start=place)
    if magic != LEGACY_MAGIC or version != _LEGACY_VERSION or not isinstance(machine, dict):
        raise ValueError("expected a checkpoint that torch.save wrote, got another version of it")
    if machine.get("little_endian") is not True:
        raise ValueError("expected numbers with the lowest byte first, got another byte order")
    value, place = load_pickle(view, _HANDLERS, storages.load, place)
    keys, place = load_pickle(view, {}, start=place)
    if (
        not isinstance(keys, list)
        or any(type(key) is not str for key in keys)
        or set(keys) != set(storages.known)
    ):
        raise ValueError("the storages of the checkpoint are not those that its tensors lie in")
    for key in keys:
        kind, elements = storages.known[key]
        end = place + 8 + elements * ITEM_BYTES[kind]
        if end > len(view):
            raise ValueError(
                f"expected {end} bytes or more, got {len(view)}: the file is truncated"
            )
        if int.from_bytes(view[place : place + 8], "little") != elements:
            raise ValueError(f"the storage {describe(key)} has another size than its tensors say")
        parts[key] = view[place + 8 : end]
        place = end
    if place != len(view):
        raise ValueError(f"expected {place} bytes, got {len(view)}: something follows the tensors")
    return value
