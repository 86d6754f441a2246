"""NumPy arrays in pickles, as detectron2 publishes its checkpoints."""

from typing import Any

import numpy as np

from keras_retinanet.zoo.pickles import Built, Global, Handlers
from keras_retinanet.zoo.stored import (
    ITEM_BYTES,
    Stored,
    checked_shape,
    count,
    decode,
    describe,
    memory_bytes,
)

# As NumPy names its types in a pickle: "f4".
_KINDS = {
    ("b1" if kind == "bool" else f"{np.dtype(kind).kind}{size}"): kind
    for kind, size in ITEM_BYTES.items()
    if kind != "bfloat16"
}
_NO_FIELDS = (None, None, None)  # subarray, names and fields of a structured type


class _Latin1:
    """Bytes that a pickle of protocol 2 gives as text, encoded only when needed.

    A pickle may ask for the same large bytes many times.
    """

    def __init__(self, text: str) -> None:
        self.text = text


class _Type(Built):
    """A NumPy data type; its byte order comes later."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code
        self.byte_order = "|"

    def build(self, state: Any) -> None:
        # Version, byte order, three of structured types, size and alignment where they are not
        # those of the type, flags; perhaps metadata.
        if len(state) < 8 or state[1] not in ("<", ">", "|") or state[2:5] != _NO_FIELDS:
            raise ValueError(f"expected an array of numbers, got one of {describe(self.code)}")
        self.byte_order = state[1]

    def kind(self) -> str:
        """Return the key of `ITEM_BYTES`."""
        kind = _KINDS.get(self.code) if isinstance(self.code, str) else None
        if kind is None or (self.byte_order == "|" and ITEM_BYTES[kind] > 1):
            raise ValueError(f"expected an array of numbers, got one of {describe(self.code)}")
        return kind

    def decode(self, data: memoryview) -> np.ndarray:
        return decode(data, self.kind(), ">" if self.byte_order == ">" else "<")


class _Array(Built, Stored):
    """An array in a pickle; all about it comes later."""

    def __init__(self, state: Any = None) -> None:
        self.state = state

    def build(self, state: Any) -> None:
        self.state = state

    def _parts(self) -> tuple[tuple[int, ...], _Type, bool, Any]:
        """Return shape, type, whether the first index changes fastest, and what holds the bytes."""
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            raise ValueError("expected a NumPy array, got an unfinished one")
        _, shape, kind, is_fortran, data = self.state
        if not isinstance(kind, _Type) or not isinstance(is_fortran, bool | int):
            raise ValueError("expected a NumPy array, got a damaged one")
        return checked_shape(shape), kind, bool(is_fortran), data

    @property
    def nbytes(self) -> int:
        shape, kind, _, _ = self._parts()
        return count(shape) * memory_bytes(kind.kind())

    def array(self) -> np.ndarray:
        shape, kind, is_fortran, data = self._parts()
        values = kind.decode(_to_bytes(data, count(shape) * ITEM_BYTES[kind.kind()]))
        return values.reshape(shape, order="F" if is_fortran else "C")


def _to_bytes(data: Any, expected: int) -> memoryview:
    """Return the bytes of an array or a number, which may be text of Python 2.

    Raises:
        ValueError: if they are not as many as expected.
    """
    if isinstance(data, _Latin1):
        data = data.text
    if not isinstance(data, str | memoryview):  # a list in an array of objects
        raise ValueError(f"expected an array of numbers, got one made of {describe(data)}")
    if len(data) != expected:
        raise ValueError(f"expected an array of {expected} bytes, got {len(data)}")
    return memoryview(data.encode("latin-1")) if isinstance(data, str) else data


def _new_array(kind: Any, *_: Any) -> _Array:
    if kind != Global("numpy", "ndarray"):
        raise ValueError(f"expected a NumPy array, got {describe(kind)}")
    return _Array()


def _array_of(data: Any, kind: Any, shape: Any, order: Any) -> _Array:
    """Return an array as protocol 5 describes it."""
    return _Array((1, shape, kind, order == "F", data))


def _number(kind: Any, data: Any) -> float | int | bool:
    if not isinstance(kind, _Type):
        raise ValueError(f"expected a number, got one of {describe(kind)}")
    return kind.decode(_to_bytes(data, ITEM_BYTES[kind.kind()]))[0].item()


def _encode(text: Any, encoding: Any) -> _Latin1:
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise ValueError(f"expected bytes as text in Latin-1, got {describe(encoding)}")
    return _Latin1(text)


def _no_bytes() -> memoryview:
    return memoryview(b"")


def _new_dictionary() -> dict[Any, Any]:
    return {}


_OF_ARRAYS: Handlers = {
    "multiarray._reconstruct": _new_array,
    "multiarray.scalar": _number,
    "numeric._frombuffer": _array_of,
}
HANDLERS: Handlers = {
    "collections.OrderedDict": _new_dictionary,
    "_codecs.encode": _encode,
    "__builtin__.bytes": _no_bytes,  # protocol 2 has no other way to say this
    "numpy.dtype": _Type,
    **{f"numpy.core.{name}": handler for name, handler in _OF_ARRAYS.items()},
    **{f"numpy._core.{name}": handler for name, handler in _OF_ARRAYS.items()},  # NumPy 2
}
