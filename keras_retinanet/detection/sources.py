"""Image files from what a person names: files, folders and patterns."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from keras_retinanet.annotations.absent_files import why_absent
from keras_retinanet.system.image_kinds import is_image_name, kind_by_content, kind_by_name
from keras_retinanet.system.limits import MAX_PATH
from keras_retinanet.system.messages import shorten

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True)
class Sources:
    """The image files that a person named.

    Attributes:
        images: path -> name of its copy below an output folder: the path below the folder that was
            named, or the file's own name.
        errors: path -> why it cannot be read, of files that are something else and of folders that
            cannot be listed.
        left_out: files of folders whose names are not those of images.
    """

    images: dict[str, str] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def find_images(
    sources: Sequence[str], recursive: bool = True, output: str | None = None
) -> Sources:
    """Return the image files that the sources name, each once.

    Args:
        sources: files, used as they are; folders, whose images are chosen by extension and sorted,
            a folder's own before those of its subfolders; patterns of `glob`, in which ** matches
            any number of folders. Hidden files and subfolders of a folder are not read.
        recursive: whether the images in subfolders are read too.
        output: a folder that is not read where it is below one of the sources.

    Raises:
        ValueError: if a source names no image, or no file can be read at all.
    """
    found = Sources()
    skipped = None if output is None else os.path.realpath(output)
    seen: set[str] = set()  # images, by their real paths
    for source in sources:
        if len(source) > MAX_PATH:
            raise ValueError(
                f"expected a source of at most {MAX_PATH} characters, got {shorten(source)}"
            )
        paths = [source] if os.path.exists(source) else sorted(glob.glob(source, recursive=True))
        named: list[tuple[str, str]] = []
        errors, left_out = len(found.errors), len(found.left_out)
        for path in paths:
            if os.path.isdir(path):
                named += _images_below(path, recursive, skipped, found)
            elif kind := _other_kind(path):
                found.errors[path] = ValueError(f"{path}: expected an image, got {kind}")
            else:
                named.append((path, os.path.basename(path)))
        if not named and len(found.errors) == errors:
            reason = _why_empty(source, recursive, found.left_out[left_out:])
            raise ValueError(f"no image found: {shorten(source)} ({reason})")
        for path, name in named:
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                found.images[path] = name
    if not found.images:
        raise next(iter(found.errors.values()), ValueError("expected a source, got none"))
    return found


def _images_below(
    folder: str, recursive: bool, skipped: str | None, found: Sources
) -> Iterator[tuple[str, str]]:
    """Yield path and path below the folder of each image; note in `found` what is none."""
    waiting, visited = [""], set()
    while waiting:
        below = waiting.pop()
        here = os.path.join(folder, below) if below else folder
        real = os.path.realpath(here)
        if real in visited:  # a link to a folder above
            continue
        visited.add(real)
        try:
            names = sorted(os.listdir(here))
        except OSError as error:
            found.errors[here] = error
            continue
        folders: list[str] = []
        for name in names:
            path, hidden = os.path.join(here, name), name.startswith(".")
            if os.path.isdir(path):
                if recursive and not hidden and os.path.realpath(path) != skipped:
                    folders.append(os.path.join(below, name))
            elif is_image_name(name) and not hidden:
                yield path, os.path.join(below, name)
            elif is_image_name(name) or not hidden:
                found.left_out.append(path)
        waiting += reversed(folders)


def _other_kind(path: str) -> str:
    """Return what a file is if it is surely no image; empty if it may be one."""
    kind = kind_by_name(path)
    if is_image_name(path) or not os.path.isfile(path):
        return ""
    try:
        with open(path, "rb") as file:
            return kind_by_content(file.read(64)) or kind
    except OSError:  # an error of this image later
        return ""


def _why_empty(source: str, recursive: bool, left_out: Sequence[str]) -> str:
    if os.path.isdir(source):
        where = "" if recursive else ", not looking into its subfolders"
        return f"a folder without files ending in .jpg, .png or the like{where}{_others(left_out)}"
    if not source:
        return "an empty name"
    if _URL.match(source):
        return "a URL: download it first"
    if glob.has_magic(source):
        return "no file matches"
    guess = why_absent(source)
    return "no such file or folder" + (f": {guess}" if guess else "")


def _others(left_out: Sequence[str]) -> str:
    if not left_out:
        return ""
    kind = next((kind for path in left_out if (kind := kind_by_name(path))), "")
    example = shorten(os.path.basename(left_out[0]), 60)
    return f"; it holds {len(left_out)} others such as {example}" + (f", {kind}" if kind else "")
