"""Images and videos from what a person names: files, folders, patterns, addresses, cameras."""

from __future__ import annotations

import glob
import os
import re
import sys
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from keras_retinanet.annotations.absent_files import why_absent
from keras_retinanet.annotations.image_lists import path_in_list, read_lines
from keras_retinanet.system.image_kinds import (
    is_image_name,
    is_video_kind,
    kind_by_content,
    kind_by_name,
)
from keras_retinanet.system.limits import MAX_PATH
from keras_retinanet.system.messages import shorten

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
# Addresses of these kinds are streams of video.
_STREAMS = ("rtsp", "rtsps", "rtmp", "rtmps", "udp", "tcp", "srt", "rtp")
# Lists of parts of a stream, which OpenCV reads.
_PLAYLISTS = (".m3u8", ".mpd", ".mjpg", ".mjpeg")


@dataclass(frozen=True)
class Sources:
    """The images and videos that a person named.

    Attributes:
        images: path, address or number of a camera -> name of its copy below an output folder: the
            path below the folder that was named, or the file's own name.
        videos: those of them that are videos -> whether it is live, a camera or a stream.
        errors: path -> why it cannot be read, of files that are something else and of folders that
            cannot be listed.
        left_out: files of folders whose names are not those of images.
    """

    images: dict[str, str] = field(default_factory=dict)
    videos: dict[str, bool] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def find_images(
    sources: Sequence[str],
    recursive: bool = True,
    output: str | None = None,
    stdin: Iterable[str] | None = None,
) -> Sources:
    """Return the images and videos that the sources name, each once.

    Args:
        sources: files, used as they are; folders, whose images are chosen by extension and sorted,
            a folder's own before those of its subfolders; patterns of `glob`, in which ** matches
            any number of folders; addresses (http, https, rtsp, ...); numbers of cameras; text
            files (.txt) with a source in each line; - for a source in each line of stdin. Hidden
            files and subfolders of a folder are not read.
        recursive: whether the images in subfolders are read too.
        output: a folder that is not read where it is below one of the sources.
        stdin: the lines of stdin; None for those of the process.

    Raises:
        OSError: if a list cannot be read.
        ValueError: if a source names no image, other than one in a list, or no file can be read at
            all.
    """
    found = Sources()
    skipped = None if output is None else os.path.realpath(output)
    seen: set[str] = set()  # images, by their real paths
    for source, is_listed in _listed(sources, _stdin() if stdin is None else stdin):
        try:
            named = list(_named(source, recursive, skipped, len(sources) > 1, found))
        except ValueError as error:
            if not is_listed:
                raise
            found.errors[source] = error
            continue
        for path, name, is_live in named:
            # An address has no real path.
            real = os.path.realpath(path) if os.path.exists(path) else path
            if real not in seen:
                seen.add(real)
                found.images[path] = name
                if is_live is not None:
                    found.videos[path] = is_live
    if not found.images:
        raise next(iter(found.errors.values()), ValueError("expected a source, got none"))
    return found


def _stdin() -> Iterator[str]:
    """Yield the lines of stdin; names of files are bytes, and need not be UTF-8."""
    if sys.stdin is None:  # closed
        return
    buffer = getattr(sys.stdin, "buffer", None)
    yield from sys.stdin if buffer is None else map(os.fsdecode, buffer)


def _listed(sources: Sequence[str], stdin: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield each source and whether a list names it, with those of lists in their place."""
    for source in sources:
        if source == "-":
            yield from ((line.rstrip("\r\n"), True) for line in stdin if line.strip())
        elif source.lower().endswith(".txt") and os.path.isfile(source):
            for line in read_lines(source):
                path = path_in_list(source, line)
                is_path = not (_URL.match(line) or line.isdecimal()) or os.path.exists(path)
                yield path if is_path else line, True
        else:
            yield source, False


def _named(
    source: str, recursive: bool, skipped: str | None, is_one_of_many: bool, found: Sources
) -> Iterator[tuple[str, str, bool | None]]:
    """Yield path, name of the copy, and whether it is live (None for an image), of a source.

    Raises:
        ValueError: if it names nothing.
    """
    if len(source) > MAX_PATH:
        raise ValueError(
            f"expected a source of at most {MAX_PATH} characters, got {shorten(source)}"
        )
    is_there = os.path.exists(source)
    if not is_there and source.isdecimal():
        yield source, f"camera-{source}.mp4", True
        return
    if not is_there and (address := _URL.match(source)):
        yield _address(source, address[1].lower())
        return
    paths = [source] if is_there else sorted(glob.glob(source, recursive=True))
    errors, left_out, count = len(found.errors), len(found.left_out), 0
    for path in paths:
        is_output = skipped is not None and os.path.realpath(path) == skipped
        if is_output and (is_one_of_many or path != source):
            count += 1  # the shell or a pattern named it among others
        elif os.path.isdir(path):
            for image, name in _images_below(path, recursive, skipped, found):
                count += 1
                yield image, name, None
        elif is_video_kind(kind := _other_kind(path)):
            count += 1
            yield path, f"{os.path.splitext(os.path.basename(path))[0]}.mp4", False
        elif kind:
            found.errors[path] = ValueError(f"{path}: expected an image, got {kind}")
        else:
            count += 1
            yield path, os.path.basename(path), None
    if not count and len(found.errors) == errors:
        reason = _why_empty(source, recursive, found.left_out[left_out:])
        raise ValueError(f"no image found: {shorten(source)} ({reason})")


def _address(source: str, scheme: str) -> tuple[str, str, bool | None]:
    """Return what `_named` yields of an address.

    Raises:
        ValueError: if it is of a kind that is not read.
    """
    parts = urllib.parse.urlsplit(source)
    stem, ending = os.path.splitext(os.path.basename(parts.path))
    name = re.sub(r"[^\w.-]+", "_", stem or parts.hostname or "") or "image"
    if scheme in _STREAMS or ending.lower() in _PLAYLISTS:
        return source, f"{name}.mp4", True
    if scheme not in ("http", "https"):
        raise ValueError(f"no image found: {shorten(source)} (addresses of {scheme} are not read)")
    if is_video_kind(kind_by_name(parts.path)):
        return source, f"{name}.mp4", False
    return source, f"{name}{ending}", None


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
    if glob.has_magic(source):
        return "no file matches"
    guess = why_absent(source)
    return "no such file or folder" + (f": {guess}" if guess else "")


def _others(left_out: Sequence[str]) -> str:
    if not left_out:
        return ""
    kind = next((kind for path in left_out if (kind := kind_by_name(path))), "")
    if is_video_kind(kind):
        kind = "a video: name the file itself to detect in its frames"
    example = shorten(os.path.basename(left_out[0]), 60)
    return f"; it holds {len(left_out)} others such as {example}" + (f", {kind}" if kind else "")
