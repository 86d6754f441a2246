"""Where the files of a data set in COCO form are: COCO's own folders, and those that tools write.

Nothing here reads an annotation file further than its beginning.
"""

import errno
import glob
import os
import re
from collections.abc import Callable, Iterable, Sequence

from keras_retinanet.system.files import only_regular
from keras_retinanet.system.messages import shorten
from keras_retinanet.system.types import StrPath

# Bytes at the start of a file that show whether it is in COCO form.
_HEAD = 2**16
# Files to look into in one folder, which may hold a JSON file for each image.
_MAX_FILES = 200
# Label Studio writes a file of categories beside annotations in YOLO form.
_SECTIONS = {"images", "annotations"}
# A string, perhaps with the colon that makes it a key, or a bracket.
_TOKEN = re.compile(rb'("(?:[^"\\]|\\.)*")(\s*:\s*(?:\[\s*[{\]])?)?|[\[\]{}]', re.DOTALL)
# Words in the names of files that do not tell sets apart.
_WORDS = re.compile(r"(?<![a-z])(instances?|annotations?|coco|labels|result)(?![a-z])", re.I)
# Images whose names decide where the others are.
_SAMPLES = 20
# Label Studio puts eight digits of a hash before the names of images.
_HASH = re.compile(r"^[0-9a-f]{8}-(?=.)")


def recognises(path: StrPath) -> bool:
    """Return whether there are annotations in COCO form at a path: a folder, or a JSON file."""
    return _is_coco(path) if os.path.isfile(path) else bool(find_sets(path))


def find_sets(path: StrPath) -> dict[str, str]:
    """Return set name -> annotation file, sorted by name; empty if there is none.

    Of the layouts below the first is taken that has a file:

    - `annotations/instances_SET.json`: COCO, CVAT;
    - `SET/_annotations.coco.json`: Roboflow; the folder may be that of one set, too;
    - `annotations/*.json`, `*.json`, `*/*.json`, `*/annotations/*.json` in COCO form: `labels.json`
      of FiftyOne, `result.json` of Label Studio, and others.

    Args:
        path: a folder, or a JSON file, which is the only set then.

    Raises:
        OSError: if the folder cannot be listed.
    """
    if os.path.isfile(path):
        return {_set_name(os.fspath(path)): os.fspath(path)}
    known = _files(path, "annotations", "instances_*.json")
    if known:
        names = [os.path.basename(file)[len("instances_") : -len(".json")] for file in known]
        return dict(zip(names, known, strict=True))
    for pattern in ("*/_annotations.coco.json", "_annotations.coco.json"):
        known = _files(path, *pattern.split("/"))
        if known:
            return {os.path.basename(os.path.dirname(os.path.abspath(f))): f for f in known}
    for pattern in ("annotations/*.json", "*.json", "*/*.json", "*/annotations/*.json"):
        found = list(filter(_is_coco, _files(path, *pattern.split("/"))[:_MAX_FILES]))
        if found:
            return _by_name(path, found)
    return {}


def find_file(path: StrPath, set_name: str) -> str:
    """Return the annotation file of a set.

    Args:
        path: the folder of the data set, or a JSON file.
        set_name: a name in `find_sets`, or a JSON file: a path, or one in the folder.

    Raises:
        FileNotFoundError: if there is none, naming what was expected and the sets there are.
    """
    usual = os.path.join(path, "annotations", f"instances_{set_name}.json")
    if os.path.isfile(usual):
        return usual
    sets = find_sets(path) if os.path.exists(path) else {}
    if set_name in sets:
        return sets[set_name]
    folder = os.path.dirname(path) if os.path.isfile(path) else path
    if os.path.isfile(path):
        sets |= {_set_name(file): file for file in _files(folder, "*.json")}
        if set_name in sets:
            return sets[set_name]
    if set_name.endswith(".json"):
        for file in (set_name, os.path.join(folder, set_name)):
            if os.path.isfile(file):
                return file
    if not sets and os.path.isdir(os.path.dirname(usual)):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), usual)
    there = f"there are the sets {', '.join(sets)}" if sets else "there is no file in COCO form"
    if os.path.isfile(path):
        raise FileNotFoundError(
            f"{path}: no set {shorten(repr(set_name), 60)} beside it; {shorten(there, 120)}"
        )
    raise FileNotFoundError(
        f"{usual}: no such file, nor {shorten(set_name, 40)}/_annotations.coco.json or another "
        f"COCO file of that set; {shorten(there, 120)}"
    )


