"""Keras's HDF5 files, read without trusting them: groups, names, and the weights of layers."""

import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import h5py

from keras_retinanet.models.checksum import check_checksum
from keras_retinanet.models.hdf5_checks import check_contents
from keras_retinanet.system.archives import check_archive
from keras_retinanet.system.files import only_regular
from keras_retinanet.system.limits import MAX_MODEL_CONFIG_BYTES
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# What is in a .keras archive; the weights are the last.
_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")

# The weights of each layer by the layer's name: (name of the weight, or None where the format
# stores only its position; the dataset that holds it, or an array where `translate` made it).
StoredWeights: TypeAlias = dict[str, list[tuple[str | None, h5py.Dataset]]]


@contextmanager
def open_hdf5(source: StrPath | h5py.File) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, after its checksum and everything in it are checked.

    Whatever is raised while the file is open becomes a ValueError or OSError that names it.

    Args:
        source: path of an HDF5 file or of a `.keras` archive, whose weights are opened, or an open
            `h5py.File`, which stays open.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is not a regular HDF5 file, is damaged, holds links or external storage,
            or declares more than it holds.
    """
    path = source.filename if isinstance(source, h5py.File) else source
    with naming_model_file(path):
        if isinstance(source, h5py.File):
            check_contents(source, _check_open_file(source))
            yield source
            return
        with _open(Path(source)) as file:
            yield file


@contextmanager
def naming_model_file(path: StrPath) -> Iterator[None]:
    """Turn whatever reading a model raises into a ValueError, or an OSError of the system.

    h5py and Keras raise nearly anything for a file that is damaged.

    Raises:
        ValueError: "PATH: what was wrong", at most 220 characters and the path.
        OSError: of the system, such as for a missing file, with the path.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            if error.filename:
                raise
            raise OSError(error.errno, shorten(error, 200), str(path)) from error
        text = str(error)
        if isinstance(error, RecursionError):
            text = "expected fewer levels of nesting"
        elif not isinstance(error, (ValueError, OSError)):
            text = f"the file is damaged ({type(error).__name__}: {shorten(error, 150)})"
        # Names in a file need not be UTF-8.
        text = text.encode("utf-8", "backslashreplace").decode().removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {shorten(text, 220)}") from error


