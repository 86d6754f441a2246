"""Lists of images: text files with a path in each line that choose a part of a data set."""

import codecs
import os
from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np

from keras_retinanet.system.files import atomic_write, read_file
from keras_retinanet.system.limits import MAX_TEXT_BYTES
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath


class ImageListError(ValueError):
    """A list names no image, what is no image of the data set, or what might be several."""


def read_image_list(path: StrPath) -> list[str]:
    """Return the paths in a file with one in each line; relative ones start at the file's folder.

    Names of files are bytes to the system, so the text need not be UTF-8.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is too large.
        ImageListError: naming the file, if it names no image.
    """
    entries = [path_in_list(path, line) for line in read_lines(path)]
    if not entries:
        raise ImageListError(f"{path}: expected the path of an image in each line, got none")
    return entries


def read_lines(path: StrPath) -> list[str]:
    """Return the lines of a list that are not empty, as they are written.

    Raises:
        OSError: if the file cannot be read.
        ValueError: naming the file, if it is too large.
    """
    content = read_file(path, MAX_TEXT_BYTES).removeprefix(codecs.BOM_UTF8)
    lines = os.fsdecode(content).replace("\r\n", "\n").split("\n")
    return [line for line in lines if line.strip()]


def path_in_list(path: StrPath, line: str) -> str:
    """Return the path that a line of a list names."""
    folder = os.path.dirname(os.path.abspath(path))
    return os.path.normpath(os.path.join(folder, line))


def write_image_list(path: StrPath, names: Sequence[str]) -> None:
    """Write a list of images, atomically.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if a name has a line end in it.
    """
    for name in names:
        if "\n" in name:
            raise ValueError(f"{path}: a list cannot hold the name {shorten(repr(name), 120)}")
    atomic_write(path, os.fsencode("".join(f"{name}\n" for name in names)))


def relative_names(paths: Sequence[str]) -> list[str]:
    """Return the path of each image below the folder that all have in common, with `/`.

    These names stay the same when a data set is moved, and `select_images` finds the images by them
    again.
    """
    full = [os.path.abspath(path) for path in paths]
    try:
        folder = os.path.commonpath({os.path.dirname(path) for path in full})
    except ValueError:  # none, or several drives of Windows
        return [path.replace(os.sep, "/") for path in full]
    start = len(folder.rstrip(os.sep)) + 1
    return [path[start:].replace(os.sep, "/") for path in full]


def select_images(paths: Sequence[str], entries: Collection[str]) -> np.ndarray:
    """Return the indices of the images that a list names, in the order of the data set.

    An entry names the image whose path ends most as the entry does: with the same file name, and as
    many of the folders before it as any image has; of several the one in the fewest folders. So a
    path may be absolute, relative to the list, to the data set or to the working directory, and the
    data set may have been moved since. An image that the data set lists twice is chosen twice.

        images                         entry                  chosen
        /new/set/a.jpg                 /old/set/a.jpg         the first: `set/a.jpg` is in common
        /new/set/night/a.jpg           night/a.jpg            the second
                                       a.jpg                  the first: fewer folders

    Args:
        paths: the file of each image.
        entries: paths, in any spelling.

    Raises:
        ImageListError: naming the first entry that is no image, or may be several.
    """
    indices: dict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        indices[os.path.abspath(path)].append(index)
    chosen: list[int] = []
    open_entries = []
    for entry in dict.fromkeys(os.path.normpath(entry) for entry in entries):
        exact = indices.get(os.path.abspath(entry))
        if exact:
            chosen += exact
        else:
            open_entries.append(entry)
    depth = max((path.count(os.sep) + 1 for path in indices), default=0)
    for length in range(depth, 0, -1):
        if not open_entries:
            break
        found: dict[str, list[str]] = {_ending(entry, length): [] for entry in open_entries}
        for path in indices:
            ending = _ending(path, length)
            if ending in found:
                found[ending].append(path)
        unmatched = []
        for entry in open_entries:
            images = found[_ending(entry, length)]
            if images:
                chosen += indices[_in_fewest_folders(images, entry)]
            else:
                unmatched.append(entry)
        open_entries = unmatched
    if open_entries:
        raise ImageListError(
            f"no image of the data set is {shorten(open_entries[0], 100)} "
            f"({len(open_entries)} of {len(entries)} entries match none of {len(paths)} images, "
            f"the first of them {shorten(paths[0] if paths else 'none', 60)})"
        )
    return np.array(sorted(set(chosen)), int)


def _ending(path: str, length: int) -> str:
    """Return the last parts of a path; of a shorter one all of them."""
    return os.sep.join(path.split(os.sep)[-length:])


def _in_fewest_folders(images: Sequence[str], entry: str) -> str:
    """Return the image that an entry means, out of those that end as much as it does."""
    if len(images) == 1:
        return images[0]
    depths = [image.count(os.sep) for image in images]
    if depths.count(min(depths)) > 1:
        raise ImageListError(
            f"{shorten(entry, 80)} may be any of {len(images)} images: "
            f"{shorten(', '.join(images), 120)}"
        )
    return images[depths.index(min(depths))]
