"""Checkpoints in the `.safetensors` format: a JSON header, then the bytes of all tensors.

https://huggingface.co/docs/safetensors
"""

from typing import Annotated, Any

import msgspec
import numpy as np

from keras_retinanet.system.limits import MAX_SAFETENSORS_HEADER, MAX_TENSOR_ELEMENTS
from keras_retinanet.system.messages import shorten
from keras_retinanet.zoo.stored import ITEM_BYTES, checked_shape, count, decode, describe, naming

_KINDS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_LENGTH_BYTES = 8  # of the header's length, before it
_Natural = Annotated[int, msgspec.Meta(ge=0, le=MAX_TENSOR_ELEMENTS)]


class _Entry(msgspec.Struct, frozen=True):
    """What the header says of a tensor."""

    dtype: str
    shape: list[_Natural]
    data_offsets: tuple[_Natural, _Natural]


def read_safetensors(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the tensors in a `.safetensors` file, and the texts that come with them.

    Args:
        data: the bytes of the file.

    Returns:
        Name -> read-only array, a view of `data` where possible, bfloat16 as float32; and
        `__metadata__`.

    Raises:
        ValueError: if the file is damaged or no such file.
    """
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + length
    if length > MAX_SAFETENSORS_HEADER or start > len(data):
        raise ValueError(
            f"expected a .safetensors file, got one whose header takes {length} of its "
            f"{len(data)} bytes: it is truncated, or no such file"
        )
    header = _decode(data[_LENGTH_BYTES:start], dict[str, msgspec.Raw])
    meta = _decode(bytes(header.pop("__metadata__", b"{}")), dict[str, str])
    entries = {name: _decode(bytes(raw), _Entry, name) for name, raw in header.items()}
    values, end = memoryview(data)[start:], 0
    tensors = {}
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        with naming(describe(name)):
            tensors[name] = _tensor(entry, values, end)
        end = entry.data_offsets[1]
    if end != len(values):
        raise ValueError(f"expected {start + end} bytes, got {len(data)}")
    return {name: tensors[name] for name in entries}, meta


def _tensor(entry: _Entry, values: memoryview, previous_end: int) -> np.ndarray:
    """Return a tensor, whose bytes have to follow those of the previous one."""
    kind, (begin, end) = _KINDS.get(entry.dtype), entry.data_offsets
    if kind is None:
        raise ValueError(f"expected one of {', '.join(_KINDS)}, got {describe(entry.dtype)}")
    if begin != previous_end:
        raise ValueError(f"expected its bytes from {previous_end}, got {begin}")
    shape = checked_shape(entry.shape)
    expected = begin + count(shape) * ITEM_BYTES[kind]
    if end != expected or end > len(values):
        raise ValueError(
            f"expected its {describe(shape)} numbers up to byte {expected} of {len(values)}, got "
            f"{end}"
        )
    return decode(values[begin:end], kind).reshape(shape)


def _decode(data: bytes, kind: Any, name: str = "") -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        where = f" of {describe(name)}" if name else ""
        raise ValueError(f"expected the header{where} as JSON: {shorten(str(error))}") from error
