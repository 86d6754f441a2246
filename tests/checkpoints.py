"""Write checkpoints of other libraries, with NumPy alone.

A value is a number, text, None, a list, tuple, dict, `OrderedDict` (perhaps with the attribute
`_metadata`) or array of these. In a torch file each array becomes a tensor with a storage of its
own; `Call`, `Name`, `Reference` and `Raw` are for whatever else a pickle may say.
"""

import dataclasses
import json
import struct
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


@dataclasses.dataclass(frozen=True)
class Name:
    """A function or class."""

    module: str
    name: str


@dataclasses.dataclass(frozen=True)
class Call:
    """What a function returns, with the state that it is given then."""

    function: Name
    arguments: tuple
    state: Any = None


@dataclasses.dataclass(frozen=True)
class Reference:
    """A persistent id."""

    identity: Any


@dataclasses.dataclass(frozen=True)
class Raw:
    """Code of a pickle that leaves one value on the stack."""

    code: bytes


def pickled(value, of_array=None, protocol=2):
    """Return a pickle.

    Args:
        value: what it describes.
        of_array: returns the value that stands for an array; as NumPy does by default.
        protocol: 2 or 3, in which bytes are text or bytes.
    """
    parts = [b"\x80", bytes([protocol])]

    def many(values, end):
        parts.append(b"(")
        for each in values:
            put(each)
        parts.append(end)

    def put(item):
        if item is None or isinstance(item, bool):
            parts.append({None: b"N", True: b"\x88", False: b"\x89"}[item])
        elif isinstance(item, int):
            data = item.to_bytes(item.bit_length() // 8 + 1, "little", signed=True)
            parts.append(b"\x8a" + bytes([len(data)]) + data)
        elif isinstance(item, float):
            parts.append(b"G" + struct.pack(">d", item))
        elif isinstance(item, str):
            parts.append(b"X" + struct.pack("<I", len(item.encode())) + item.encode())
        elif isinstance(item, bytes) and protocol > 2:
            parts.append(b"B" + struct.pack("<I", len(item)) + item)
        elif isinstance(item, bytes):
            put(Call(Name("_codecs", "encode"), (item.decode("latin1"), "latin1")))
        elif isinstance(item, tuple):
            many(item, b"t")
        elif isinstance(item, list):
            parts.append(b"]")
            many(item, b"e")
        elif isinstance(item, dict):
            if isinstance(item, OrderedDict):
                put(Call(Name("collections", "OrderedDict"), ()))
            else:
                parts.append(b"}")
            many([each for pair in item.items() for each in pair], b"u")
            if hasattr(item, "_metadata"):
                put({"_metadata": item._metadata})
                parts.append(b"b")
        elif isinstance(item, Name):
            parts.append(f"c{item.module}\n{item.name}\n".encode())
        elif isinstance(item, Call):
            put(item.function)
            put(item.arguments)
            parts.append(b"R")
            if item.state is not None:
                put(item.state)
                parts.append(b"b")
        elif isinstance(item, Reference):
            put(item.identity)
            parts.append(b"Q")
        elif isinstance(item, Raw):
            parts.append(item.code)
        else:
            put((of_array or numpy_array)(item))

    put(value)
    return b"".join(parts) + b"."


def numpy_array(array, core="core"):
    """Return how NumPy describes an array; NumPy 2 has the core "_core"."""
    code, order = array.dtype.str[1:], array.dtype.str[0]
    kind = Call(
        Name("numpy", "dtype"), (code, False, True), (3, order, None, None, None, -1, -1, 0)
    )
    return Call(
        Name(f"numpy.{core}.multiarray", "_reconstruct"),
        (Name("numpy", "ndarray"), (0,), b"b"),
        (1, array.shape, kind, False, array.tobytes()),
    )


def torch_tensor(key, kind, shape, strides, *, elements, offset=0, view=()):
    """Return how torch describes a tensor.

    Args:
        key: the name of its storage.
        kind: the class of the storage, such as "FloatStorage".
        shape: the shape.
        strides: the strides, in elements.
        elements: the number of elements of the storage.
        offset: the place of the first element.
        view: in the old form `(None,)`, or `((key, start, length),)`.
    """
    identity = ("storage", Name("torch", kind), key, "cpu", elements, *view)
    arguments = (Reference(identity), offset, tuple(shape), tuple(strides), False, OrderedDict())
    return Call(Name("torch._utils", "_rebuild_tensor_v2"), arguments)


def _with_storages(view):
    """Return a function for `pickled` and the storages that it fills: key -> array."""
    storages = {}

    def of_array(array):
        key = str(len(storages))
        storages[key] = np.ascontiguousarray(array)
        strides = [step // array.itemsize for step in storages[key].reshape(array.shape).strides]
        kind = STORAGES[array.dtype.name]
        return torch_tensor(key, kind, array.shape, strides, elements=array.size, view=view)

    return of_array, storages


def write_zip(value, path, storages=(), prefix="net", more=()):
    """Write a file as `torch.save` does.

    Args:
        value: what to write.
        path: the file.
        storages: pairs of the key and the array of storages that only `Reference` names.
        prefix: the folder in the archive.
        more: pairs of the name and the bytes of other members.
    """
    of_array, found = _with_storages(())
    code = pickled(value, of_array)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{prefix}/data.pkl"), code)
        for key, array in (*found.items(), *storages):
            archive.writestr(zipfile.ZipInfo(f"{prefix}/data/{key}"), array.tobytes())
        for name, content in (("byteorder", b"little"), ("version", b"3\n"), *more):
            archive.writestr(zipfile.ZipInfo(f"{prefix}/{name}"), content)


def write_legacy(value, path, storages=()):
    """Write a file as `torch.save` did before torch 1.6.

    Args:
        value: what to write.
        path: the file.
        storages: as in `write_zip`.
    """
    of_array, found = _with_storages((None,))
    code = pickled(value, of_array)
    found = {**found, **dict(storages)}
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    with open(path, "wb") as file:
        file.write(pickled(MAGIC) + pickled(1001) + pickled(machine) + code + pickled([*found]))
        for array in found.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())


def write_pkl(value, path, protocol=3):
    """Write a pickle of NumPy arrays."""
    with open(path, "wb") as file:
        file.write(pickled(value, protocol=protocol))


def write_safetensors(tensors, path, meta=None):
    """Write a `.safetensors` file of arrays, with some texts."""
    kinds = {"f": "F", "i": "I", "u": "U", "b": "BOOL"}
    header, place = {"__metadata__": meta} if meta else {}, 0
    for name, array in tensors.items():
        kind = kinds[array.dtype.kind] + ("" if array.dtype == bool else str(8 * array.itemsize))
        offsets = [place, place + array.nbytes]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": offsets}
        place += array.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.write(b"".join(array.tobytes() for array in tensors.values()))