def find_images(
    file: StrPath,
    set_name: str,
    names: Sequence[str],
    images: StrPath | None = None,
    *,
    missing_ok: bool = False,
) -> tuple[list[str], str]:
    """Return the path of each image of an annotation file, and what to say of how it was found.

    The folder, and how much of a name is used, are those with which most of some sampled images
    exist. If none exists anywhere, the paths are those of COCO's layout if its folder is there.

    Args:
        file: the annotation file.
        set_name: its set.
        names: `file_name` of each image.
        images: the folder of the images, or the one above that of the set; None to look for it.
        missing_ok: whether none of the images may exist.

    Returns:
        The paths; and a warning if a part of the names is not used, else empty.

    Raises:
        ValueError: naming the places, if no image is in any; or naming two images that differ only
            in the part of their name that is not used.
    """
    if set_name.endswith(".json"):
        set_name = _set_name(set_name)
    folders = (
        _image_folders(file, set_name)
        if images is None
        else [os.path.join(images, set_name), os.fspath(images)]
    )
    samples = names[:: max(1, len(names) // _SAMPLES)][:_SAMPLES]
    most, best = 0, None
    for form, text in _name_forms(samples):
        tried = [form(name) for name in samples]
        for folder in folders:
            hits = sum(os.path.isfile(os.path.join(folder, name)) for name in tried)
            if hits > most:
                most, best = hits, (folder, form, text)
        if most == len(samples):
            break
    if best is None:
        usual = next(filter(os.path.isdir, folders[:1] if images is None else folders[::-1]), None)
        if names and usual is None and not missing_ok:
            raise ValueError(_nowhere(file, samples[0], folders, images))
        return [os.path.join(usual or folders[0], name) for name in names], ""
    folder, form, text = best
    if form is str:  # the usual case, of perhaps a million images
        return [os.path.join(folder, name) for name in names], ""
    used = [form(name) for name in names]
    if len(set(used)) < len(set(names)):
        first: dict[str, str] = {}
        for name, part in zip(names, used, strict=True):
            if first.setdefault(part, name) != name:
                raise ValueError(
                    f"{file}: images are found in {folder} {text}, but "
                    f"{shorten(repr(first[part]), 60)} and {shorten(repr(name), 60)} are the same "
                    "then"
                )
    note = f"{file}: images are found {text}" if text else ""
    return [os.path.join(folder, name) for name in used], note


def _image_folders(file: StrPath, set_name: str) -> list[str]:
    """Return where images may be, in the order of preference: first COCO's `images/SET/`."""
    beside = (
        os.path.dirname(os.path.abspath(file))
        if not os.path.dirname(file)
        else (os.path.dirname(file))
    )
    above = os.path.dirname(beside)
    stem = os.path.splitext(os.path.basename(file))[0]
    folders = [
        os.path.join(above, "images", set_name),
        os.path.join(beside, "images", set_name),
        beside,
        *(os.path.join(beside, name) for name in ("images", "data", stem, set_name)),
        *(os.path.join(above, name) for name in ("images", set_name, "data")),
        above,
    ]
    return list(dict.fromkeys(folders))


def _name_forms(samples: Iterable[str]) -> list[tuple[Callable[[str], str], str]]:
    """Return ways to use a file name, as functions and in words: first those that use all of it."""
    depth = min(8, max((_tidy(name).count("/") for name in samples), default=0))

    def ending(count: int) -> Callable[[str], str]:
        return lambda name: "/".join(_tidy(name).split("/")[-count:])

    parts = [
        (
            ending(count),
            "by the last " + (f"{count} parts" if count > 1 else "part") + " of file_name",
        )
        for count in range(depth, 0, -1)
    ]
    without_hash = (
        lambda name: _HASH.sub("", ending(1)(name)),
        "by file_name without its folders and the hash before it",
    )
    return [(str, ""), (_tidy, ""), *parts, without_hash]


def _tidy(name: str) -> str:
    return name.replace("\\", "/")


def _nowhere(file: StrPath, name: str, folders: Sequence[str], images: StrPath | None) -> str:
    looked = shorten(
        ", ".join(os.path.relpath(folder, os.path.dirname(file) or ".") for folder in folders), 110
    )
    advice = "name their folder with --images" if images is None else "is --images right?"
    return (
        f"{file}: no image such as {shorten(repr(name), 60)} is found; looked from its folder in "
        f"{looked}: {advice}"
    )


def _files(folder: StrPath, *pattern: str) -> list[str]:
    """Return the files that match a pattern below a folder, sorted."""
    root = glob.escape(os.fspath(folder))
    return sorted(filter(os.path.isfile, glob.glob(os.path.join(root, *pattern))))


def _set_name(file: str) -> str:
    """Return the name of the set of a file: its own without words such as "instances", or all."""
    stem = os.path.splitext(os.path.basename(file))[0]
    return _WORDS.sub("", stem).strip("_-. ") or stem


def _by_name(path: StrPath, files: Sequence[str]) -> dict[str, str]:
    """Return set name -> file: the name of the file, or of its folder if each has one file."""

    def folder_of(file: str) -> str:
        return os.path.relpath(file, path).split(os.sep)[0]

    own = [_set_name(file) for file in files]
    folders = [folder_of(file) for file in files]
    inside = os.path.dirname(os.path.relpath(files[0], path)) not in ("", "annotations")
    if inside and len(set(folders)) == len(files):
        own = folders
    elif inside:
        own = [f"{folder}/{name}" for folder, name in zip(folders, own, strict=True)]
    # Two files may differ only in such words.
    stems = [os.path.relpath(file, path).removesuffix(".json") for file in files]
    return dict(zip(own if len(set(own)) == len(own) else stems, files, strict=True))


def _is_coco(path: StrPath) -> bool:
    """Return whether the beginning of a file is that of an object with lists as COCO has them."""
    try:
        with open(path, "rb", opener=only_regular) as file:
            head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    except (OSError, ValueError):
        return False
    if not head.startswith(b"{"):
        return False
    depth = 0
    for token in _TOKEN.finditer(head):
        text, colon = token.groups()
        if text is None:
            depth += 1 if token[0] in b"[{" else -1
            continue
        if (
            depth == 1
            and colon
            and text[1:-1].decode(errors="replace") in _SECTIONS
            and (b"[" in colon)
        ):
            return True
        depth += colon.count(b"[") + colon.count(b"{") - colon.count(b"]") if colon else 0
    return False
