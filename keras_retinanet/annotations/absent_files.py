"""Why an image file that annotations name is likely not there, in words."""

import contextlib
import os
import re
import unicodedata
from collections.abc import Sequence

from keras_retinanet.system.messages import shorten

# Files of these kinds lie beside images and share their names.
_NOT_IMAGES = (".txt", ".xml", ".json", ".csv")
# Of a path that a person would write; so few ways to change it are tried.
_MAX_LENGTH, _MAX_FOLDERS = 4096, 40
# A drive, or a computer in the network, perhaps behind the folder of the annotations.
_WINDOWS = re.compile(r"(^|/)([A-Za-z]:[\\/]|\\\\)")


def why_absent(path: str) -> str:
    """Return the likely cause why there is no file at a path; empty if there is no good guess.

    It looks at the disk many times, so call it for one file only.
    """
    if "\0" in path:
        return "it holds a zero byte"
    if len(path) > _MAX_LENGTH or path.count("/") > _MAX_FOLDERS:
        return "the path is too long"
    tidy = path
    if os.sep == "/":
        tidy = "/".join(part.strip() for part in path.replace("\\", "/").split("/"))
        if _WINDOWS.search(path):
            place = _other_folder(tidy)
            return f"a path of Windows; {place or 'write it relative to the annotations'}"
    for guess in (
        _why_not_a_file(path),
        _changed_characters(path, tidy),
        _other_name(tidy),
        _other_folder(tidy),
    ):
        if guess:
            return guess
    if tidy != path and "\\" in path:
        return "a backslash does not separate folders here: write '/'"
    return _missing_folder(tidy)


def _why_not_a_file(path: str) -> str:
    """Return why what is at a path is no readable file."""
    try:
        os.stat(path)
    except PermissionError:
        return "its folder may not be read"
    except (OSError, ValueError):
        return "it is a link to nowhere" if os.path.islink(path) else ""
    return "it is a folder" if os.path.isdir(path) else "it is no regular file"


def _changed_characters(path: str, tidy: str) -> str:
    """Return which characters of the path are wrong if it exists without them."""
    if tidy == path or not os.path.isfile(tidy):
        return ""
    wrong = []
    if "\\" in path:
        wrong.append("'/' instead of backslashes")
    if re.search(r"(^|[\\/])\s|\s($|[\\/])", path):
        wrong.append("no blanks before or after names")
    return f"it exists with {' and '.join(wrong)}"


def _other_name(path: str) -> str:
    """Return a file in the same folder whose name differs in case or extension only."""
    folder, wanted = os.path.split(path)
    try:
        names = os.listdir(folder or ".")
    except (OSError, ValueError):
        return ""
    key = _key(wanted)
    for name in names:
        if _key(name) == key:
            return f"but {shorten(repr(name), 60)} exists"
    stem = os.path.splitext(key)[0]
    for name in sorted(names):
        of_image = not name.lower().endswith(_NOT_IMAGES)
        if of_image and _key(os.path.splitext(name)[0]) in (stem, key):
            return f"but {shorten(repr(name), 60)} exists"
    return ""


def _key(name: str) -> str:
    """Return a name without its case and the two ways to write accents."""
    return unicodedata.normalize("NFC", name).casefold()


def _other_folder(path: str) -> str:
    """Return which folder has to go from the path, or to be added, so that it exists."""
    start = os.sep if os.path.isabs(path) else ""
    parts = [part for part in path.split(os.sep) if part]
    for length in range(1, min(len(parts), 9)):
        for first in range(len(parts) - length):
            removed, rest = parts[first : first + length], parts[:first] + parts[first + length :]
            if os.path.isfile(start + os.sep.join(rest)):
                return f"it exists without {_folder(removed)}"
        # Perhaps a path from the current folder was put behind another one.
        if start and os.path.isfile(os.sep.join(parts[length:])):
            return "it exists from the current folder, not from that of the annotations"
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if entry.is_dir() and os.path.isfile(os.path.join(entry.path, name)):
                return f"it exists with {_folder([entry.name])} before its name"
    return ""


def _folder(parts: Sequence[str]) -> str:
    return shorten(repr("/".join([*parts, ""])), 60)


def _missing_folder(path: str) -> str:
    folder = os.path.dirname(path)
    if not folder or os.path.isdir(folder):
        return ""
    while (above := os.path.dirname(folder)) != folder and above and not os.path.isdir(above):
        folder = above
    return f"there is no folder {shorten(repr(os.path.basename(folder)), 60)}"