def is_archive(path: StrPath) -> bool:
    """Return whether a regular file starts as a zip archive does."""
    with open(path, "rb", opener=only_regular) as stream:
        return stream.read(4) == b"PK\x03\x04"


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    with open(path, "rb", opener=only_regular) as stream:
        start = stream.read(8)
        size = stream.seek(0, io.SEEK_END)
        content: Path | io.BytesIO = path
        try:
            if start.startswith(b"PK"):
                content = io.BytesIO(_read_archive(stream, size))
                size = content.getbuffer().nbytes
            else:
                check_checksum(stream)
            file = h5py.File(content, "r")
        except (OSError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            is_ours = start.startswith((b"PK", b"\x89HDF"))
            what = "a damaged or truncated one" if is_ours else "another"
            raise ValueError(
                f"expected an HDF5 file (.h5) or a .keras archive, got {what} ({error})"
            ) from error
    with file:
        check_contents(file, size)
        yield file


def _read_archive(stream: BinaryIO, size: int) -> bytes:
    """Return the weights in a `.keras` archive, after all of its members are checked."""
    with zipfile.ZipFile(stream) as archive:
        check_archive(archive, size)
        for name in archive.namelist():
            if name not in _MEMBERS:
                raise ValueError(
                    f"expected an archive of {', '.join(_MEMBERS)}, got one that holds {name!r} too"
                )
        for name in _MEMBERS[:-1]:
            declared = archive.getinfo(name).file_size
            if declared > MAX_MODEL_CONFIG_BYTES:
                raise ValueError(
                    f"{name}: expected at most {MAX_MODEL_CONFIG_BYTES} bytes, got {declared}"
                )
            archive.read(name)  # compares the checksums
        return archive.read(_MEMBERS[-1])


def _check_open_file(file: h5py.File) -> int:
    """Check the checksum of a file that is open; return its size in bytes."""
    # In memory, or changed since: then there is no checksum of what is read.
    if not os.path.isfile(file.filename) or file.mode != "r":
        return file.id.get_filesize()
    with open(file.filename, "rb") as stream:
        check_checksum(stream)
        return stream.seek(0, io.SEEK_END)


def read_config(file: h5py.File) -> dict[str, Any] | None:
    """Return the configuration of the model in a file; None if it holds only weights.

    Raises:
        ValueError: if it is not a JSON dictionary.
    """
    text = file.attrs.get("model_config")
    if text is None:
        return None
    if isinstance(text, (str, bytes)) and len(text) > MAX_MODEL_CONFIG_BYTES:
        raise ValueError(f"model_config: expected at most {MAX_MODEL_CONFIG_BYTES} bytes")
    try:
        config = json.loads(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"model_config is not JSON: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ValueError("model_config does not describe a functional model")
    return config


def is_keras2(file: h5py.File) -> bool:
    """Return whether Keras 2 or older wrote the file of a complete model."""
    version = _text(file.attrs.get("keras_version", "")).split(".")[0]
    return not (version.isdigit() and int(version) >= 3)


def stored_weights(file: h5py.File, submodels: dict[str, list[str]]) -> StoredWeights:
    """Return the weights in a file by layer.

    Args:
        file: a complete model, or only weights, written by Keras 2 or 3.
        submodels: for each model that is used as a layer, its name -> the names of the layers with
            weights inside it, in order.

    Raises:
        ValueError: if it holds no Keras weights, or is damaged.
    """
    root = file.get("model_weights", file)
    if "layer_names" in root.attrs or "layer_names0" in root.attrs:
        return _weights_by_name(root, submodels)
    stored = dict(_weights_by_position(file, set()))
    if not stored:
        raise ValueError("holds no weights of Keras, or none with layer names")
    return stored


def _weights_by_name(root: h5py.Group, submodels: dict[str, list[str]]) -> StoredWeights:
    """Read the format of Keras 2 and of Keras 3's .h5: one group per layer, weights by name."""
    stored: StoredWeights = {}
    for layer in names_in(root, "layer_names"):
        group = root[layer]
        paths = names_in(group, "weight_names")
        renamed = _inner_layer_names(paths, submodels[layer]) if layer in submodels else {}
        for path in paths:
            parts = path.split("/")
            name = renamed.get(parts[-2], parts[-2]) if layer in submodels else layer
            weight = parts[-1].split(":")[0].removeprefix("depthwise_")
            # Keras 2 had layer names such as "conv1/conv"; Keras 3 allows no slash.
            stored.setdefault(name.replace("/", "_"), []).append((weight, group[path]))
    return stored


def _inner_layer_names(paths: list[str], layers: list[str]) -> dict[str, str]:
    """Return the layer of a submodel that each name in its weights' paths stands for.

    TensorFlow 1 appended _1, _2, ... to a name that its session had seen before, so
    "head_0_1/kernel:0" may belong to the layer "head_0". The order tells which layer is meant.
    """
    found = list(dict.fromkeys(path.split("/")[-2] for path in paths if "/" in path))
    if len(found) == len(layers) and all(
        re.fullmatch(re.escape(layer) + r"(_\d+)?", name)
        for name, layer in zip(found, layers, strict=True)
    ):
        return dict(zip(found, layers, strict=True))
    return {}


def _weights_by_position(
    group: h5py.Group, seen: set[int]
) -> Iterator[tuple[str, list[tuple[str | None, h5py.Dataset]]]]:
    """Read Keras 3's own format: `vars` groups with the layer's name and numbered weights.

    Args:
        group: the group to read, with all groups inside it.
        seen: addresses of groups that were read before; hard links may form a circle.
    """
    address = h5py.h5o.get_info(group.id).addr
    if address in seen:
        return
    seen.add(address)
    for name, item in group.items():
        if name == "optimizer" or not isinstance(item, h5py.Group):
            continue
        if name == "vars" and "name" in item.attrs:
            numbered = sorted((key for key in item if key.isdigit()), key=int)
            if numbered:
                yield _text(item.attrs["name"]), [(None, item[key]) for key in numbered]
        else:
            yield from _weights_by_position(item, seen)


def names_in(group: h5py.Group, attribute: str) -> list[str]:
    """Return the list of names in an attribute; Keras splits a long one into numbered parts."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    names: list[str] = []
    part = 0
    while f"{attribute}{part}" in group.attrs:
        names += [_text(name) for name in group.attrs[f"{attribute}{part}"]]
        part += 1
    return names


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
