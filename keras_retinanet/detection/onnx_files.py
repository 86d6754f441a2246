"""What an .onnx file says of itself, read without running anything in it.

The file is a message of protocol buffers: fields, each a number and a value. Only few of them are
looked at, by the numbers of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

from keras_retinanet.system.files import only_regular
from keras_retinanet.system.types import StrPath

# Fields that are looked at in a file: an export of a ResNet-152 has 15,000.
MAX_FIELDS = 500_000
# Numbers of fields.
_GRAPH, _METADATA, _TRAINING, _FUNCTIONS = 7, 14, 20, 25  # of a model
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15  # of a graph
_ATTRIBUTE = 5  # of a node
_TENSORS, _GRAPHS, _SPARSE_TENSORS = (5, 10), (6, 11), (22, 23)  # of an attribute
_SPARSE_PARTS = (1, 2)  # of a sparse tensor: its values and their places
_EXTERNAL_DATA = 13  # of a tensor: where its values are, in another file
_KEY, _VALUE = 1, 2  # of an entry of the metadata
# Values of more bits are cut or refused by protocol buffers: another number than one read in full.
_KEY_BITS, _LENGTH_BITS, _VALUE_BITS = 32, 31, 64
# Graphs inside each other; ours have none.
_MAX_DEPTH = 20

Span = tuple[int, int]


def read_metadata(path: StrPath) -> dict[str, bytes]:
    """Return the metadata of an .onnx file.

    Raises:
        OSError: if it cannot be read.
        ValueError: naming the file, if it is no such file, has more than `MAX_FIELDS`, or has
            values in other files, which could be any files of this machine.
    """
    with open(path, "rb", opener=only_regular) as file:
        try:
            data = _Content(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise ValueError(f"{path}: expected an ONNX file, got an empty file") from None
        with data:
            try:
                return _metadata(data)
            except _RefusedError as error:
                raise ValueError(f"{path}: {error}") from None
            except (ValueError, IndexError):
                raise ValueError(f"{path}: expected an ONNX file, got another or damaged") from None


class _RefusedError(Exception):
    """A file is not read, although it may be intact."""


class _Content(mmap.mmap):
    """The bytes of a file, and how many fields of it may still be looked at."""

    fields_left = MAX_FIELDS


def _metadata(data: _Content) -> dict[str, bytes]:
    metadata: dict[str, bytes] = {}
    has_graph = False
    for number, span in _fields(data, (0, len(data))):
        if number == _GRAPH:
            if has_graph:
                raise ValueError("more than one graph")  # which would be merged
            has_graph = True
            _check_graph(data, span, 0)
        elif number in (_TRAINING, _FUNCTIONS):
            raise ValueError("more than one graph")
        elif number == _METADATA:
            entry = {field: data[slice(*place)] for field, place in _fields(data, span)}
            metadata[entry.get(_KEY, b"").decode("utf-8", "replace")] = entry.get(_VALUE, b"")
    if not has_graph:
        raise ValueError("no graph")
    return metadata


def _check_graph(data: _Content, span: Span, depth: int) -> None:
    """Raise `_RefusedError` if a tensor of a graph has its values in another file."""
    if depth > _MAX_DEPTH:
        raise ValueError("graphs inside each other")
    for number, part in _fields(data, span):
        if number == _INITIALIZER:
            _check_tensor(data, part)
        elif number == _SPARSE:
            _check_sparse(data, part)
        elif number == _NODE:
            for field, attribute in _fields(data, part):
                if field == _ATTRIBUTE:
                    _check_attribute(data, attribute, depth)


def _check_attribute(data: _Content, span: Span, depth: int) -> None:
    for number, part in _fields(data, span):
        if number in _TENSORS:
            _check_tensor(data, part)
        elif number in _SPARSE_TENSORS:
            _check_sparse(data, part)
        elif number in _GRAPHS:
            _check_graph(data, part, depth + 1)


def _check_sparse(data: _Content, span: Span) -> None:
    for number, part in _fields(data, span):
        if number in _SPARSE_PARTS:
            _check_tensor(data, part)


def _check_tensor(data: _Content, span: Span) -> None:
    if any(number == _EXTERNAL_DATA for number, _ in _fields(data, span)):
        raise _RefusedError("its weights are in other files, which are not read: export it again")


def _fields(data: _Content, span: Span) -> Iterator[tuple[int, Span]]:
    """Yield number and place of the fields of a message; those that are plain numbers are empty.

    Raises:
        ValueError: if it is no message.
        IndexError: if it is cut off.
        _RefusedError: if the file has more than `MAX_FIELDS`.
    """
    place, end = span
    while place < end:
        data.fields_left -= 1
        if data.fields_left < 0:
            raise _RefusedError(f"expected at most {MAX_FIELDS} fields, got more")
        key, place = _varint(data, place, _KEY_BITS)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("a field without a number")
        if kind == 0:
            _, place = _varint(data, place, _VALUE_BITS)
            yield number, (place, place)
            continue
        if kind == 2:
            length, place = _varint(data, place, _LENGTH_BITS)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("an unknown kind of field")
        if place + length > end:
            raise ValueError("a field that is longer than its message")
        yield number, (place, place + length)
        place += length


def _varint(data: _Content, place: int, bits: int) -> tuple[int, int]:
    """Return the number at a place, of 7 bits a byte, and the place behind it.

    Raises:
        ValueError: if it has more bits, or more bytes than it needs, as no writer makes it.
    """
    value = 0
    for shift in range(0, bits, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >> bits or (shift and not byte):
                break
            return value, place
    raise ValueError("a number that is too long")
