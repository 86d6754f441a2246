"""Keras's HDF5 files, read without trusting them: groups, names, and the weights of layers."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import h5py

from keras_retinanet.system.types import StrPath

# The weights of each layer by the layer's name: (name of the weight, or None where the format
# stores only its position; the dataset that holds it, or an array where `translate` made it).
StoredWeights: TypeAlias = dict[str, list[tuple[str | None, h5py.Dataset]]]


@contextmanager
def open_hdf5(source: StrPath | h5py.File) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, after `refuse_links`.

    Args:
        source: path of an HDF5 file or of a `.keras` archive, whose weights are opened, or an open
            `h5py.File`, which stays open.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is not an HDF5 file, is damaged, or holds links or external storage.
    """
    if isinstance(source, h5py.File):
        refuse_links(source)
        yield source
        return
    with _open(source) as file:
        refuse_links(file)
        yield file


def _open(path: StrPath) -> h5py.File:
    path = Path(path)
    with open(path, "rb") as stream:  # Python's own error for a missing file or a folder is clear
        start = stream.read(8)
    try:
        if start.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                return h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r")
        return h5py.File(path, "r")
    except (OSError, KeyError, zipfile.BadZipFile, RuntimeError) as error:
        what = "a damaged or truncated one" if start.startswith((b"PK", b"\x89HDF")) else "another"
        raise ValueError(
            f"{path}: expected an HDF5 file (.h5) or a .keras archive, got {what} "
            f"({_one_line(error)})"
        ) from error


def refuse_links(file: h5py.File) -> None:
    """Check everything in a file before any of it is used.

    Links and external storage could make any file on this machine appear as weights. Keras writes
    neither.

    Raises:
        ValueError: naming the place of a link, external or virtual storage, or damage.
    """
    with _reporting_damage(file):
        groups, seen = [file], set()
        while groups:
            group = groups.pop()
            address = h5py.h5o.get_info(group.id).addr
            if address in seen:  # hard links may form a circle
                continue
            seen.add(address)
            for name in group:
                place = f"{file.filename}: {group.name.rstrip('/')}/{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{place} is a link to elsewhere, which no snapshot needs")
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                    raise ValueError(f"{place} keeps its values in another file, refused")


def read_config(file: h5py.File) -> dict[str, Any] | None:
    """Return the configuration of the model in a file; None if it holds only weights.

    Raises:
        ValueError: if it is not a JSON dictionary.
    """
    text = file.attrs.get("model_config")
    if text is None:
        return None
    try:
        config = json.loads(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file.filename}: model_config is not JSON: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ValueError(f"{file.filename}: model_config does not describe a functional model")
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
    with _reporting_damage(file):
        root = file.get("model_weights", file)
        if "layer_names" in root.attrs or "layer_names0" in root.attrs:
            return _weights_by_name(root, submodels)
        stored = dict(_weights_by_position(file))
        if not stored:
            raise ValueError(
                f"{file.filename}: holds no weights of Keras, or none with layer names"
            )
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
    group: h5py.Group,
) -> Iterator[tuple[str, list[tuple[str | None, h5py.Dataset]]]]:
    """Read Keras 3's own format: `vars` groups with the layer's name and numbered weights."""
    for name, item in group.items():
        if name == "optimizer" or not isinstance(item, h5py.Group):
            continue
        if name == "vars" and "name" in item.attrs:
            numbered = sorted((key for key in item if key.isdigit()), key=int)
            if numbered:
                yield _text(item.attrs["name"]), [(None, item[key]) for key in numbered]
        else:
            yield from _weights_by_position(item)


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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


@contextmanager
def _reporting_damage(file: h5py.File) -> Iterator[None]:
    """Turn what h5py raises for a damaged file into a ValueError that names it."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{file.filename}: damaged HDF5 file ({_one_line(error)})") from error
