"""Find the images of a YOLO data set: in folders, or listed in text files."""

import io
import os
import re
import warnings
from collections.abc import Iterator

from keras_retinanet.annotations.text import read_text
from keras_retinanet.system.image_kinds import is_image_name
from keras_retinanet.system.messages import shorten

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]")
# What a single name may begin with that is taken for that of a set.
_SET_STARTS = ("train", "val", "test")
# Darknet runs in the folder above `data`, where tools expect their files to be put.
_DARKNET = "data"


def find_images(root: str, entries: str | list[str]) -> list[str]:
    """Return the image files that an entry such as `train: images/train` names, sorted.

    Hidden files and folders are left out; links to folders are followed.

    Args:
        root: folder that relative paths are relative to.
        entries: a folder, a text file with a path in each line, or a list of these. Paths in a text
            file that begin with `./` are relative to its folder; others too, if they do not exist
            in the root.

    Raises:
        OSError: if a folder or file does not exist or cannot be read.
        ValueError: if there is no image.
    """
    names = [entries] if isinstance(entries, str) else entries
    images: list[str] = []
    for place in (locate(root, name) for name in names):
        images += _listed(place, root) if place.endswith(".txt") else _in_folder(place)
    if not images:
        named = shorten(", ".join(names), 100)
        raise ValueError(f"{named} in {root}: expected images, found none")
    return images


def locate(root: str, entry: str) -> str:
    """Return the folder or text file that an entry names, or where it was expected.

    If it is not there, as where the entry is a path of another machine, its first folders are left
    out, with a warning.
    """
    place = os.path.join(root, entry)
    if os.path.exists(place):
        return place
    if entry.startswith("../"):
        # Some tools write `../train/images` into a data.yaml that lies beside `train`.
        place = os.path.join(root, entry.removeprefix("../"))
        if os.path.exists(place):
            return place
    for tail in _tails(entry):
        found = os.path.join(root, tail)
        # The last folder of most entries is "images": it does not tell one set from another.
        is_named = "/" in tail.rstrip("/") or tail.startswith(_SET_STARTS)
        if is_named and ".." not in tail.split("/") and os.path.exists(found):
            _say_read_as(f"{root}: there is no {entry}", found)
            return found
    return place


def _say_read_as(problem: str, found: str) -> None:
    # Always of this line: that a second set of the same data says the same is not shown.
    warnings.warn(f"{shorten(problem, 200)}: read as {found}", stacklevel=1)


def _tails(path: str) -> Iterator[str]:
    """Yield a path without its first folder, without the first two, and so on."""
    parts = (path.replace("\\", "/") if _WINDOWS.match(path) else path).split("/")
    for start in range(1, min(len(parts), 40)):
        tail = "/".join(parts[start:])
        if tail.strip("/"):
            yield tail


def _listed(place: str, root: str) -> list[str]:
    folder = os.path.dirname(place)
    lines = io.StringIO(read_text(place), newline=None)
    names = [line.strip() for line in lines if line.strip()]
    moved = _moved(names[0], folder, root) if names else None
    if moved is None:
        return [_listed_image(name, folder, root) for name in names]
    prefix, start = moved
    images = [
        os.path.normpath(os.path.join(start, name.removeprefix(prefix).replace("\\", os.sep)))
        if name.startswith(prefix)
        else _listed_image(name, folder, root)
        for name in names
    ]
    if prefix.rstrip("/") != _DARKNET:
        _say_read_as(f"{place}: there is no {names[0]}", images[0])
    return images


def _moved(name: str, folder: str, root: str) -> tuple[str, str] | None:
    """Return what to leave out at the start of the names in a list, and where the rest starts.

    None if the image that is the first in the list exists, or is not found so either.
    """
    if os.path.isfile(_listed_image(name, folder, root)):
        return None
    for tail in _tails(name):
        for start in (folder, root):
            if os.path.isfile(os.path.join(start, tail)):
                return name[: len(name) - len(tail)], start
    return None


def _listed_image(name: str, folder: str, root: str) -> str:
    """Return the path of an image in a list that lies in a folder."""
    inside, below_root = (os.path.normpath(os.path.join(start, name)) for start in (folder, root))
    if name.startswith("./") or (os.path.isfile(inside) and not os.path.isfile(below_root)):
        return inside
    return below_root


def _in_folder(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        cause = " ('/' separates folders, not '\\')" if "\\" in folder and os.sep == "/" else ""
        raise FileNotFoundError(f"folder of images not found: {folder}{cause}")
    return sorted(
        os.path.join(place, name)
        for place, names in _walk(folder)
        for name in names
        if is_image_name(name) and not name.startswith(".")
    )


def _walk(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder below one, itself included, and the names of its files."""

    def fail(error: OSError) -> None:
        raise error

    seen = set()
    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link to a folder above would have no end
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield place, names
