"""Checkpoints of other libraries: the tensors in them, read without running anything."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_retinanet.system.files import read_file
from keras_retinanet.system.limits import (
    MAX_CHECKPOINT_BYTES,
    MAX_META_VALUES,
    MAX_TENSOR_EXPANSION,
    MIN_TENSOR_BYTES,
)
from keras_retinanet.system.types import StrPath
from keras_retinanet.zoo import numpy_pickles
from keras_retinanet.zoo.pickles import load_pickle
from keras_retinanet.zoo.safetensors import read_safetensors
from keras_retinanet.zoo.stored import Stored, describe, naming
from keras_retinanet.zoo.torch_files import LEGACY_MAGIC, read_legacy, read_zip

# Files that may be checkpoints; which form they have is told by their contents.
SUFFIXES = (".pth", ".pt", ".pkl", ".safetensors")
_MAX_META_DEPTH = 16
_START = 1024  # bytes, by which a file is recognised


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        tensors: name -> values, in the order of the file. The arrays are read-only and mostly views
            of the bytes of the file. bfloat16 has become float32; other types are as in the file.
        meta: the entry "meta" that MMDetection writes beside its weights, with class names and
            settings: text, numbers, None, `dict`, `list` and `tuple` of them; anything else is left
            out. The `__metadata__` of a `.safetensors` file. Empty if there is none.
    """

    tensors: dict[str, np.ndarray]
    meta: Mapping[str, Any]


def is_checkpoint_name(path: StrPath) -> bool:
    """Return whether a path ends as that of a checkpoint does, in any case."""
    return os.fspath(path).lower().endswith(SUFFIXES)


def read_checkpoint(path: StrPath) -> Checkpoint:
    """Return the tensors in a checkpoint of torchvision, detectron2 or MMDetection.

    Such a file is a program that Python's own reader would run; see `pickles`. Read are both forms
    of `torch.save`, pickled NumPy arrays, and `.safetensors`. The tensors are the values of the
    dictionary in the file, or of its entry "state_dict" or "model".

    Args:
        path: the file, which may have any suffix.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is no checkpoint, damaged, or does more than describe
            tensors and plain values.
    """
    try:
        data = read_file(path, MAX_CHECKPOINT_BYTES)
        with naming(str(path)):
            return _read(data, Path(path).suffix)
    except MemoryError as error:
        raise ValueError(f"{path}: expected a checkpoint that fits into the memory") from error


def _read(data: bytes, suffix: str) -> Checkpoint:
    start = data[:_START]
    # The length of a JSON object, and its beginning. A pickle may begin with the same two bytes.
    if start[4:9] == b"\0\0\0\0{":
        return Checkpoint(*read_safetensors(data))
    _refuse_others(start)
    if start.startswith(b"PK\3\4"):
        return _find(read_zip(data), len(data))
    if LEGACY_MAGIC.to_bytes(10, "little") in start[:32]:
        return _find(read_legacy(data), len(data))
    if start[:1] == b"\x80":
        value, end = load_pickle(memoryview(data), numpy_pickles.HANDLERS)
        if end != len(data):
            raise ValueError(f"expected {end} bytes, got {len(data)}: something follows the pickle")
        return _find(value, len(data))
    if suffix == ".safetensors":  # which tells what is wrong with it
        return Checkpoint(*read_safetensors(data))
    raise ValueError(
        f"expected a checkpoint ({', '.join(SUFFIXES)}), got a file that begins with {start[:16]!r}"
    )


def _refuse_others(start: bytes) -> None:
    """Raise ValueError for a file that people have in the place of a checkpoint."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        raise ValueError("expected a checkpoint, got an empty file")
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError(
            "expected a checkpoint, got a web page: download the file itself, not the page about it"
        )
    if text.startswith(b"version https://git-lfs"):
        raise ValueError(
            "expected a checkpoint, got the note that git leaves in its place: fetch the file with "
            "`git lfs pull`"
        )
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        raise ValueError("expected a checkpoint of another library, got an HDF5 file (.h5)")


def _find(value: Any, file_bytes: int) -> Checkpoint:
    """Return the tensors in the object of a file."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a dictionary of tensors, got {describe(value)}")
    meta = {}
    for key in ("state_dict", "model"):
        if isinstance(value.get(key), dict):
            meta, value = _plain_meta(value.get("meta")), value[key]
            break
    stored: dict[str, Stored] = {}
    for key, tensor in value.items():
        if not isinstance(key, str) or not isinstance(tensor, Stored):
            raise ValueError(
                "expected tensors by name, or a dictionary of them under 'state_dict' or 'model', "
                f"got {describe(key)}: {describe(tensor)}"
            )
        stored[key] = tensor
    if not stored:
        raise ValueError("expected tensors by name, got none")
    return Checkpoint(_arrays(stored, file_bytes), meta)


def _arrays(stored: Mapping[str, Stored], file_bytes: int) -> dict[str, np.ndarray]:
    """Return the values of tensors, once it is known that they fit into memory."""
    limit, total = max(MIN_TENSOR_BYTES, MAX_TENSOR_EXPANSION * file_bytes), 0
    for key, tensor in stored.items():
        with naming(describe(key)):
            total += tensor.nbytes
        if total > limit:
            raise ValueError(
                f"expected tensors of at most {limit} bytes in a file of {file_bytes}, got more at "
                f"{describe(key)}: they repeat their values"
            )
    arrays = {}
    for key, tensor in stored.items():
        with naming(describe(key)):
            arrays[key] = tensor.array()
    return arrays


def _plain_meta(meta: Any) -> dict[str, Any]:
    """Return the plain entries of what a checkpoint tells of itself."""
    if not isinstance(meta, dict):
        return {}
    _check_size(meta)
    entries = {key: _plain(value) for key, value in meta.items() if isinstance(key, str)}
    return {key: value for key, value in entries.items() if value is not _OTHER}


def _check_size(meta: dict[Any, Any]) -> None:
    """Raise ValueError if values are many or deep: in a pickle one may even hold itself."""
    waiting: list[tuple[Any, int]] = [(meta, 0)]  # values, and in how many others they are
    count = 0
    while waiting:
        value, depth = waiting.pop()
        parts = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list | tuple):
            count += len(parts)
            if count > MAX_META_VALUES or depth > _MAX_META_DEPTH:
                raise ValueError(f"'meta': expected at most {MAX_META_VALUES} values, got more")
            waiting += [(part, depth + 1) for part in parts]


_OTHER = object()


def _plain(value: Any) -> Any:
    """Return a copy of a plain value, or `_OTHER`."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dict):
        parts = [_plain(part) for part in value.values()]
        found: Any = dict(zip(value, parts, strict=True))
    elif isinstance(value, list | tuple):
        parts = [_plain(part) for part in value]
        found = tuple(parts) if isinstance(value, tuple) else parts
    else:
        return _OTHER
    return _OTHER if any(part is _OTHER for part in parts) else found
